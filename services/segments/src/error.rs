//! What can go wrong here, and what a caller is told of it.

use muster_catalogue::Floor;
use muster_evaluator::EvaluationError;
use muster_http::{FieldError, Kind, Problem};
use muster_jobs::{Failure, JobsError};
use muster_profile_store::StoreError;
use muster_rules::codes;
use serde_json::json;

use crate::instruments;
use crate::turns::Busy;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("there is no app `{0}`")]
    NoApp(String),
    #[error("the app `{0}` is disabled")]
    Disabled(String),
    #[error("there is no {0}")]
    NotFound(&'static str),
    /// Pointers are those of the request's body.
    #[error("the rule is refused")]
    Rule(Vec<muster_rules::Problem>),
    /// A name of the address: a label, tag, event, dimension or measure.
    #[error("there is no {what} `{given}`")]
    Unknown { what: &'static str, given: String, nearest: Option<String> },
    /// A parameter of the address.
    #[error("{detail}")]
    Parameter { parameter: &'static str, code: &'static str, detail: String },
    /// A member of the body, by JSON pointer.
    #[error("{detail}")]
    Body { pointer: &'static str, code: &'static str, detail: String },
    #[error("there is no cohort `{0}`")]
    NoCohort(String),
    /// Uploaded ids that can't be taken as they are; nothing of them counts.
    #[error("{detail}")]
    Upload { code: &'static str, detail: String },
    /// A crowd of fewer users than the app lets be shown, or all but fewer.
    #[error("these users, or all others, are fewer than the app's privacy floor of {}", .0.users())]
    BelowFloor(Floor),
    #[error("stopped")]
    Stopped,
    /// So many evaluations of the app wait already.
    #[error("{0} evaluations of the app wait already")]
    Busy(usize),
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

impl From<Busy> for Error {
    fn from(busy: Busy) -> Error {
        instruments::turned_away();
        Error::Busy(busy.0)
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

impl From<serde_json::Error> for Error {
    fn from(error: serde_json::Error) -> Error {
        Error::Inside(error.to_string())
    }
}

impl Error {
    /// Whether the database could not be reached.
    fn is_away(&self) -> bool {
        match self {
            Error::Sql(error) => muster_sql::is_away(error),
            Error::Database(error) => error.is_away(),
            Error::Jobs(error) => error.is_away(),
            Error::Store(error) => error.is_away(),
            _ => false,
        }
    }

    /// Whether the data were replaced while they were opened: a new snapshot may do better.
    pub fn is_stale(&self) -> bool {
        matches!(self, Error::Store(error) if error.is_missing())
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        match error {
            Error::NoApp(app) => Problem::app_not_found(&app),
            Error::Disabled(app) => disabled(&app),
            Error::NotFound(what) => Problem::not_found(what),
            Error::Rule(problems) => rule_refused(problems),
            Error::Body { pointer, code, detail } => {
                Problem::new(Kind::Invalid, "invalid_body", detail).with_fault(pointer, code, None)
            }
            Error::Unknown { what, given, nearest } => unknown(what, &given, nearest),
            Error::Parameter { parameter, code, detail } => {
                Problem::new(Kind::BadRequest, code, detail).with_fault(parameter, code, None)
            }
            Error::NoCohort(_) => Problem::new(Kind::NotFound, "cohort_not_found", sentence(&error)),
            Error::Upload { code: code @ "body_unreadable", detail } => {
                Problem::new(Kind::BadRequest, code, detail)
            }
            Error::Upload { code, detail } => Problem::new(Kind::Invalid, code, detail),
            Error::BelowFloor(_) => Problem::new(Kind::Forbidden, "below_floor", sentence(&error)),
            Error::Stopped => {
                Problem::new(Kind::Unavailable, "stopped", "The evaluation was stopped.").retry_after(1)
            }
            Error::Busy(waiting) => {
                let detail = format!("{waiting} estimates of this app wait already. Try again shortly.");
                Problem::new(Kind::Unavailable, "app_busy", detail).with("waiting", waiting).retry_after(1)
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
            Error::BelowFloor(_) => Failure::new("below_floor", format!("{error}")),
            Error::Disabled(_) => Failure::new("app_disabled", format!("{error}")),
            Error::NoApp(_) | Error::NotFound(_) => Failure::new("not_found", format!("{error}")),
            Error::Rule(problems) => {
                let errors = fields(problems);
                let detail = "the segment's rule does not fit the app's data any more";
                Failure::new("rule_refused", detail).with_extra(json!({ "errors": errors }))
            }
            error => Failure::internal(error),
        }
    }
}

/// With a capital letter and a full stop.
fn sentence(error: &Error) -> String {
    let text = error.to_string();
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string()).unwrap_or_default();
    format!("{first}{}.", letters.as_str())
}

fn unknown(what: &str, given: &str, nearest: Option<String>) -> Problem {
    let hint = nearest.as_ref().map(|nearest| format!(" Did you mean `{nearest}`?")).unwrap_or_default();
    let detail = format!("There is no {what} `{given}`.{hint}");
    let problem = Problem::new(Kind::NotFound, &format!("{what}_not_found"), detail);
    problem.with_fault(what, &format!("unknown_{what}"), nearest)
}

fn disabled(app: &str) -> Problem {
    let detail = format!(
        "The app `{app}` is disabled, and rules are not worked on. An administrator of the app enables it with \
         `\"enabled\": true` among its settings: PUT /v1/apps/{app}/settings."
    );
    Problem::new(Kind::Conflict, "app_disabled", detail)
}

fn rule_refused(problems: Vec<muster_rules::Problem>) -> Problem {
    let kind = match problems.first() {
        Some(first) if first.code == codes::JSON_SYNTAX => Kind::BadRequest,
        Some(first) if first.code == codes::TOO_MANY_BYTES => Kind::TooLarge,
        _ => Kind::Invalid,
    };
    let place = |problem: &muster_rules::Problem| match &*problem.pointer {
        "" => String::new(),
        pointer => format!(" at `{pointer}`"),
    };
    let detail = match &problems[..] {
        [] => "The rule is refused.".to_owned(),
        [one] => format!("The rule is refused{}: {}", place(one), ended(&one.detail)),
        [first, rest @ ..] => {
            format!("The rule is refused{}: {}; and {} more.", place(first), first.detail, rest.len())
        }
    };
    Problem::new(kind, "rule_refused", detail).with_errors(fields(problems))
}

/// With a full stop, unless it ends in a question.
fn ended(detail: &str) -> String {
    if detail.ends_with(['?', '.']) { detail.to_owned() } else { format!("{detail}.") }
}

pub fn fields(problems: Vec<muster_rules::Problem>) -> Vec<FieldError> {
    let field = |problem: muster_rules::Problem| FieldError {
        pointer: problem.pointer,
        code: problem.code.into(),
        detail: problem.detail,
        nearest: problem.nearest,
    };
    problems.into_iter().map(field).collect()
}
