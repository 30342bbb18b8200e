//! The universe a rule counts in: every user, or those active in a crowd's window.

use std::sync::Arc;

use muster_bitmaps::{BitmapView, Block};
use muster_profile_store::{EventPart, Place, Snapshot, StoreError};
use muster_rules::Universe;

pub(crate) enum BoundUniverse {
    All,
    /// A row in any of these parts makes a member.
    Crowd(Vec<Arc<EventPart>>),
}

pub(crate) struct Opened<'a> {
    users: u32,
    /// None: every user.
    active: Option<Vec<BitmapView<'a>>>,
}

impl BoundUniverse {
    pub fn bind(universe: &Universe, snapshot: &Snapshot) -> Result<BoundUniverse, StoreError> {
        let Universe::Crowd { events, .. } = universe else { return Ok(BoundUniverse::All) };
        let mut parts = Vec::new();
        for (event, days) in events {
            for &ds in days {
                parts.extend(snapshot.event(event, ds)?);
            }
        }
        Ok(BoundUniverse::Crowd(parts))
    }

    /// `users`: how many ordinals the bucket has.
    pub fn open(&self, bucket: u32, users: u32) -> Result<Opened<'_>, StoreError> {
        let BoundUniverse::Crowd(parts) = self else { return Ok(Opened { users, active: None }) };
        let mut active = Vec::with_capacity(parts.len());
        for part in parts {
            active.extend(part.active(bucket)?);
        }
        Ok(Opened { users, active: Some(active) })
    }

    pub fn contains(&self, place: Place) -> Result<bool, StoreError> {
        let BoundUniverse::Crowd(parts) = self else { return Ok(true) };
        for part in parts {
            if part.active(place.bucket)?.is_some_and(|users| users.contains(place.ordinal)) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

impl Opened<'_> {
    /// Number of blocks that may have a user.
    pub fn blocks(&self) -> u32 {
        self.users.div_ceil(Block::BITS)
    }

    pub fn block(&self, key: u16, out: &mut Block) {
        match &self.active {
            None => out.set_prefix(self.users.saturating_sub(u32::from(key) << 16).min(Block::BITS)),
            Some(active) => out.set_union(active, key),
        }
    }
}
