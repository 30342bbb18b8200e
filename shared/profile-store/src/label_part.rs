//! One label on one day: a bitmap per tag and bucket, and the weights bit-sliced.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::Arc;

use muster_bitmaps::{BitmapView, SlicesView, encode, slices};
use muster_days::Ds;
use roaring::RoaringBitmap;
use serde::{Deserialize, Serialize};

use crate::directory::{ROUND, User};
use crate::enrolment::BucketUsers;
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

    /// The tag's users in the bucket; None when there are none.
    pub fn tag(&self, bucket: u32, tag: i64) -> Result<Option<BitmapView<'_>>> {
        let Some(bytes) = self.file.section(Kind::Tag, bucket, tag) else { return Ok(None) };
        let damaged = |error| StoreError::damaged(self.file.path(), format!("tag {tag}: {error}"));
        BitmapView::parse_trusted(bytes).map(Some).map_err(damaged)
    }

    /// The weights of the tag's users in the bucket; None when no pair has one.
    pub fn weights(&self, bucket: u32, tag: i64) -> Result<Option<SlicesView<'_>>> {
        let Some(bytes) = self.file.section(Kind::Weight, bucket, tag) else { return Ok(None) };
        let damaged = |error| StoreError::damaged(self.file.path(), format!("weights of {tag}: {error}"));
        SlicesView::parse_trusted(bytes).map(Some).map_err(damaged)
    }
}

/// One row of a label part. `weight` None takes away what an earlier row of the same pair said.
#[derive(Clone, Copy, Debug)]
pub struct LabelRow<'a> {
    pub user: User<'a>,
    pub tag: i64,
    pub weight: Option<i64>,
}

/// Write side of one bucket: rows in any order; of rows for one (user, tag) the last one counts.
pub struct LabelBucket<'a> {
    users: BucketUsers<'a>,
    /// Places in `tags`.
    numbers: HashMap<i64, usize>,
    tags: Vec<TagRows>,
    /// The tag of the row before.
    last: usize,
}

#[derive(Default)]
struct TagRows {
    tag: i64,
    users: Vec<u32>,
    /// In order of arrival; None takes an earlier weight away.
    weights: Vec<(u32, Option<i64>)>,
}

impl<'a> LabelBucket<'a> {
    pub(crate) fn new(users: BucketUsers<'a>) -> LabelBucket<'a> {
        LabelBucket { users, numbers: HashMap::new(), tags: Vec::new(), last: 0 }
    }

    /// All users have to be of this bucket.
    pub fn add(&mut self, rows: &[LabelRow<'_>]) -> Result<()> {
        for rows in rows.chunks(ROUND) {
            let ordinals = self.users.place(rows, |row| row.user)?;
            for (row, ordinal) in rows.iter().zip(ordinals) {
                let tag = self.tag(row.tag);
                tag.users.push(ordinal);
                // Tags without weights, the common case, keep no list.
                if row.weight.is_some() || !tag.weights.is_empty() {
                    tag.weights.push((ordinal, row.weight));
                }
            }
        }
        Ok(())
    }

    fn tag(&mut self, tag: i64) -> &mut TagRows {
        if self.tags.get(self.last).is_none_or(|rows| rows.tag != tag) {
            self.last = *self.numbers.entry(tag).or_insert(self.tags.len());
            if self.last == self.tags.len() {
                self.tags.push(TagRows { tag, ..TagRows::default() });
            }
        }
        &mut self.tags[self.last]
    }

    pub(crate) fn finish(mut self) -> Result<LabelSections> {
        let mut sets = Sets { total: self.users.total(), words: Vec::new() };
        self.tags.sort_unstable_by_key(|rows| rows.tag);
        let sections = self.tags.into_iter().map(|rows| {
            let users = sets.bitmap(rows.users);
            let weights = last_weights(rows.weights);
            Ok(TagSections {
                tag: rows.tag,
                users: users.len(),
                bytes: encode(&users),
                weighted: weights.len() as u64,
                weights: if weights.is_empty() { Vec::new() } else { slices_of(&weights)? },
            })
        });
        Ok(LabelSections(sections.collect::<Result<_>>()?))
    }
}

/// Makes bitmaps of ordinals below `total`.
struct Sets {
    total: u32,
    /// A bit per ordinal, reused from tag to tag.
    words: Vec<u8>,
}

impl Sets {
    fn bitmap(&mut self, mut ordinals: Vec<u32>) -> RoaringBitmap {
        if ordinals.len() < self.total as usize / 64 {
            ordinals.sort_unstable();
            ordinals.dedup();
            return RoaringBitmap::from_sorted_iter(ordinals).expect("sorted, each once");
        }
        self.words.clear();
        self.words.resize(self.total.div_ceil(8) as usize, 0);
        for ordinal in ordinals {
            self.words[ordinal as usize / 8] |= 1 << (ordinal % 8);
        }
        RoaringBitmap::from_lsb0_bytes(0, &self.words)
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

/// What a bucket comes to, by tag.
pub(crate) struct LabelSections(Vec<TagSections>);

struct TagSections {
    tag: i64,
    users: u64,
    bytes: Vec<u8>,
    weighted: u64,
    /// Empty when no pair has a weight.
    weights: Vec<u8>,
}

/// Puts the buckets of a part into one file.
pub(crate) struct LabelPartWriter {
    writer: Writer,
    meta: LabelMeta,
}

impl LabelPartWriter {
    pub fn create(path: &Path, label: i64, ds: Ds) -> Result<LabelPartWriter> {
        let meta = LabelMeta { label, ds, tags: BTreeMap::new() };
        Ok(LabelPartWriter { writer: Writer::create(path)?, meta })
    }

    pub fn bucket(&mut self, bucket: u32, sections: LabelSections) -> Result<()> {
        for tag in sections.0 {
            let meta = self.meta.tags.entry(tag.tag).or_default();
            meta.users += tag.users;
            meta.weighted += tag.weighted;
            self.writer.section(Kind::Tag, bucket, tag.tag, &tag.bytes)?;
            if !tag.weights.is_empty() {
                self.writer.section(Kind::Weight, bucket, tag.tag, &tag.weights)?;
            }
        }
        Ok(())
    }

    /// Seals the file; a tag that `names` leaves out has an empty name.
    pub fn finish(mut self, names: &HashMap<i64, String>) -> Result<LabelMeta> {
        for (tag, meta) in &mut self.meta.tags {
            meta.name = names.get(tag).cloned().unwrap_or_default();
        }
        let json = serde_json::to_vec(&self.meta).map_err(|error| StoreError::Full(error.to_string()))?;
        self.writer.section(Kind::Meta, 0, 0, &json)?;
        self.writer.seal()?;
        Ok(self.meta)
    }
}
