//! One event on one day, write side: the buckets are made side by side, then put into one file in their
//! order, which is when tuples and dictionary values get their numbers.

use std::collections::HashMap;
use std::ops::Range;
use std::path::Path;

use crate::dictionary::Interner;
use crate::directory::{ROUND, User};
use crate::enrolment::BucketUsers;
use crate::error::{Result, StoreError};
use crate::event_part::EventMeta;
use crate::event_rows::Rows;
use crate::label_part::slices_of;
use crate::posting_writer::write_postings;
use crate::publication::EventShape;
use crate::sealed::{Kind, Writer, u32_bytes};

/// Dimension values as one bucket knows them, see [`EventBucket::tuple`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple(u32);

/// One row of an event part; `measures` has one number per measure of the shape.
#[derive(Clone, Copy, Debug)]
pub struct EventRow<'a> {
    pub user: User<'a>,
    pub tuple: Tuple,
    pub pv: i64,
    pub measures: &'a [i64],
}

/// Write side of one bucket: rows in any order; rows of one user with the same dimension values are added
/// up.
pub struct EventBucket<'a> {
    shape: &'a EventShape<'a>,
    users: BucketUsers<'a>,
    values: Vec<Interner>,
    tuples: HashMap<Box<[u32]>, u32>,
    /// By tuple: its place in `order`, once a row has it.
    places: Vec<Option<u32>>,
    order: Vec<u32>,
    rows: Rows,
}

impl<'a> EventBucket<'a> {
    pub(crate) fn new(users: BucketUsers<'a>, shape: &'a EventShape<'a>) -> EventBucket<'a> {
        EventBucket {
            shape,
            users,
            values: shape.dimensions.iter().map(|_| Interner::default()).collect(),
            tuples: HashMap::new(),
            places: Vec::new(),
            order: Vec::new(),
            rows: Rows::new(shape.measures.len()),
        }
    }

    /// What rows with these values are added with; `values`: one per dimension of the shape, None = absent.
    pub fn tuple(&mut self, values: &[Option<&str>]) -> Tuple {
        let ids = values.iter().zip(&mut self.values);
        let key: Box<[u32]> = ids.map(|(value, ids)| value.map_or(0, |value| ids.id(value) + 1)).collect();
        let tuple = *self.tuples.entry(key).or_insert(self.places.len() as u32);
        if tuple as usize == self.places.len() {
            self.places.push(None);
        }
        Tuple(tuple)
    }

    /// All users have to be of this bucket.
    pub fn add(&mut self, rows: &[EventRow<'_>]) -> Result<()> {
        for rows in rows.chunks(ROUND) {
            let ordinals = self.users.place(rows, |row| row.user)?;
            for (row, ordinal) in rows.iter().zip(ordinals) {
                let place = *self.places[row.tuple.0 as usize].get_or_insert_with(|| {
                    self.order.push(row.tuple.0);
                    self.order.len() as u32 - 1
                });
                self.rows.push((place, ordinal), row.pv, row.measures);
            }
            self.rows.fold_if_full().ok_or_else(|| too_large(self.shape))?;
        }
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<EventSections> {
        let full = || too_large(self.shape);
        self.rows.fold().ok_or_else(full)?;
        let by_user = self.rows.by_user();
        let mut sums = Vec::new();
        let (mut users, mut idle_users, mut pv) = (0, 0, 0u64);
        for column in 0..self.rows.columns() {
            let column_sums = self.rows.user_sums(column, &by_user).ok_or_else(full)?;
            if column == 0 {
                users = column_sums.len() as u64;
                idle_users = column_sums.iter().filter(|(_, pv)| *pv == 0).count() as u64;
                let total = column_sums.iter().try_fold(0u64, |sum, &(_, pv)| sum.checked_add(pv as u64));
                pv = total.ok_or_else(full)?;
            }
            sums.push(slices_of(&column_sums)?);
        }
        let mut keys: Vec<(Box<[u32]>, u32)> = self.tuples.into_iter().collect();
        keys.sort_unstable_by_key(|&(_, tuple)| tuple);
        let tuples = self.order.iter().map(|&tuple| std::mem::take(&mut keys[tuple as usize].0)).collect();
        let values = self.values.into_iter().map(Interner::into_values).collect();
        Ok(EventSections { values, tuples, rows: self.rows, sums, users, idle_users, pv })
    }
}

/// What a bucket comes to.
pub(crate) struct EventSections {
    /// By dimension.
    values: Vec<Vec<Box<str>>>,
    /// Of each tuple that rows have: 0 = absent, else place in `values` + 1, per dimension.
    tuples: Vec<Box<[u32]>>,
    rows: Rows,
    /// Bit-sliced sums per user: pv, then each measure.
    sums: Vec<Vec<u8>>,
    users: u64,
    idle_users: u64,
    pv: u64,
}

/// Puts the buckets of a part into one file.
pub(crate) struct EventPartWriter<'a> {
    shape: &'a EventShape<'a>,
    writer: Writer,
    meta: EventMeta,
    tuples: HashMap<Box<[u32]>, u32>,
}

impl<'a> EventPartWriter<'a> {
    pub fn create(path: &Path, shape: &'a EventShape<'a>) -> Result<EventPartWriter<'a>> {
        let meta = EventMeta {
            event: shape.event.into(),
            ds: shape.ds,
            dimensions: shape.dimensions.to_vec(),
            measures: shape.measures.to_vec(),
            users: 0,
            idle_users: 0,
            pv: 0,
            rows: 0,
            tuples: 0,
        };
        Ok(EventPartWriter { shape, writer: Writer::create(path)?, meta, tuples: HashMap::new() })
    }

    /// Buckets come in their order, so that numbers are given out in the same one whoever was done first.
    pub fn bucket(&mut self, bucket: u32, sections: EventSections, ids: &mut [Interner]) -> Result<()> {
        if sections.rows.len() == 0 {
            return Ok(());
        }
        self.meta.rows += sections.rows.len() as u64;
        self.meta.users += sections.users;
        self.meta.idle_users += sections.idle_users;
        let pv = self.meta.pv.checked_add(sections.pv);
        self.meta.pv = pv.ok_or_else(|| too_large(self.shape))?;
        let numbers: Vec<u32> =
            sections.tuples.iter().map(|key| self.number(key, &sections.values, ids)).collect();
        // Without dimensions the sums say it all.
        if !self.meta.dimensions.is_empty() {
            self.postings(bucket, &sections.rows, &numbers)?;
        }
        for (column, sums) in sections.sums.iter().enumerate() {
            match column {
                0 => self.writer.section(Kind::Pv, bucket, 0, sums)?,
                column => self.writer.section(Kind::Measure, bucket, column as i64 - 1, sums)?,
            }
        }
        Ok(())
    }

    /// The tuple's number in the part.
    fn number(&mut self, key: &[u32], values: &[Vec<Box<str>>], ids: &mut [Interner]) -> u32 {
        let known = key.iter().zip(values).zip(ids);
        let key: Box<[u32]> = known
            .map(|((&value, values), ids)| match value {
                0 => 0,
                value => ids.id(&values[value as usize - 1]) + 1,
            })
            .collect();
        let next = self.tuples.len() as u32;
        *self.tuples.entry(key).or_insert(next)
    }

    /// Rows come sorted by the bucket's own tuples and are written by the part's, see `numbers`.
    fn postings(&mut self, bucket: u32, rows: &Rows, numbers: &[u32]) -> Result<()> {
        let mut tuples: Vec<(u32, Range<usize>)> = Vec::with_capacity(numbers.len());
        let mut from = 0;
        while from < rows.len() {
            let tuple = rows.tuple(from);
            let upto = (from..rows.len()).find(|&row| rows.tuple(row) != tuple).unwrap_or(rows.len());
            tuples.push((numbers[tuple as usize], from..upto));
            from = upto;
        }
        tuples.sort_unstable_by_key(|tuple| tuple.0);
        write_postings(&mut self.writer, bucket, rows, tuples)
    }

    /// Seals the file.
    pub fn finish(mut self) -> Result<EventMeta> {
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

fn too_large(shape: &EventShape<'_>) -> StoreError {
    StoreError::TooLarge { event: shape.event.into(), ds: shape.ds }
}
