//! What goes wrong inside the gateway, and how it looks from outside.

use std::io;

use muster_http::{Kind, Problem};
use muster_jobs::JobsError;

#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    #[error(
        "{0} is not a loopback address, and there is no API key yet: make one with `muster key create` first"
    )]
    NoKeys(std::net::SocketAddr),
    #[error("there is no key `{0}`")]
    UnknownKey(String),
    /// A key that can't be made as asked; the text says why.
    #[error("{0}")]
    InvalidKey(String),
    #[error("the cursor is not one that this list gave out")]
    InvalidCursor,
    #[error(transparent)]
    Sql(#[from] muster_sql::SqlError),
    #[error("the server: {0}")]
    Io(#[from] io::Error),
    #[error(transparent)]
    Metrics(#[from] muster_telemetry::RecorderError),
}

impl From<sqlx::Error> for GatewayError {
    fn from(err: sqlx::Error) -> Self {
        GatewayError::Sql(err.into())
    }
}

/// What the jobs' tables answered, for a caller.
pub fn jobs_problem(err: JobsError) -> Problem {
    let away = err.is_away();
    Problem::of_store(err, away)
}

impl From<GatewayError> for Problem {
    fn from(err: GatewayError) -> Self {
        match err {
            GatewayError::UnknownKey(_) => Problem::not_found("such key"),
            GatewayError::InvalidKey(detail) => Problem::new(Kind::Invalid, "invalid_key", detail),
            GatewayError::InvalidCursor => Problem::new(
                Kind::BadRequest,
                "invalid_cursor",
                "The cursor is not one that this list gave out.",
            ),
            other => {
                let away = matches!(&other, GatewayError::Sql(error) if error.is_away());
                Problem::of_store(other, away)
            }
        }
    }
}
