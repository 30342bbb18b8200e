//! One event on one day, write side.

use std::collections::HashMap;
use std::path::Path;

use muster_days::Ds;

use crate::dictionary::Interner;
use crate::error::{Result, StoreError};
use crate::event_part::{EventMeta, encode_numbers};
use crate::label_part::slices_of;
use crate::sealed::{Kind, Writer, u32_bytes};

/// Rows kept before equal ones are added up (40 bytes and 8 per measure each).
const FOLD_AT: usize = 1 << 21;

/// Rows come bucket by bucket, in any order inside a bucket; rows of one user with the same dimension
/// values are added up.
pub(crate) struct EventPartWriter {
    writer: Writer,
    meta: EventMeta,
    tuples: HashMap<Box<[u32]>, u32>,
    tuple: Vec<u32>,
    bucket: u32,
    rows: Rows,
}

/// Rows of the current bucket; `measures` has one stride per row.
#[derive(Default)]
struct Rows {
    stride: usize,
    keys: Vec<(u32, u32)>,
    pv: Vec<i64>,
    measures: Vec<i64>,
    fold_at: usize,
}

impl EventPartWriter {
    pub fn create(
        path: &Path,
        event: &str,
        ds: Ds,
        dimensions: &[String],
        measures: &[String],
    ) -> Result<Self> {
        let meta = EventMeta {
            event: event.into(),
            ds,
            dimensions: dimensions.to_vec(),
            measures: measures.to_vec(),
            users: 0,
            idle_users: 0,
            pv: 0,
            rows: 0,
            tuples: 0,
        };
        let rows = Rows { stride: measures.len(), fold_at: FOLD_AT, ..Rows::default() };
        let writer = Writer::create(path)?;
        Ok(EventPartWriter { writer, meta, tuples: HashMap::new(), tuple: Vec::new(), bucket: 0, rows })
    }

    /// `values`: one per dimension of the file, None = absent; `measures`: one per measure.
    pub fn add(
        &mut self,
        (bucket, ordinal): (u32, u32),
        pv: i64,
        values: &[Option<&str>],
        measures: &[i64],
        interners: &mut [Interner],
    ) -> Result<()> {
        if bucket != self.bucket {
            self.write_bucket()?;
            self.bucket = bucket;
        }
        self.tuple.clear();
        for (value, interner) in values.iter().zip(interners) {
            self.tuple.push(value.map_or(0, |value| interner.id(value) + 1));
        }
        let tuple = match self.tuples.get(&self.tuple[..]) {
            Some(&tuple) => tuple,
            None => {
                let tuple = self.tuples.len() as u32;
                self.tuples.insert(self.tuple.as_slice().into(), tuple);
                tuple
            }
        };
        self.rows.keys.push((tuple, ordinal));
        self.rows.pv.push(pv);
        self.rows.measures.extend_from_slice(measures);
        if self.rows.keys.len() >= self.rows.fold_at {
            self.rows.fold().ok_or_else(|| too_large(&self.meta))?;
            self.rows.fold_at = (self.rows.keys.len() * 2).max(FOLD_AT);
        }
        Ok(())
    }

    fn write_bucket(&mut self) -> Result<()> {
        let mut rows = std::mem::take(&mut self.rows);
        self.rows = Rows { stride: rows.stride, fold_at: FOLD_AT, ..Rows::default() };
        if rows.keys.is_empty() {
            return Ok(());
        }
        rows.fold().ok_or_else(|| too_large(&self.meta))?;
        let mut starts = Vec::new();
        for (row, (tuple, _)) in rows.keys.iter().enumerate() {
            if row == 0 || rows.keys[row - 1].0 != *tuple {
                starts.extend([*tuple, row as u32]);
            }
        }
        let bucket = self.bucket;
        self.meta.rows += rows.keys.len() as u64;
        self.writer.section(Kind::PostingStarts, bucket, 0, &u32_bytes(starts))?;
        let ordinals = u32_bytes(rows.keys.iter().map(|key| key.1));
        self.writer.section(Kind::PostingOrdinals, bucket, 0, &ordinals)?;
        for column in 0..=rows.stride {
            let bytes = encode_numbers((0..rows.keys.len()).map(|row| rows.number(column, row)));
            self.writer.section(Kind::PostingNumbers, bucket, column as i64, &bytes)?;
            let sums = rows.user_sums(column).ok_or_else(|| too_large(&self.meta))?;
            if column == 0 {
                self.meta.users += sums.len() as u64;
                self.meta.idle_users += sums.iter().filter(|(_, pv)| *pv == 0).count() as u64;
                let total = sums.iter().try_fold(self.meta.pv, |sum, &(_, pv)| sum.checked_add(pv as u64));
                self.meta.pv = total.ok_or_else(|| too_large(&self.meta))?;
                self.writer.section(Kind::Pv, bucket, 0, &slices_of(&sums)?)?;
            } else {
                self.writer.section(Kind::Measure, bucket, column as i64 - 1, &slices_of(&sums)?)?;
            }
        }
        Ok(())
    }

    /// Seals the file.
    pub fn finish(mut self) -> Result<EventMeta> {
        self.write_bucket()?;
        self.meta.tuples = self.tuples.len() as u32;
        let mut tuples: Vec<(&[u32], u32)> = self.tuples.iter().map(|(tuple, &id)| (&**tuple, id)).collect();
        tuples.sort_unstable_by_key(|&(_, id)| id);
        let bytes = u32_bytes(tuples.iter().flat_map(|(tuple, _)| tuple.iter().copied()));
        self.writer.section(Kind::Tuples, 0, 0, &bytes)?;
        let json = serde_json::to_vec(&self.meta).map_err(|error| StoreError::Full(error.to_string()))?;
        self.writer.section(Kind::Meta, 0, 0, &json)?;
        self.writer.seal()?;
        Ok(self.meta)
    }
}

fn too_large(meta: &EventMeta) -> StoreError {
    StoreError::TooLarge { event: meta.event.clone(), ds: meta.ds }
}

/// None only when the sum itself does not fit, whatever the order of the numbers.
fn sum(numbers: impl Iterator<Item = i64>) -> Option<i64> {
    i64::try_from(numbers.map(i128::from).sum::<i128>()).ok()
}

impl Rows {
    fn number(&self, column: usize, row: usize) -> i64 {
        match column {
            0 => self.pv[row],
            column => self.measures[row * self.stride + column - 1],
        }
    }

    /// Sorts by (tuple, ordinal) and adds up rows with equal keys. None when a sum does not fit 64 bits.
    fn fold(&mut self) -> Option<()> {
        let mut order: Vec<u32> = (0..self.keys.len() as u32).collect();
        order.sort_unstable_by_key(|&row| self.keys[row as usize]);
        let mut folded = Rows { stride: self.stride, fold_at: self.fold_at, ..Rows::default() };
        for rows in order.chunk_by(|&a, &b| self.keys[a as usize] == self.keys[b as usize]) {
            let sum = |column| sum(rows.iter().map(|&row| self.number(column, row as usize)));
            folded.keys.push(self.keys[rows[0] as usize]);
            folded.pv.push(sum(0)?);
            for column in 1..=self.stride {
                folded.measures.push(sum(column)?);
            }
        }
        *self = folded;
        Some(())
    }

    /// The column's sum per user over all tuples, by ordinal. None when one does not fit 64 bits.
    fn user_sums(&self, column: usize) -> Option<Vec<(u32, i64)>> {
        let rows = self.keys.iter().enumerate();
        let mut numbers: Vec<(u32, i64)> = rows.map(|(row, key)| (key.1, self.number(column, row))).collect();
        numbers.sort_unstable_by_key(|&(ordinal, _)| ordinal);
        let users = numbers.chunk_by(|a, b| a.0 == b.0);
        users.map(|rows| Some((rows[0].0, sum(rows.iter().map(|row| row.1))?))).collect()
    }
}
