//! What a reader hands on: good rows, borrowed from its buffers, and bad rows with place and reason.
//! A row lives until the sink returns; a sink copies what it keeps.

use std::io;

use muster_days::Ds;

/// Longest app id and user id, in bytes.
pub const MAX_ID: usize = 128;
/// Longest name of a label, tag or event, in bytes.
pub const MAX_NAME: usize = 256;
/// Longest name of a dimension or measure, in bytes.
pub const MAX_COLUMN_NAME: usize = 128;
/// Longest value of a dimension, in bytes.
pub const MAX_VALUE: usize = 4096;

/// One user carries one tag of a label on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LabelRow<'a> {
    pub ds: Ds,
    pub app: &'a str,
    pub label_id: i64,
    pub label_name: &'a str,
    pub user: &'a str,
    pub tag_id: i64,
    pub tag_name: &'a str,
    /// `tag_value`; `None` when the column is absent or empty.
    pub weight: Option<i64>,
}

/// One user's total of one event with one set of dimension values on one day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BehaviorRow<'a> {
    pub ds: Ds,
    pub app: &'a str,
    pub user: &'a str,
    pub event: &'a str,
    /// Never above `i64::MAX`.
    pub pv: u64,
    /// Present dimensions: index in `names.dimensions`, and the value, which is never empty.
    pub dimensions: &'a [(usize, &'a str)],
    /// Present measures: index in `names.measures`, and the number.
    pub measures: &'a [(usize, i64)],
    pub names: &'a Names,
}

/// Names of the dimensions and measures of one file. An index keeps its meaning for the whole file;
/// a file without a header (NDJSON) may append names while it is read.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Names {
    pub dimensions: Vec<String>,
    pub measures: Vec<String>,
}

/// A row that was refused, and the first thing that is wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadRow<'a> {
    /// Text: the physical line, from 1, on which the record begins, after decompression.
    /// Parquet: the number of the row, from 1.
    pub line: u64,
    /// Empty when the row as a whole is wrong.
    pub column: &'a str,
    pub reason: &'a str,
    /// The refused value as it came; may be a user id.
    pub value: &'a str,
}

/// Takes the bad rows. An error stops the reading.
pub trait Refuse {
    fn refuse(&mut self, bad: &BadRow<'_>) -> io::Result<()>;

    /// There are no more rows for this sink.
    fn end(&mut self) {}
}

/// Takes the rows of a labels file. `line` is counted as in [`BadRow::line`].
pub trait LabelSink: Refuse {
    fn label(&mut self, line: u64, row: &LabelRow<'_>) -> io::Result<()>;
}

/// Takes the rows of a behaviour or events file. `line` is counted as in [`BadRow::line`].
pub trait BehaviorSink: Refuse {
    fn behavior(&mut self, line: u64, row: &BehaviorRow<'_>) -> io::Result<()>;
}

/// Takes a whole file in pieces, which may be filled side by side, on any threads.
pub trait Pieces {
    /// A sink for some rows that follow each other.
    type Piece: Refuse + Send;

    /// What makes empty pieces.
    fn start(&self) -> impl Fn() -> Self::Piece + Sync + use<Self>;

    /// Pieces come in the order of the file, each after its end.
    fn take(&mut self, piece: Self::Piece) -> io::Result<()>;
}
