//! A job as callers and clients see it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

/// A job, as the API shows it too. Its payload stays inside.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Job {
    pub id: String,
    /// None for work that belongs to no single app.
    pub app_id: Option<String>,
    /// Who asked for it: the id of a key, or `local`.
    pub owner: String,
    pub kind: String,
    pub priority: Priority,
    pub state: State,
    /// From 0 to 1; begins again with every attempt.
    pub progress: f64,
    /// How often it was started: 0 until it first runs.
    pub attempt: u32,
    pub max_attempts: u32,
    /// What its handler was asked to do.
    #[serde(skip)]
    pub payload: Value,
    /// Why it failed; of a job that will be tried again, why the last attempt did.
    pub error: Option<Failure>,
    /// What its handler answered.
    pub result: Option<Value>,
    /// The W3C `traceparent` of the request that made it.
    #[serde(skip)]
    pub trace: Option<String>,
    pub created_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub finished_at: Option<DateTime<Utc>>,
    /// While queued: how many jobs of its kind go first. Not filled in lists.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u64>,
}

impl Job {
    /// Whose share of the workers it takes: its app, or, where it names none, its owner.
    pub(crate) fn party(&self) -> &str {
        self.app_id.as_deref().unwrap_or(&self.owner)
    }
}

/// What a job is made from.
#[derive(Debug, Clone)]
pub struct NewJob {
    /// An id of the caller's choice; `job_` and a ULID when None.
    pub id: Option<String>,
    pub app_id: Option<String>,
    pub owner: String,
    pub kind: &'static str,
    pub payload: Value,
    pub priority: Priority,
}

impl NewJob {
    /// A job that needs to know no more than its app.
    pub fn of_app(app: &str, owner: &str, kind: &'static str, priority: Priority) -> NewJob {
        let (app_id, payload) = (Some(app.to_owned()), Value::Object(serde_json::Map::new()));
        NewJob { id: None, app_id, owner: owner.to_owned(), kind, payload, priority }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    Queued,
    Running,
    Done,
    Failed,
    Cancelled,
}

impl State {
    pub const ALL: [State; 5] = [State::Queued, State::Running, State::Done, State::Failed, State::Cancelled];

    /// As in the API and in the row.
    pub fn name(self) -> &'static str {
        match self {
            State::Queued => "queued",
            State::Running => "running",
            State::Done => "done",
            State::Failed => "failed",
            State::Cancelled => "cancelled",
        }
    }

    pub fn from_name(name: &str) -> Option<State> {
        State::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Nothing happens to the job any more.
    pub fn is_final(self) -> bool {
        !matches!(self, State::Queued | State::Running)
    }
}

/// Which of two waiting jobs of a kind goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Priority {
    /// Somebody waits for it.
    Interactive,
    /// Nightly and other unattended work.
    Routine,
}

impl Priority {
    pub const ALL: [Priority; 2] = [Priority::Interactive, Priority::Routine];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Priority::Interactive => "interactive",
            Priority::Routine => "routine",
        }
    }

    /// As in the row: the lower number goes first.
    pub(crate) fn number(self) -> i64 {
        match self {
            Priority::Interactive => 0,
            Priority::Routine => 1,
        }
    }

    pub(crate) fn from_number(number: i64) -> Option<Priority> {
        Priority::ALL.into_iter().find(|priority| priority.number() == number)
    }
}

const SOMETHING_INSIDE: &str = "something failed inside; the log of the server says what";

/// Why a job, or one attempt of it, came to nothing. Shown to clients: no internal text in it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Failure {
    /// Stable, for programs.
    pub code: String,
    /// For people.
    pub detail: String,
    /// Whether another attempt may do better.
    #[serde(skip)]
    pub retry: bool,
    /// Whatever belongs to this code.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extra: Option<Value>,
    /// What the job came to all the same; becomes its result.
    #[serde(skip)]
    pub result: Option<Value>,
}

impl Failure {
    /// A failure that would only repeat itself.
    pub fn new(code: &str, detail: impl Into<String>) -> Failure {
        Failure { code: code.to_owned(), detail: detail.into(), retry: false, extra: None, result: None }
    }

    /// A failure that may pass: the job is tried again after a while, unless its attempts are used up.
    pub fn passing(code: &str, detail: impl Into<String>) -> Failure {
        Failure { retry: true, ..Failure::new(code, detail) }
    }

    /// An error of our own, code `internal`: its text goes to the log, not to the client. Tried again.
    pub fn internal(error: impl std::fmt::Display) -> Failure {
        tracing::error!(%error, "a job failed inside");
        Failure::passing("internal", SOMETHING_INSIDE)
    }

    /// A panic is a mistake in the program and would only repeat itself.
    pub(crate) fn panicked() -> Failure {
        Failure::new("internal", SOMETHING_INSIDE)
    }

    /// What a handler answers when [`crate::Run::stopped`] told it to leave off. Nobody gets to see it:
    /// the job was cancelled, is run by another worker, or goes back into the queue.
    pub fn stopped() -> Failure {
        Failure::passing("stopped", "told to stop")
    }

    pub fn with_extra(self, extra: Value) -> Failure {
        Failure { extra: Some(extra), ..self }
    }

    pub fn with_result(self, result: Value) -> Failure {
        Failure { result: Some(result), ..self }
    }

    /// The cause of a job whose worker went silent `attempts` times.
    pub(crate) fn exhausted(attempts: u32, lease: Duration, before: Option<&Failure>) -> Failure {
        let seconds = lease.as_secs_f64();
        let detail = format!(
            "given up after {attempts} attempts: the last worker gave no sign of life for {seconds} s"
        );
        let failure = Failure::new("attempts_exhausted", detail);
        match before {
            Some(before) => failure.with_extra(serde_json::json!({ "last_error": before })),
            None => failure,
        }
    }

    /// The cause of an attempt whose worker went silent.
    pub(crate) fn worker_lost() -> Failure {
        Failure::passing("worker_lost", "the worker stopped without an answer")
    }
}
