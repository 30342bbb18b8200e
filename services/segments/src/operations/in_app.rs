//! A cohort beside its app: which counts of the two may be told.

use muster_catalogue::Floor;
use muster_catalogue::hidden::{Counts, Sizes, shown};
use muster_profile_store::Snapshot;
use muster_statistics::Tagged;

#[derive(Clone, Copy)]
pub struct InApp {
    pub floor: Floor,
    /// Members of the cohort.
    pub users: u64,
    pub app: u64,
}

impl InApp {
    pub fn new(snapshot: &Snapshot, users: u64, app: u64) -> InApp {
        InApp { floor: snapshot.catalogue().settings.floor(), users, app }
    }

    /// The cohort is one that may be shown.
    pub fn sizes(self) -> Sizes {
        Sizes { crowd: Some(self.users), app: self.floor.shown(self.users, self.app).map(|_| self.app) }
    }

    pub fn shown(self, counts: Counts) -> (Option<u64>, Option<u64>) {
        shown(self.floor, self.sizes(), counts)
    }

    pub fn tagged(self, counts: Counts) -> Tagged {
        let Counts { in_crowd, in_app } = counts;
        Tagged { in_crowd, crowd: self.users, in_app, app: self.app }
    }
}
