//! What can go wrong here, and what a caller is told of it.

use muster_evaluator::EvaluationError;
use muster_http::{Kind, Problem};
use muster_jobs::{Failure, JobsError};
use muster_profile_store::StoreError;

use crate::assignment::WHOLE;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Already what a caller is told.
    #[error("{0}")]
    Problem(Problem),
    #[error("{wanted} millionths of the layer {layer} are wanted, {free} are free")]
    LayerFull { layer: String, wanted: u32, free: u32 },
    /// Somebody else was quicker: try again.
    #[error("it was changed meanwhile")]
    Moved,
    #[error("stopped")]
    Stopped,
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error(transparent)]
    Database(#[from] muster_sql::SqlError),
    #[error(transparent)]
    Jobs(#[from] JobsError),
    #[error("{0}")]
    Inside(String),
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Error {
        Error::Problem(problem)
    }
}

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Error {
        Error::Inside(error.to_string())
    }
}

impl From<EvaluationError> for Error {
    fn from(error: EvaluationError) -> Error {
        match error {
            EvaluationError::Store(error) => Error::Store(error),
            EvaluationError::Stopped => Error::Stopped,
        }
    }
}

impl Error {
    /// Whether the database or the store could not be reached.
    fn is_away(&self) -> bool {
        match self {
            Error::Sql(error) => muster_sql::is_away(error),
            Error::Database(error) => error.is_away(),
            Error::Jobs(error) => error.is_away(),
            Error::Store(error) => error.is_away(),
            _ => false,
        }
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        match error {
            Error::Problem(problem) => problem,
            Error::LayerFull { layer, wanted, free } => {
                let share = |parts: u32| f64::from(parts) / f64::from(WHOLE);
                let detail = format!(
                    "Of the layer `{layer}` a share of {} is free, and the experiment wants {}. Stop another \
                     experiment of the layer, or take less traffic.",
                    share(free),
                    share(wanted)
                );
                Problem::new(Kind::Conflict, "layer_full", detail).with("free", share(free))
            }
            Error::Moved => {
                let detail = "The experiment was changed meanwhile. Look at it again.";
                Problem::new(Kind::Conflict, "experiment_changed", detail)
            }
            Error::Stopped => {
                Problem::new(Kind::Unavailable, "stopped", "The evaluation was stopped.").retry_after(1)
            }
            error => {
                let away = error.is_away();
                Problem::of_store(error, away)
            }
        }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Stopped => Failure::stopped(),
            Error::Problem(problem) if problem.code == "stopped" => Failure::stopped(),
            Error::Problem(problem) => {
                let again = matches!(problem.kind, Kind::Internal | Kind::Unavailable | Kind::TooMany);
                let failure = if again { Failure::passing } else { Failure::new };
                let told = failure(&problem.code, problem.detail);
                match problem.errors.is_empty() {
                    true => told,
                    false => told.with_extra(serde_json::json!({ "errors": problem.errors })),
                }
            }
            error => Failure::internal(error),
        }
    }
}
