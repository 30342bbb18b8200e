//! Readers of what comes in: CSV, Parquet and NDJSON in, rows out, in flat memory. CSV and Parquet are read
//! on all cores, piece by piece.
//! Every format hands the same text cells to the same checks, so a row means the same in all of them.

mod checks;
mod columns;
mod csv;
mod in_order;
mod json;
mod ndjson;
mod one_by_one;
mod parquet;
mod source;
mod target;
mod text;

use std::fmt;
use std::io;
use std::path::Path;
use std::str::FromStr;
use std::sync::atomic::AtomicU64;

use muster_days::{Ds, Tz};

use crate::rows::{BehaviorSink, LabelSink, Pieces, Refuse};
use one_by_one::OneByOne;
use target::{BehaviorTarget, LabelTarget};

/// What the rows of a file are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    Labels,
    Behavior,
    Events,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Kind::Labels => "labels",
            Kind::Behavior => "behavior",
            Kind::Events => "events",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = ReadError;

    fn from_str(text: &str) -> Result<Kind, ReadError> {
        [Kind::Labels, Kind::Behavior, Kind::Events]
            .into_iter()
            .find(|kind| kind.name() == text)
            .ok_or_else(|| ReadError::Unsupported("the kind is `labels`, `behavior` or `events`".into()))
    }
}

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Format {
    Csv,
    Parquet,
    Ndjson,
}

impl Format {
    /// From a `Content-Type`; its parameters (`; charset=…`) are not looked at.
    pub fn of_content_type(declared: &str) -> Result<Format, ReadError> {
        let essence = declared.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
        match essence.as_str() {
            "text/csv" | "application/csv" => Ok(Format::Csv),
            "application/vnd.apache.parquet" | "application/x-parquet" | "application/parquet" => {
                Ok(Format::Parquet)
            }
            "application/x-ndjson"
            | "application/ndjson"
            | "application/jsonl"
            | "application/x-jsonlines" => Ok(Format::Ndjson),
            _ => Err(ReadError::Unsupported(
                "the content type is text/csv, application/vnd.apache.parquet or application/x-ndjson".into(),
            )),
        }
    }

    /// Refuses a kind that is not written this way.
    pub fn check(self, kind: Kind) -> Result<(), ReadError> {
        match (kind, self) {
            (Kind::Events, Format::Csv | Format::Parquet) => {
                Err(ReadError::Unsupported("events come as application/x-ndjson".into()))
            }
            _ => Ok(()),
        }
    }
}

/// A file on disk to read from.
#[derive(Debug, Clone, Copy)]
pub struct Source<'a> {
    pub path: &'a Path,
    pub format: Format,
    /// Declared as gzip: then it has to be. A gzip file that nobody declared is recognised as well.
    pub gzip: bool,
}

/// What a reader needs from outside.
#[derive(Clone, Copy)]
pub struct Intake<'a> {
    /// Which apps the caller may import; a row of another app is refused.
    pub allowed: &'a (dyn Fn(&str) -> bool + Sync),
    /// Whether an app takes rows of the label; a row of another one is refused.
    pub takes_label: &'a (dyn Fn(&str, i64) -> bool + Sync),
    /// The zone an app counts its days in; asked for events only.
    pub zone_of: &'a (dyn Fn(&str) -> Tz + Sync),
    /// The last day that rows of an app may have, if there is one; a later one is refused.
    pub last_day: &'a (dyn Fn(&str) -> Option<Ds> + Sync),
    /// Asked every few thousand rows; the reading ends with [`ReadError::Stopped`] once it says yes.
    pub stopped: &'a (dyn Fn() -> bool + Sync),
    /// Bytes of the source file (compressed, if it is) that were read so far.
    pub consumed: &'a AtomicU64,
    /// An existing folder for a temporary copy, needed by a Parquet file inside gzip only.
    pub scratch: &'a Path,
}

/// Rows seen in a file; `read` counts the rejected ones too, and no blank lines.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    pub read: u64,
    pub rejected: u64,
}

/// Why a file as a whole can't be read. Rows may have been handed on before: they don't count.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    #[error("{0}")]
    Unsupported(String),
    #[error("the column `{0}` is missing")]
    MissingColumn(String),
    #[error("the column `{0}` appears twice")]
    DuplicateColumn(String),
    #[error("the column `{0}` is not one of a labels file")]
    UnknownColumn(String),
    #[error("the column `{column}` can't be used: {detail}")]
    Column { column: String, detail: String },
    #[error("the file is damaged {place}: {detail}")]
    Corrupt { place: String, detail: String },
    #[error("stopped")]
    Stopped,
    #[error("the file can't be read: {0}")]
    Io(#[source] io::Error),
    #[error("a row can't be handed on: {0}")]
    Sink(#[source] io::Error),
}

impl ReadError {
    /// A stable name of the kind of error.
    pub fn code(&self) -> &'static str {
        match self {
            ReadError::Unsupported(_) => "unsupported_format",
            ReadError::MissingColumn(_) => "missing_column",
            ReadError::DuplicateColumn(_) => "duplicate_column",
            ReadError::UnknownColumn(_) => "unknown_column",
            ReadError::Column { .. } => "invalid_column",
            ReadError::Corrupt { .. } => "corrupt_file",
            ReadError::Stopped => "stopped",
            ReadError::Io(_) | ReadError::Sink(_) => "io",
        }
    }
}

/// Reads a labels file to its end.
pub fn read_labels<P: Pieces<Piece: LabelSink>>(
    source: &Source<'_>,
    intake: &Intake<'_>,
    pieces: &mut P,
) -> Result<Counts, ReadError> {
    let start = pieces.start();
    match source.format {
        Format::Csv => csv::read(source, intake, pieces, |header, text| {
            whole(start(), |piece| {
                let mut target = LabelTarget::new(intake, piece);
                csv::records(header, text, &mut target)?;
                Ok(target.counts())
            })
        }),
        Format::Parquet => parquet::read(source, intake, pieces, |batch| {
            whole(start(), |piece| {
                let mut target = LabelTarget::new(intake, piece);
                parquet::rows(batch, &mut target)?;
                Ok(target.counts())
            })
        }),
        Format::Ndjson => {
            let mut sink = OneByOne::new(pieces);
            let mut target = LabelTarget::new(intake, &mut sink);
            ndjson::read(source, intake, ndjson::Layout::Flat, &mut target)?;
            let counts = target.counts();
            sink.finish().map_err(ReadError::Sink)?;
            Ok(counts)
        }
    }
}

/// Reads a behaviour file to its end.
pub fn read_behavior<P: Pieces<Piece: BehaviorSink>>(
    source: &Source<'_>,
    intake: &Intake<'_>,
    pieces: &mut P,
) -> Result<Counts, ReadError> {
    let start = pieces.start();
    match source.format {
        Format::Csv => csv::read(source, intake, pieces, |header, text| {
            whole(start(), |piece| {
                let mut target = BehaviorTarget::new(intake, piece);
                csv::records(header, text, &mut target)?;
                Ok(target.counts())
            })
        }),
        Format::Parquet => parquet::read(source, intake, pieces, |batch| {
            whole(start(), |piece| {
                let mut target = BehaviorTarget::new(intake, piece);
                parquet::rows(batch, &mut target)?;
                Ok(target.counts())
            })
        }),
        Format::Ndjson => read_objects(source, intake, ndjson::Layout::Flat, pieces),
    }
}

/// Reads a file of custom events to its end: each becomes a behaviour row with a pv of 1.
pub fn read_events<P: Pieces<Piece: BehaviorSink>>(
    source: &Source<'_>,
    intake: &Intake<'_>,
    pieces: &mut P,
) -> Result<Counts, ReadError> {
    source.format.check(Kind::Events)?;
    read_objects(source, intake, ndjson::Layout::Event, pieces)
}

fn read_objects<P: Pieces<Piece: BehaviorSink>>(
    source: &Source<'_>,
    intake: &Intake<'_>,
    layout: ndjson::Layout,
    pieces: &mut P,
) -> Result<Counts, ReadError> {
    let mut sink = OneByOne::new(pieces);
    let mut target = BehaviorTarget::new(intake, &mut sink);
    ndjson::read(source, intake, layout, &mut target)?;
    let counts = target.counts();
    sink.finish().map_err(ReadError::Sink)?;
    Ok(counts)
}

/// The piece with all of its rows.
fn whole<S: Refuse>(
    mut piece: S,
    fill: impl FnOnce(&mut S) -> Result<Counts, ReadError>,
) -> Result<(S, Counts), ReadError> {
    let counts = fill(&mut piece)?;
    piece.end();
    Ok((piece, counts))
}

impl Counts {
    fn add(&mut self, piece: Counts) {
        self.read += piece.read;
        self.rejected += piece.rejected;
    }
}
