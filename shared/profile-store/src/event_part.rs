//! One event on one day, read side: bit-sliced day sums of pv and measures per user, and postings per
//! tuple of dimension values for rules that name one.

use std::ops::Range;
use std::sync::Arc;

use muster_bitmaps::SlicesView;
use muster_days::Ds;
use serde::{Deserialize, Serialize};

use crate::error::{Result, StoreError};
use crate::sealed::{Kind, Sealed, u32_at};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventMeta {
    pub event: String,
    pub ds: Ds,
    /// Column order of the tuples.
    pub dimensions: Vec<String>,
    /// Number of a measure in the file.
    pub measures: Vec<String>,
    pub users: u64,
    /// Users whose rows add up to a pv of 0.
    pub idle_users: u64,
    pub pv: u64,
    /// (tuple, user) pairs.
    pub rows: u64,
    pub tuples: u32,
}

pub struct EventPart {
    file: Arc<Sealed>,
    meta: EventMeta,
}

impl EventPart {
    pub(crate) fn new(file: Arc<Sealed>) -> Result<EventPart> {
        let meta: EventMeta = file.meta()?;
        let tuples = file.need(Kind::Tuples, 0, 0)?;
        // Without dimensions all rows have the one empty tuple.
        let most = if meta.dimensions.is_empty() { 1 } else { u32::MAX };
        if tuples.len() != meta.tuples as usize * meta.dimensions.len() * 4 || meta.tuples > most {
            return Err(StoreError::damaged(file.path(), "tuples differ from the meta section"));
        }
        Ok(EventPart { meta, file })
    }

    pub fn meta(&self) -> &EventMeta {
        &self.meta
    }

    pub fn byte_len(&self) -> usize {
        self.file.byte_len()
    }

    /// pv of the day per user, whatever the dimensions; None when the bucket has no rows.
    pub fn pv(&self, bucket: u32) -> Result<Option<SlicesView<'_>>> {
        self.slices(Kind::Pv, bucket, 0)
    }

    /// Sum of the measure per user, 0 included; None when the day has no such measure or the bucket no rows.
    pub fn measure(&self, bucket: u32, name: &str) -> Result<Option<SlicesView<'_>>> {
        let Some(number) = self.measure_number(name) else { return Ok(None) };
        self.slices(Kind::Measure, bucket, number as i64)
    }

    pub fn measure_number(&self, name: &str) -> Option<usize> {
        self.meta.measures.iter().position(|measure| measure == name)
    }

    fn slices(&self, kind: Kind, bucket: u32, key: i64) -> Result<Option<SlicesView<'_>>> {
        let Some(bytes) = self.file.section(kind, bucket, key) else { return Ok(None) };
        let damaged = |error| StoreError::damaged(self.file.path(), format!("{kind:?}: {error}"));
        SlicesView::parse_trusted(bytes).map(Some).map_err(damaged)
    }

    /// The dictionary id of tuple `tuple` in dimension number `dimension`; None = absent.
    pub fn tuple_value(&self, tuple: u32, dimension: usize) -> Option<u32> {
        let tuples = self.file.section(Kind::Tuples, 0, 0)?;
        u32_at(tuples, tuple as usize * self.meta.dimensions.len() + dimension).checked_sub(1)
    }

    /// Rows of the bucket by tuple; None when it has none.
    pub fn postings(&self, bucket: u32) -> Result<Option<Postings<'_>>> {
        let Some(starts) = self.file.section(Kind::PostingStarts, bucket, 0) else { return Ok(None) };
        let ordinals = self.file.need(Kind::PostingOrdinals, bucket, 0)?;
        let damaged = |what: &str| StoreError::damaged(self.file.path(), what);
        let rows = ordinals.len() / 4;
        let (mut last_tuple, mut last_row) = (None, 0);
        for entry in starts.chunks_exact(8) {
            let (tuple, row) = (u32_at(entry, 0), u32_at(entry, 1) as usize);
            if row < last_row || row > rows || tuple >= self.meta.tuples || last_tuple >= Some(tuple) {
                return Err(damaged("posting starts"));
            }
            (last_tuple, last_row) = (Some(tuple), row);
        }
        let numbers: Result<Vec<Numbers<'_>>> = (0..=self.meta.measures.len())
            .map(|key| {
                let bytes = self.file.need(Kind::PostingNumbers, bucket, key as i64)?;
                Numbers::parse(bytes, rows).ok_or_else(|| damaged("posting numbers"))
            })
            .collect();
        Ok(Some(Postings { starts, ordinals, numbers: numbers? }))
    }
}

/// The rows of one bucket, sorted by tuple, then ordinal.
pub struct Postings<'a> {
    starts: &'a [u8],
    ordinals: &'a [u8],
    numbers: Vec<Numbers<'a>>,
}

impl<'a> Postings<'a> {
    /// Every tuple that has rows, ascending, with its rows.
    pub fn tuples(&self) -> impl Iterator<Item = (u32, Range<usize>)> + '_ {
        let n = self.starts.len() / 8;
        (0..n).map(move |i| {
            let end =
                if i + 1 < n { u32_at(self.starts, 2 * i + 3) as usize } else { self.ordinals.len() / 4 };
            (u32_at(self.starts, 2 * i), u32_at(self.starts, 2 * i + 1) as usize..end)
        })
    }

    pub fn ordinal(&self, row: usize) -> u32 {
        u32_at(self.ordinals, row)
    }

    /// The part of `rows` (rows of one tuple) whose ordinals lie in `[from, to)`.
    pub fn between(&self, rows: Range<usize>, from: u64, to: u64) -> Range<usize> {
        let first = |wanted: u64| {
            let (mut low, mut high) = (rows.start, rows.end);
            while low < high {
                let middle = low + (high - low) / 2;
                if u64::from(self.ordinal(middle)) < wanted {
                    low = middle + 1;
                } else {
                    high = middle;
                }
            }
            low
        };
        first(from)..first(to)
    }

    /// Column 0 is pv, column 1 + i measure number i.
    pub fn number(&self, column: usize, row: usize) -> i64 {
        self.numbers[column].at(row)
    }
}

/// A column of integers in the narrowest of 1, 2, 4 or 8 bytes, sign-extended.
struct Numbers<'a> {
    width: usize,
    bytes: &'a [u8],
}

impl<'a> Numbers<'a> {
    fn parse(bytes: &'a [u8], rows: usize) -> Option<Numbers<'a>> {
        let (&width, bytes) = bytes.split_first()?;
        let width = usize::from(width);
        ([1, 2, 4, 8].contains(&width) && bytes.len() == rows * width).then_some(Numbers { width, bytes })
    }

    fn at(&self, row: usize) -> i64 {
        let bytes = &self.bytes[row * self.width..(row + 1) * self.width];
        match *bytes {
            [a] => i64::from(a as i8),
            [a, b] => i64::from(i16::from_le_bytes([a, b])),
            [a, b, c, d] => i64::from(i32::from_le_bytes([a, b, c, d])),
            _ => i64::from_le_bytes(bytes.try_into().expect("eight bytes")),
        }
    }
}

/// The bytes of a number column.
pub(crate) fn encode_numbers(numbers: impl Iterator<Item = i64> + Clone) -> Vec<u8> {
    let width = numbers.clone().fold(1, |width: u8, n| {
        let needs = match n {
            n if i8::try_from(n).is_ok() => 1,
            n if i16::try_from(n).is_ok() => 2,
            n if i32::try_from(n).is_ok() => 4,
            _ => 8,
        };
        width.max(needs)
    });
    let mut bytes = vec![width];
    for n in numbers {
        bytes.extend_from_slice(&n.to_le_bytes()[..usize::from(width)]);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sealed::Writer;

    #[test]
    fn tuples_that_no_bytes_stand_for_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("e");
        let open = |tuples: u32| {
            let meta = EventMeta {
                event: "order".into(),
                ds: Ds::from_number(20261101).unwrap(),
                dimensions: Vec::new(),
                measures: Vec::new(),
                users: 0,
                idle_users: 0,
                pv: 0,
                rows: 0,
                tuples,
            };
            let mut writer = Writer::create(&path).unwrap();
            writer.section(Kind::Meta, 0, 0, &serde_json::to_vec(&meta).unwrap()).unwrap();
            writer.section(Kind::Tuples, 0, 0, &[]).unwrap();
            writer.seal().unwrap();
            EventPart::new(Arc::new(Sealed::open(&path).unwrap()))
        };
        assert!(open(0).is_ok() && open(1).is_ok());
        let error = open(u32::MAX).err().unwrap().to_string();
        assert!(error.contains(path.to_str().unwrap()), "{error}");
    }
}
