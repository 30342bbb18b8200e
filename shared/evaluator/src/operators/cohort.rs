//! Is a member of a cohort.

use muster_bitmaps::{BitmapView, Block};
use muster_profile_store::{CohortFile, Place, Snapshot, StoreError};

use crate::explain::Evidence;
use crate::order::Outlook;

pub(crate) struct Cohort {
    /// None when it was deleted since the rule was checked.
    file: Option<CohortFile>,
}

pub(crate) struct Opened<'a> {
    members: Option<BitmapView<'a>>,
}

impl Cohort {
    pub fn bind(snapshot: &Snapshot, id: &str) -> Result<Cohort, StoreError> {
        Ok(Cohort { file: snapshot.cohort(id)? })
    }

    fn members(&self, bucket: u32) -> Result<Option<BitmapView<'_>>, StoreError> {
        self.file.as_ref().map_or(Ok(None), |file| file.members(bucket))
    }

    pub fn open(&self, bucket: u32) -> Result<Opened<'_>, StoreError> {
        Ok(Opened { members: self.members(bucket)? })
    }

    pub fn outlook(&self, users: f64) -> Outlook {
        let members = self.file.as_ref().map_or(0.0, |file| file.meta().size as f64);
        Outlook { cost: (2.0 * members).min(users / 8.0), share: members / users }
    }

    pub fn evidence(&self, place: Place) -> Result<(bool, Evidence), StoreError> {
        let member = self.members(place.bucket)?.is_some_and(|members| members.contains(place.ordinal));
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
