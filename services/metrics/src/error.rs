//! What can go wrong here, and what a caller is told of it.

use muster_days::{Ds, NotADay};
use muster_evaluator::EvaluationError;
use muster_http::{Kind, Problem};
use muster_jobs::{Failure, JobsError};
use muster_profile_store::StoreError;
use muster_rules::did_you_mean;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("There is no app `{0}`.")]
    NoApp(String),
    #[error("There is no label `{given}`.{}", did_you_mean(.nearest))]
    UnknownLabel { given: String, nearest: Option<String> },
    #[error("There is no event `{given}`.{}", did_you_mean(.nearest))]
    UnknownEvent { given: String, nearest: Option<String> },
    #[error("The event has no dimension `{given}`.{}", did_you_mean(.nearest))]
    UnknownDimension { given: String, nearest: Option<String> },
    #[error("There is no crowd `{given}`: use `all` or a base crowd.{}", did_you_mean(.nearest))]
    UnknownCrowd { given: String, nearest: Option<String> },
    #[error("`{parameter}`: {source}.")]
    NotADay { parameter: &'static str, source: NotADay },
    #[error("{detail}")]
    Parameter { parameter: &'static str, code: &'static str, detail: String },
    /// Nothing is worked out for the label up to that day.
    #[error("{}", not_computed(.label, .ds, .first))]
    NotComputed { label: String, ds: Option<Ds>, first: Option<Ds> },
    /// No event is worked out up to that day, or not the one that was asked for.
    #[error("{}", no_event_day(.ds, .first))]
    NoEventDay { ds: Option<Ds>, first: Option<Ds> },
    /// No crowd is worked out up to that day, or not the one that was asked for.
    #[error("{}", no_crowd_day(.ds, .first))]
    NoCrowdDay { ds: Option<Ds>, first: Option<Ds> },
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

fn not_computed(label: &str, ds: &Option<Ds>, first: &Option<Ds>) -> String {
    match (first, ds) {
        (Some(first), Some(ds)) => {
            format!(
                "The label `{label}` is not worked out for {ds} or a day before: the first day is {first}."
            )
        }
        _ => format!(
            "The label `{label}` is not worked out yet: a job does it once an import has published; \
             `POST …/insights/refresh` asks for one."
        ),
    }
}

fn no_event_day(ds: &Option<Ds>, first: &Option<Ds>) -> String {
    let nothing = "Nothing is worked out yet: a job does it once an import of behaviour has published.";
    too_early(ds, first).unwrap_or_else(|| nothing.to_owned())
}

fn no_crowd_day(ds: &Option<Ds>, first: &Option<Ds>) -> String {
    let nothing = "Nothing is worked out yet: a job does it once an import has published; \
                   `POST …/insights/refresh` asks for one.";
    too_early(ds, first).unwrap_or_else(|| nothing.to_owned())
}

/// Where there is something, but of later days.
fn too_early(ds: &Option<Ds>, first: &Option<Ds>) -> Option<String> {
    let (ds, first) = ((*ds)?, (*first)?);
    Some(format!("Nothing is worked out for {ds} or a day before: the first day is {first}."))
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
    /// Whether the database or the storage could not be reached.
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
        let detail = error.to_string();
        match error {
            Error::NoApp(app) => Problem::app_not_found(&app),
            Error::UnknownLabel { nearest, .. } => {
                let problem = Problem::new(Kind::NotFound, "label_not_found", detail);
                problem.with_fault("label", "unknown_label", nearest)
            }
            Error::UnknownEvent { nearest, .. } => {
                let problem = Problem::new(Kind::NotFound, "event_not_found", detail);
                problem.with_fault("event", "unknown_event", nearest)
            }
            Error::UnknownDimension { nearest, .. } => {
                let problem = Problem::new(Kind::NotFound, "dimension_not_found", detail);
                problem.with_fault("dim", "unknown_dimension", nearest)
            }
            Error::UnknownCrowd { nearest, .. } => {
                let problem = Problem::new(Kind::BadRequest, "unknown_crowd", detail);
                problem.with_fault("crowd", "unknown_crowd", nearest)
            }
            Error::NotADay { parameter, .. } => refused(parameter, "invalid_ds", detail),
            Error::Parameter { parameter, code, .. } => refused(parameter, code, detail),
            Error::NotComputed { first, .. }
            | Error::NoEventDay { first, .. }
            | Error::NoCrowdDay { first, .. } => {
                Problem::new(Kind::NotFound, "not_computed", detail).with("first", first.map(Ds::number))
            }
            Error::Stopped => {
                Problem::new(Kind::Unavailable, "stopped", "The work was stopped.").retry_after(1)
            }
            error => {
                let away = error.is_away();
                Problem::of_store(error, away)
            }
        }
    }
}

/// 400 for a query parameter.
fn refused(parameter: &str, code: &str, detail: String) -> Problem {
    Problem::new(Kind::BadRequest, code, detail).with_fault(parameter, code, None)
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        match error {
            Error::Stopped => Failure::stopped(),
            error => Failure::internal(error),
        }
    }
}
