//! What can go wrong around a job, as opposed to inside one (that is a [`crate::Failure`]).

use muster_sql::SqlError;

#[derive(Debug, thiserror::Error)]
pub enum JobsError {
    #[error(transparent)]
    Sql(#[from] SqlError),
    #[error("job queue: {0}")]
    Queue(String),
    /// The id that was asked for is taken; the job that has it is untouched.
    #[error("there is a job `{0}` already")]
    Exists(String),
    #[error("job `{id}` is not readable: {why}")]
    Unreadable { id: String, why: String },
    #[error("two handlers for jobs of kind `{0}`")]
    TwoHandlers(String),
}

impl JobsError {
    /// Whether the database could not be reached: a moment later the same may hold.
    pub fn is_away(&self) -> bool {
        matches!(self, JobsError::Sql(error) if error.is_away())
    }
}

impl From<sqlx::Error> for JobsError {
    fn from(error: sqlx::Error) -> JobsError {
        JobsError::Sql(error.into())
    }
}
