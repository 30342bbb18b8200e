//! Is a member of a cohort.

use std::io::ErrorKind;

use muster_bitmaps::{BitmapView, Block};
use muster_profile_store::{CohortFile, Place, Snapshot, StoreError};

use crate::explain::Evidence;
use crate::order::Outlook;

pub(crate) struct Cohort {
    file: CohortFile,
}

pub(crate) struct Opened<'a> {
    members: Option<BitmapView<'a>>,
}

impl Cohort {
    pub fn bind(snapshot: &Snapshot, id: &str) -> Result<Cohort, StoreError> {
        // It was there when the rule was checked; nobody would be a wrong answer.
        let gone =
            || StoreError::Io { path: format!("cohort {id}").into(), source: ErrorKind::NotFound.into() };
        Ok(Cohort { file: snapshot.cohort(id)?.ok_or_else(gone)? })
    }

    pub fn open(&self, bucket: u32) -> Result<Opened<'_>, StoreError> {
        Ok(Opened { members: self.file.members(bucket)? })
    }

    pub fn outlook(&self, users: f64) -> Outlook {
        let members = self.file.meta().size as f64;
        Outlook { cost: (2.0 * members).min(users / 8.0), share: members / users }
    }

    pub fn evidence(&self, place: Place) -> Result<(bool, Evidence), StoreError> {
        let member = self.file.members(place.bucket)?.is_some_and(|members| members.contains(place.ordinal));
        Ok((member, Evidence::Member(member)))
    }
}

impl Opened<'_> {
    pub fn bytes(&self) -> usize {
        self.members.as_ref().map_or(0, BitmapView::byte_len)
    }

    pub fn block(&self, key: u16, out: &mut Block) {
        out.set_union(self.members.as_slice(), key);
    }
}
