//! One event on one day, read side: bit-sliced day sums of pv and measures per user, and postings per
//! tuple of dimension values for rules that name one.

use std::sync::Arc;

use muster_bitmaps::{BitmapView, SlicesView};
use muster_days::Ds;
use serde::{Deserialize, Serialize};

use crate::error::{Result, StoreError};
use crate::postings::Postings;
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

    /// pv of the day per user, whatever the dimensions; None when the bucket has no rows.
    pub fn pv(&self, bucket: u32) -> Result<Option<SlicesView<'_>>> {
        column(&self.file, Kind::Pv, bucket, 0)
    }

    /// The users with any row, whatever its pv; None when the bucket has none.
    pub fn active(&self, bucket: u32) -> Result<Option<BitmapView<'_>>> {
        let Some(bytes) = self.file.section(Kind::Pv, bucket, 0) else { return Ok(None) };
        let damaged = |error| StoreError::damaged(self.file.path(), format!("{:?}: {error}", Kind::Pv));
        SlicesView::parse_exists_trusted(bytes).map(Some).map_err(damaged)
    }

    /// Sum of the measure per user, 0 included; None when the day has no such measure or the bucket no rows.
    pub fn measure(&self, bucket: u32, name: &str) -> Result<Option<SlicesView<'_>>> {
        let Some(number) = self.measure_number(name) else { return Ok(None) };
        column(&self.file, Kind::Measure, bucket, number as i64)
    }

    pub fn measure_number(&self, name: &str) -> Option<usize> {
        self.meta.measures.iter().position(|measure| measure == name)
    }

    /// The dictionary id of tuple `tuple` in dimension number `dimension`; None = absent.
    pub fn tuple_value(&self, tuple: u32, dimension: usize) -> Option<u32> {
        let tuples = self.file.section(Kind::Tuples, 0, 0)?;
        u32_at(tuples, tuple as usize * self.meta.dimensions.len() + dimension).checked_sub(1)
    }

    /// Rows of the bucket by tuple; None when it has none, or the event no dimensions: rules can't name any
    /// then, and the sums say it all.
    pub fn postings(&self, bucket: u32) -> Result<Option<Postings<'_>>> {
        Postings::open(&self.file, &self.meta, bucket)
    }
}

/// A bit-sliced column of a file of sums; None when the file has none.
pub(crate) fn column(file: &Sealed, kind: Kind, bucket: u32, key: i64) -> Result<Option<SlicesView<'_>>> {
    let Some(bytes) = file.section(kind, bucket, key) else { return Ok(None) };
    let damaged = |error| StoreError::damaged(file.path(), format!("{kind:?}: {error}"));
    SlicesView::parse_trusted(bytes).map(Some).map_err(damaged)
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
