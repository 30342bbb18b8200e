//! One label on one day: a bitmap per tag and bucket, and the weights bit-sliced.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use muster_bitmaps::{PortableView, SlicesView, encode, slices};
use muster_days::Ds;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use crate::error::{Result, StoreError};
use crate::sealed::{Kind, Sealed, Writer};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelMeta {
    pub label: i64,
    pub ds: Ds,
    /// By tag code.
    pub tags: BTreeMap<i64, TagMeta>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TagMeta {
    pub name: String,
    pub users: u64,
    pub weighted: u64,
}

/// Read side.
pub struct LabelPart {
    file: Arc<Sealed>,
    meta: LabelMeta,
}

impl LabelPart {
    pub(crate) fn new(file: Arc<Sealed>) -> Result<LabelPart> {
        Ok(LabelPart { meta: file.meta()?, file })
    }

    pub fn meta(&self) -> &LabelMeta {
        &self.meta
    }

    pub fn byte_len(&self) -> usize {
        self.file.byte_len()
    }

    /// The tag's users in the bucket; None when there are none.
    pub fn tag(&self, bucket: u32, tag: i64) -> Result<Option<PortableView<'_>>> {
        let Some(bytes) = self.file.section(Kind::Tag, bucket, tag) else { return Ok(None) };
        let damaged = |error| StoreError::damaged(self.file.path(), format!("tag {tag}: {error}"));
        PortableView::parse_trusted(bytes).map(Some).map_err(damaged)
    }

    /// The weights of the tag's users in the bucket; None when no pair has one.
    pub fn weights(&self, bucket: u32, tag: i64) -> Result<Option<SlicesView<'_>>> {
        let Some(bytes) = self.file.section(Kind::Weight, bucket, tag) else { return Ok(None) };
        let damaged = |error| StoreError::damaged(self.file.path(), format!("weights of {tag}: {error}"));
        SlicesView::parse_trusted(bytes).map(Some).map_err(damaged)
    }
}

/// Write side: rows come bucket by bucket, in any order inside a bucket; of rows for one (user, tag)
/// the last one counts.
pub(crate) struct LabelPartWriter {
    writer: Writer,
    meta: LabelMeta,
    bucket: u32,
    tags: BTreeMap<i64, TagRows>,
}

#[derive(Default)]
struct TagRows {
    users: RoaringBitmap,
    /// In order of arrival; None takes an earlier weight away.
    weights: Vec<(u32, Option<i64>)>,
}

impl LabelPartWriter {
    pub fn create(path: &Path, label: i64, ds: Ds) -> Result<LabelPartWriter> {
        let meta = LabelMeta { label, ds, tags: BTreeMap::new() };
        Ok(LabelPartWriter { writer: Writer::create(path)?, meta, bucket: 0, tags: BTreeMap::new() })
    }

    pub fn add(
        &mut self,
        bucket: u32,
        ordinal: u32,
        tag: i64,
        name: &str,
        weight: Option<i64>,
    ) -> Result<()> {
        if bucket != self.bucket {
            self.write_bucket()?;
            self.bucket = bucket;
        }
        let meta = self.meta.tags.entry(tag).or_default();
        if meta.name != name {
            meta.name = name.into();
        }
        let rows = self.tags.entry(tag).or_default();
        let seen = !rows.users.insert(ordinal);
        // Tags without weights, the common case, keep no list.
        if weight.is_some() || (seen && !rows.weights.is_empty()) {
            rows.weights.push((ordinal, weight));
        }
        Ok(())
    }

    fn write_bucket(&mut self) -> Result<()> {
        for (tag, rows) in std::mem::take(&mut self.tags) {
            let meta = self.meta.tags.entry(tag).or_default();
            meta.users += rows.users.len();
            self.writer.section(Kind::Tag, self.bucket, tag, &encode(&rows.users))?;
            let weights = last_weights(rows.weights);
            if !weights.is_empty() {
                meta.weighted += weights.len() as u64;
                self.writer.section(Kind::Weight, self.bucket, tag, &slices_of(&weights)?)?;
            }
        }
        Ok(())
    }

    /// Seals the file.
    pub fn finish(mut self) -> Result<LabelMeta> {
        self.write_bucket()?;
        let json = serde_json::to_vec(&self.meta).map_err(|error| StoreError::Full(error.to_string()))?;
        self.writer.section(Kind::Meta, 0, 0, &json)?;
        self.writer.seal()?;
        Ok(self.meta)
    }
}

/// Sorted by ordinal, one entry each: the last that arrived.
fn last_weights(mut rows: Vec<(u32, Option<i64>)>) -> Vec<(u32, i64)> {
    rows.reverse();
    rows.sort_by_key(|&(ordinal, _)| ordinal);
    rows.dedup_by_key(|&mut (ordinal, _)| ordinal);
    rows.into_iter().filter_map(|(ordinal, weight)| Some((ordinal, weight?))).collect()
}

/// The bit-sliced bytes of values sorted by ordinal.
pub(crate) fn slices_of(values: &[(u32, i64)]) -> Result<Vec<u8>> {
    slices::encode(values.iter().copied()).map_err(|error| StoreError::Full(error.to_string()))
}
