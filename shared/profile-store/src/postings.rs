//! The rows of one event on one day in one bucket, sorted by tuple of dimension values, then ordinal: for
//! rules that name a value.

use std::cmp::Ordering;
use std::ops::Range;

use crate::error::{Result, StoreError};
use crate::event_part::EventMeta;
use crate::numbers::Numbers;
use crate::sealed::{Kind, Sealed, u32_at};

pub struct Postings<'a> {
    ordinals: Ordinals<'a>,
    /// pv, then each measure.
    numbers: Vec<Numbers<'a>>,
}

/// What the rows of a tuple begin with and end before: in blocks, or in rows in files of version 1.
#[derive(Clone, Debug)]
pub struct TupleRows(Range<usize>);

enum Ordinals<'a> {
    /// Entries of `Kind::PostingBlocks`, and the places of all rows.
    Blocks { entries: &'a [[u8; 12]], places: &'a [[u8; 2]] },
    /// Entries of `Kind::PostingStarts`, and the ordinals of all rows.
    Whole { starts: &'a [[u8; 8]], ordinals: &'a [[u8; 4]] },
}

impl<'a> Postings<'a> {
    pub(crate) fn open(file: &'a Sealed, meta: &EventMeta, bucket: u32) -> Result<Option<Postings<'a>>> {
        let damaged = |what: &str| StoreError::damaged(file.path(), what);
        let ordinals = if let Some(entries) = file.section(Kind::PostingBlocks, bucket, 0) {
            let places = file.need(Kind::PostingPlaces, bucket, 0)?;
            Ordinals::Blocks { entries: entries.as_chunks().0, places: places.as_chunks().0 }
        } else if let Some(starts) = file.section(Kind::PostingStarts, bucket, 0) {
            let ordinals = file.need(Kind::PostingOrdinals, bucket, 0)?;
            Ordinals::Whole { starts: starts.as_chunks().0, ordinals: ordinals.as_chunks().0 }
        } else {
            return Ok(None);
        };
        if !ordinals.in_order(meta.tuples) {
            return Err(damaged("posting starts"));
        }
        let numbers: Result<Vec<Numbers<'_>>> = (0..=meta.measures.len())
            .map(|key| {
                let bytes = file.need(Kind::PostingNumbers, bucket, key as i64)?;
                Numbers::parse(bytes, ordinals.rows()).ok_or_else(|| damaged("posting numbers"))
            })
            .collect();
        Ok(Some(Postings { ordinals, numbers: numbers? }))
    }

    /// Every tuple that has rows, ascending, with its rows.
    pub fn tuples(&self) -> impl Iterator<Item = (u32, TupleRows)> + '_ {
        let mut next = 0;
        std::iter::from_fn(move || {
            let (tuple, rows, after) = self.ordinals.tuple_from(next)?;
            next = after;
            Some((tuple, TupleRows(rows)))
        })
    }

    /// The blocks of 65,536 ordinals in which the tuple has rows, ascending, with these.
    pub fn blocks(&self, rows: &TupleRows) -> Vec<(u16, Range<usize>)> {
        match &self.ordinals {
            Ordinals::Blocks { entries, .. } => {
                let of = |at| (self.ordinals.number(at, 1) as u16, self.ordinals.rows_of(at, entries.len()));
                rows.0.clone().map(of).collect()
            }
            Ordinals::Whole { ordinals, .. } => {
                let mut blocks: Vec<(u16, Range<usize>)> = Vec::new();
                for row in rows.0.clone() {
                    let [.., low, high] = ordinals[row];
                    let block = u16::from_le_bytes([low, high]);
                    match blocks.last_mut() {
                        Some((last, rows)) if *last == block => rows.end = row + 1,
                        _ => blocks.push((block, row..row + 1)),
                    }
                }
                blocks
            }
        }
    }

    /// The row's ordinal less that of its block's first.
    pub fn place(&self, row: usize) -> u16 {
        match self.ordinals {
            Ordinals::Blocks { places, .. } => u16::from_le_bytes(places[row]),
            Ordinals::Whole { ordinals, .. } => u32::from_le_bytes(ordinals[row]) as u16,
        }
    }

    /// The row at `place`, of the rows of one tuple in one block.
    pub fn find(&self, rows: Range<usize>, place: u16) -> Option<usize> {
        let (mut low, mut high) = (rows.start, rows.end);
        while low < high {
            let middle = low + (high - low) / 2;
            match self.place(middle).cmp(&place) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    /// Bytes that so many rows' places and numbers in the column take.
    pub fn bytes_of(&self, rows: usize, column: usize) -> usize {
        let place = if let Ordinals::Blocks { .. } = self.ordinals { 2 } else { 4 };
        rows * place + self.numbers[column].bytes_of(rows)
    }

    /// Column 0 is pv, column 1 + i measure number i.
    pub fn number(&self, column: usize, row: usize) -> i64 {
        self.numbers[column].at(row)
    }

    /// Calls `visit` with place and number of each row.
    pub fn for_each(&self, rows: Range<usize>, column: usize, mut visit: impl FnMut(u16, i64)) {
        let numbers = &self.numbers[column];
        match &self.ordinals {
            Ordinals::Blocks { places, .. } => {
                let places = &places[rows.clone()];
                numbers.for_each(rows, places, |place, number| visit(u16::from_le_bytes(place), number));
            }
            Ordinals::Whole { .. } => rows.for_each(|row| visit(self.place(row), numbers.at(row))),
        }
    }
}

impl Ordinals<'_> {
    fn rows(&self) -> usize {
        match self {
            Ordinals::Blocks { places, .. } => places.len(),
            Ordinals::Whole { ordinals, .. } => ordinals.len(),
        }
    }

    fn entries(&self) -> usize {
        match self {
            Ordinals::Blocks { entries, .. } => entries.len(),
            Ordinals::Whole { starts, .. } => starts.len(),
        }
    }

    /// Number `field` of an entry; the last one is its first row.
    fn number(&self, entry: usize, field: usize) -> u32 {
        match self {
            Ordinals::Blocks { entries, .. } => u32_at(&entries[entry], field),
            Ordinals::Whole { starts, .. } => u32_at(&starts[entry], field),
        }
    }

    fn first_row(&self, entry: usize) -> usize {
        let field = if let Ordinals::Blocks { .. } = self { 2 } else { 1 };
        self.number(entry, field) as usize
    }

    fn rows_of(&self, entry: usize, entries: usize) -> Range<usize> {
        let end = if entry + 1 < entries { self.first_row(entry + 1) } else { self.rows() };
        self.first_row(entry)..end
    }

    /// Entries ascend, and so do their first rows.
    fn in_order(&self, tuples: u32) -> bool {
        let mut last = None;
        let mut last_row = 0;
        (0..self.entries()).all(|entry| {
            let block = if let Ordinals::Blocks { .. } = self { self.number(entry, 1) } else { 0 };
            let (key, row) = ((self.number(entry, 0), block), self.first_row(entry));
            let fits = last < Some(key) && key.0 < tuples && block <= 0xffff;
            let fits = fits && last_row <= row && row <= self.rows();
            (last, last_row) = (Some(key), row);
            fits
        })
    }

    /// The tuple of entry `from`, its [`TupleRows`], and the entry after them.
    fn tuple_from(&self, from: usize) -> Option<(u32, Range<usize>, usize)> {
        if from >= self.entries() {
            return None;
        }
        let tuple = self.number(from, 0);
        if let Ordinals::Whole { .. } = self {
            return Some((tuple, self.rows_of(from, self.entries()), from + 1));
        }
        let more = (from..self.entries()).take_while(|&entry| self.number(entry, 0) == tuple).count();
        Some((tuple, from..from + more, from + more))
    }
}
