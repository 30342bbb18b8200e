//! What the catalogue can answer instead of what was asked for, and the problem each becomes.

use muster_days::{Ds, NotADay};
use muster_http::{Kind, Problem};
use muster_profile_store::StoreError;
use muster_rules::did_you_mean;

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
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The kinds of names that a path can get wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    Label,
    Event,
    Dimension,
}

impl What {
    fn name(self) -> &'static str {
        match self {
            What::Label => "label",
            What::Event => "event",
            What::Dimension => "dimension",
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
            Error::LongMatch { .. } => refused("match", "invalid_match", detail),
            Error::Store(error) => {
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
