//! Carries any of some tags of a label; or, negated, none of them.

use std::sync::Arc;

use muster_bitmaps::{BitmapView, Block};
use muster_days::Ds;
use muster_profile_store::{LabelPart, Place, Snapshot, StoreError};

use crate::explain::{Carried, Evidence};
use crate::order::Outlook;

pub(crate) struct Tags {
    /// None when the label has no published day to look at.
    part: Option<Arc<LabelPart>>,
    tags: Vec<i64>,
    negate: bool,
}

pub(crate) struct Opened<'a> {
    users: Vec<BitmapView<'a>>,
    negate: bool,
}

/// The part of the label, and those of `tags` (all when None) that it has.
pub(super) fn label_part(
    snapshot: &Snapshot,
    label: i64,
    ds: Option<Ds>,
    tags: Option<&[i64]>,
) -> Result<(Option<Arc<LabelPart>>, Vec<i64>), StoreError> {
    let part = match ds {
        Some(ds) => snapshot.label(label, ds)?,
        None => None,
    };
    let Some(part) = part else { return Ok((None, Vec::new())) };
    let wanted = |tag: &i64| tags.is_none_or(|tags| tags.contains(tag));
    let tags = part.meta().tags.keys().copied().filter(wanted).collect();
    Ok((Some(part), tags))
}

impl Tags {
    pub fn bind(
        snapshot: &Snapshot,
        label: i64,
        ds: Option<Ds>,
        tags: Option<&[i64]>,
        negate: bool,
    ) -> Result<Tags, StoreError> {
        let (part, tags) = label_part(snapshot, label, ds, tags)?;
        Ok(Tags { part, tags, negate })
    }

    pub fn open(&self, bucket: u32) -> Result<Opened<'_>, StoreError> {
        let mut users = Vec::new();
        if let Some(part) = &self.part {
            for &tag in &self.tags {
                users.extend(part.tag(bucket, tag)?);
            }
        }
        Ok(Opened { users, negate: self.negate })
    }

    pub fn outlook(&self, users: f64) -> Outlook {
        let tags = self.part.iter().flat_map(|part| &part.meta().tags);
        let wanted = tags.filter(|(code, _)| self.tags.contains(code)).map(|(_, tag)| tag.users as f64);
        let (cost, carried) =
            wanted.fold((0.0, 0.0), |(cost, sum), tag| (cost + (2.0 * tag).min(users / 8.0), sum + tag));
        let share = (carried / users).min(1.0);
        Outlook { cost, share: if self.negate { 1.0 - share } else { share } }
    }

    pub fn evidence(&self, place: Place) -> Result<(bool, Evidence), StoreError> {
        let Some(part) = &self.part else { return Ok((self.negate, Evidence::Tags(Vec::new()))) };
        let mut carried = Vec::new();
        for (&code, meta) in &part.meta().tags {
            let users = part.tag(place.bucket, code)?;
            if users.is_some_and(|users| users.contains(place.ordinal)) {
                carried.push(Carried { tag: code, name: meta.name.clone() });
            }
        }
        let any = carried.iter().any(|carried| self.tags.contains(&carried.tag));
        Ok((any != self.negate, Evidence::Tags(carried)))
    }
}

impl Opened<'_> {
    pub fn bytes(&self) -> usize {
        self.users.iter().map(BitmapView::byte_len).sum()
    }

    pub fn block(&self, key: u16, out: &mut Block) {
        out.set_union(&self.users, key);
        if self.negate {
            out.not();
        }
    }
}
