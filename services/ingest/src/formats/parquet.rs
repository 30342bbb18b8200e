//! Parquet, batch by batch: every column becomes text cells, exactly, and goes through the same checks
//! as CSV. Types that text can't hold exactly (floats, timestamps, nested ones) are refused by column.

use std::fs::File;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use arrow::array::{Array, ArrayRef, AsArray, BinaryArray, RecordBatch, StringArray};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Date32Type, Field, Schema};
use parquet::arrow::arrow_reader::{ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use super::columns::check_count;
use super::in_order::in_order;
use super::source::open_seekable;
use super::target::{Record, Target};
use super::{Counts, Intake, ReadError, Source};
use crate::rows::Pieces;

const MAX_BATCH_ROWS: usize = 8192;
/// A batch of wide rows is made shorter, to about this many bytes.
const BATCH_BYTES: i64 = 32 << 20;

/// Some rows of the file, decoded.
pub(super) struct Batch<'a> {
    batch: RecordBatch,
    names: &'a [String],
    /// Rows of the file before these.
    before: u64,
}

/// Decodes the file batch by batch; `read_batch` turns these into rows side by side.
pub(super) fn read<P: Pieces>(
    source: &Source<'_>,
    intake: &Intake<'_>,
    pieces: &mut P,
    read_batch: impl Fn(Batch<'_>) -> Result<(P::Piece, Counts), ReadError> + Sync,
) -> Result<Counts, ReadError> {
    let (file, _copy) = open_seekable(source, intake)?;
    let bytes = std::fs::metadata(source.path).map_err(ReadError::Io)?.len();
    // What Arrow writers add about dictionaries and views is not needed, every column ends as text.
    let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
    let builder =
        guarded("in its footer", || ParquetRecordBatchReaderBuilder::try_new_with_options(file, options))?;
    let schema = builder.schema().clone();
    check_count(schema.fields().len())?;
    let names: Vec<String> = schema.fields().iter().map(|field| field.name().clone()).collect();
    let mut counts = Counts::default();
    // A batch of none, for what is wrong with the columns' names.
    read_batch(Batch { batch: RecordBatch::new_empty(Arc::new(Schema::empty())), names: &names, before: 0 })?;
    schema.fields().iter().try_for_each(|field| check_type(field))?;

    let rows = builder.metadata().file_metadata().num_rows().max(1) as u64;
    let batch_rows = batch_rows(&builder);
    let mut reader = guarded("in its footer", || builder.with_batch_size(batch_rows).build())?;
    let mut before = 0;
    in_order(
        || {
            if (intake.stopped)() {
                return Err(ReadError::Stopped);
            }
            let share = before.min(rows) as f64 / rows as f64;
            intake.consumed.store((bytes as f64 * share) as u64, Ordering::Relaxed);
            let batch = guarded(&place(before), || reader.next().transpose())?;
            Ok(batch.map(|batch| {
                let batch = Batch { batch, names: &names, before };
                before += batch.batch.num_rows() as u64;
                batch
            }))
        },
        read_batch,
        |(piece, read)| {
            counts.add(read);
            pieces.take(piece).map_err(ReadError::Sink)
        },
    )?;
    Ok(counts)
}

fn place(before: u64) -> String {
    format!("after row {before}")
}

/// Hands each row of a batch to the target.
pub(super) fn rows(batch: Batch<'_>, target: &mut impl Target) -> Result<(), ReadError> {
    let Batch { batch, names, before } = batch;
    target.header(names)?;
    let columns = names.iter().zip(batch.columns());
    let columns = guarded(&place(before), || columns.map(|(name, array)| Column::of(name, array)).collect())?;
    let mut row = Row { columns, row: 0 };
    for index in 0..batch.num_rows() {
        let number = before + index as u64 + 1;
        row.row = index;
        match row.columns.iter().position(|column| column.broken(index)) {
            None => target.record(number, &row)?,
            Some(column) => {
                let value = row.columns[column].lossy(index);
                target.refuse(number, &names[column], "not UTF-8".into(), &value)?;
            }
        }
    }
    Ok(())
}

/// An error of the library as one of the file. It still panics on some damaged pages; that is the
/// file's fault as well, and nothing of the reader is used afterwards.
fn guarded<T, E: std::fmt::Display>(
    place: &str,
    step: impl FnOnce() -> Result<T, E>,
) -> Result<T, ReadError> {
    let corrupt = |detail: String| ReadError::Corrupt { place: place.to_owned(), detail };
    match catch_unwind(AssertUnwindSafe(step)) {
        Ok(outcome) => outcome.map_err(|err| match err.to_string() {
            // The library's words for a codec that is not built in.
            text if text.contains("Disabled feature at compile time") => ReadError::Unsupported(
                "the file's compression is not supported: write it with snappy, gzip, zstd, lz4 or none"
                    .into(),
            ),
            text => corrupt(text),
        }),
        Err(_) => Err(corrupt("its content contradicts itself".into())),
    }
}

fn batch_rows(builder: &ParquetRecordBatchReaderBuilder<File>) -> usize {
    let groups = builder.metadata().row_groups().iter();
    let widest = groups.map(|group| group.total_byte_size() / group.num_rows().max(1)).max().unwrap_or(0);
    ((BATCH_BYTES / widest.max(1)) as usize).clamp(1, MAX_BATCH_ROWS)
}

fn check_type(field: &Field) -> Result<(), ReadError> {
    use DataType::*;
    match field.data_type() {
        Int8 | Int16 | Int32 | Int64 | UInt8 | UInt16 | UInt32 | UInt64 => Ok(()),
        Utf8 | Binary | Boolean | Date32 | Null => Ok(()),
        Decimal32(_, 0) | Decimal64(_, 0) | Decimal128(_, 0) | Decimal256(_, 0) => Ok(()),
        other => Err(ReadError::Column {
            column: field.name().clone(),
            detail: format!("it is {other}; integers, text, booleans and dates are accepted"),
        }),
    }
}

/// A column of one batch, as text. Bytes that nobody has checked yet stay bytes.
enum Column {
    Text(StringArray),
    Bytes(BinaryArray),
}

impl Column {
    fn of(name: &str, array: &ArrayRef) -> Result<Column, arrow::error::ArrowError> {
        if let Some(bytes) = array.as_binary_opt::<i32>() {
            return Ok(Column::Bytes(bytes.clone()));
        }
        if let (true, Some(days)) = (name == "ds", array.as_primitive_opt::<Date32Type>()) {
            let written =
                |day| Date32Type::to_naive_date_opt(day).map(|date| date.format("%Y%m%d").to_string());
            return Ok(Column::Text(days.iter().map(|day| day.and_then(written)).collect()));
        }
        let exact = CastOptions { safe: false, ..CastOptions::default() };
        let text = match array.data_type() {
            DataType::Null => Arc::new(StringArray::new_null(array.len())) as ArrayRef,
            _ => cast_with_options(array, &DataType::Utf8, &exact)?,
        };
        Ok(Column::Text(text.as_string::<i32>().clone()))
    }

    fn broken(&self, row: usize) -> bool {
        match self {
            Column::Text(_) => false,
            Column::Bytes(bytes) => bytes.is_valid(row) && std::str::from_utf8(bytes.value(row)).is_err(),
        }
    }

    fn lossy(&self, row: usize) -> String {
        match self {
            Column::Text(text) => text.value(row).to_owned(),
            Column::Bytes(bytes) => String::from_utf8_lossy(bytes.value(row)).into_owned(),
        }
    }
}

struct Row {
    columns: Vec<Column>,
    row: usize,
}

impl Record for Row {
    fn cell(&self, column: usize) -> &str {
        match &self.columns[column] {
            Column::Text(text) if text.is_valid(self.row) => text.value(self.row),
            // `hand_on` refused the row if this is not UTF-8.
            Column::Bytes(bytes) if bytes.is_valid(self.row) => {
                std::str::from_utf8(bytes.value(self.row)).unwrap_or_default()
            }
            _ => "",
        }
    }
}
