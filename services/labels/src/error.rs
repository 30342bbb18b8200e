//! What the catalogue can answer instead of what was asked for, and the problem each becomes.

use muster_days::{Ds, NotADay};
use muster_http::{FieldError, Kind, Problem};
use muster_jobs::JobsError;
use muster_profile_store::StoreError;
use muster_rules::did_you_mean;
use muster_sql::SqlError;

pub type Result<T, E = Error> = std::result::Result<T, E>;

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("There is no app `{0}`.")]
    UnknownApp(String),
    #[error("There is no {what} `{given}`.{}", did_you_mean(.nearest))]
    UnknownName { what: What, given: String, nearest: Option<String> },
    /// `published` is in ascending order.
    #[error("The label `{label}` is not published for {}: {}.", day(.ds), range(.published))]
    NotPublished { label: String, ds: Option<Ds>, published: Vec<Ds> },
    #[error("`ds`: {0}.")]
    NotADay(#[from] NotADay),
    #[error("`cursor` must be the `next` of an earlier page of this list.")]
    ForeignCursor,
    #[error("`match` has {bytes} bytes; at most {most} are looked for.")]
    LongMatch { bytes: usize, most: usize },
    /// Entries of the catalogue that can't be kept.
    #[error("The catalogue is as it was: {}", first(.0))]
    Refused(Vec<FieldError>),
    #[error("The sheet has a column `{given}`, which means nothing here.{}", did_you_mean(.nearest))]
    UnknownColumn { given: String, nearest: Option<String> },
    #[error("The format is `json` or `csv`, not `{0}`.")]
    UnknownFormat(String),
    #[error("{0}.")]
    Body(String),
    #[error("The catalogue is at version {version}, not {expected}: look at it again.")]
    Moved { expected: u32, version: u32 },
    #[error("The catalogue has no version {0}.")]
    NoVersion(u32),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sql(#[from] sqlx::Error),
    #[error(transparent)]
    Database(#[from] SqlError),
    #[error(transparent)]
    Jobs(#[from] JobsError),
    #[error("{0}")]
    Inside(String),
}

impl Error {
    pub fn inside(error: impl std::fmt::Display) -> Error {
        Error::Inside(error.to_string())
    }

    /// A part of a document that is loaded and is none.
    pub fn unknown_part(key: &str) -> Error {
        let known = ["settings", "labels", "base_crowds", "events"];
        let detail =
            format!("a catalogue has {}, each an object", known.map(|name| format!("`{name}`")).join(", "));
        let nearest = muster_rules::nearest(key, known);
        let (pointer, code) = (format!("/{key}"), "unknown_key".to_owned());
        Error::Refused(vec![FieldError { pointer, code, detail, nearest }])
    }

    /// A line of a sheet, counted from 1.
    pub fn sheet(line: usize, column: &str, detail: impl std::fmt::Display) -> Error {
        let pointer = format!("line {line}{}{column}", if column.is_empty() { "" } else { ", " });
        let (code, detail) = ("invalid_sheet".to_owned(), detail.to_string());
        Error::Refused(vec![FieldError { pointer, code, detail, nearest: None }])
    }

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
}

fn first(faults: &[FieldError]) -> String {
    match faults {
        [] => "something in it can't be kept.".to_owned(),
        [one] if one.detail.ends_with('?') => format!("at `{}`, {}", one.pointer, one.detail),
        [one] => format!("at `{}`, {}.", one.pointer, one.detail.trim_end_matches('.')),
        [one, ..] => {
            format!(
                "at `{}`, {}; {} faults in all.",
                one.pointer,
                one.detail.trim_end_matches('.'),
                faults.len()
            )
        }
    }
}

/// The kinds of names that a path can get wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Label,
    Event,
    Dimension,
    BaseCrowd,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            What::Label => "label",
            What::Event => "event",
            What::Dimension => "dimension",
            What::BaseCrowd => "base_crowd",
        }
    }
}

impl std::fmt::Display for What {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

fn day(ds: &Option<Ds>) -> String {
    ds.map_or("any day".to_owned(), |ds| ds.to_string())
}

fn range(published: &[Ds]) -> String {
    match published {
        [] => "it has no days".to_owned(),
        [only] => format!("the only day is {only}"),
        [first, .., last] => format!("the {} published days lie between {first} and {last}", published.len()),
    }
}

impl From<Error> for Problem {
    fn from(error: Error) -> Problem {
        let detail = error.to_string();
        match error {
            Error::UnknownApp(app) => Problem::app_not_found(&app),
            Error::UnknownName { what, nearest, .. } => {
                let name = what.name();
                Problem::new(Kind::NotFound, &format!("{name}_not_found"), detail).with_fault(
                    name,
                    &format!("unknown_{name}"),
                    nearest,
                )
            }
            Error::NotPublished { published, .. } => {
                let days: Vec<u32> = published.iter().map(|ds| ds.number()).collect();
                Problem::new(Kind::NotFound, "ds_not_published", detail)
                    .with("first", days.first().copied())
                    .with("last", days.last().copied())
            }
            Error::NotADay(_) => refused("ds", "invalid_ds", detail),
            Error::ForeignCursor => refused("cursor", "invalid_cursor", detail),
            Error::UnknownFormat(_) => refused("format", "unknown_format", detail),
            Error::LongMatch { .. } => refused("match", "invalid_match", detail),
            Error::Refused(faults) => {
                Problem::new(Kind::Invalid, "invalid_catalogue", detail).with_errors(faults)
            }
            Error::UnknownColumn { nearest, .. } => {
                let problem = Problem::new(Kind::Invalid, "invalid_catalogue", detail);
                problem.with_fault("line 1", "unknown_column", nearest)
            }
            Error::Body(_) => Problem::new(Kind::Invalid, "invalid_body", detail),
            Error::Moved { version, .. } => {
                Problem::new(Kind::Conflict, "version_conflict", detail).with("version", version)
            }
            Error::NoVersion(_) => Problem::new(Kind::NotFound, "version_not_found", detail),
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
