//! Has a tag whose weight satisfies a comparison.

use std::sync::Arc;

use muster_bitmaps::{Block, SlicesView};
use muster_days::Ds;
use muster_profile_store::{LabelPart, Place, Snapshot, StoreError};
use muster_rules::Compare;

use super::tags::label_part;
use crate::explain::{Evidence, Weighed};
use crate::order::Outlook;
use crate::scratch::Scratch;
use crate::totals::Interval;

pub(crate) struct Weight {
    part: Option<Arc<LabelPart>>,
    tags: Vec<i64>,
    compare: Compare,
}

pub(crate) struct Opened<'a> {
    columns: Vec<SlicesView<'a>>,
    interval: Interval,
}

impl Weight {
    pub fn bind(
        snapshot: &Snapshot,
        label: i64,
        ds: Option<Ds>,
        tags: Option<&[i64]>,
        compare: Compare,
    ) -> Result<Weight, StoreError> {
        let (part, tags) = label_part(snapshot, label, ds, tags)?;
        Ok(Weight { part, tags, compare })
    }

    pub fn open(&self, bucket: u32) -> Result<Opened<'_>, StoreError> {
        let mut columns = Vec::new();
        if let Some(part) = &self.part {
            for &tag in &self.tags {
                columns.extend(part.weights(bucket, tag)?);
            }
        }
        Ok(Opened { columns, interval: Interval::of(self.compare) })
    }

    pub fn outlook(&self, users: f64) -> Outlook {
        let tags = self.part.iter().flat_map(|part| &part.meta().tags);
        let wanted = tags.filter(|(code, _)| self.tags.contains(code));
        let weighted: f64 = wanted.map(|(_, tag)| tag.weighted as f64).sum();
        // Some planes of bits, and about half of the weights on either side of what is asked.
        Outlook { cost: weighted, share: (weighted / users / 2.0).min(1.0) }
    }

    pub fn evidence(&self, place: Place) -> Result<(bool, Evidence), StoreError> {
        let mut weights = Vec::new();
        for &tag in &self.tags {
            let Some(part) = &self.part else { break };
            let column = part.weights(place.bucket, tag)?;
            if let Some(weight) = column.and_then(|column| column.value_at(place.ordinal)) {
                let name = part.meta().tags.get(&tag).map(|meta| meta.name.clone()).unwrap_or_default();
                weights.push(Weighed { tag, name, weight });
            }
        }
        let holds = weights.iter().any(|weighed| self.compare.holds(weighed.weight.into()));
        Ok((holds, Evidence::Weights(weights)))
    }
}

impl Opened<'_> {
    pub fn bytes(&self) -> usize {
        self.columns.iter().map(|column| column.plane_bytes() + column.exists().byte_len()).sum()
    }

    pub fn block(&self, key: u16, scratch: &mut Scratch, out: &mut Block) {
        out.clear();
        for column in &self.columns {
            let Some(weighted) = column.exists_container(key) else { continue };
            let mut holds = scratch.blocks.take();
            self.interval.holds_for_columns(std::slice::from_ref(column), key, scratch, &mut holds);
            holds.and_container(&weighted);
            out.or(&holds);
            scratch.blocks.put(holds);
        }
    }
}
