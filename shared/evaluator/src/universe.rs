//! The universe a rule counts in: every user, those active in a crowd's window, or those who satisfy the
//! rule of a base crowd of the app's own.

use std::sync::Arc;

use muster_bitmaps::{BitmapView, Block};
use muster_profile_store::{Directory, EventPart, Place, Snapshot, StoreError};
use muster_rules::Universe;

use crate::bound::Bound;
use crate::operators::{self, Operator};
use crate::scratch::{Pool, Scratch};
use crate::tree::{Leaves, narrow};

pub(crate) enum BoundUniverse {
    All,
    /// A row in any of these parts makes a member.
    Crowd(Vec<Arc<EventPart>>),
    Defined(Box<Bound>),
}

/// The views of one bucket.
pub(crate) struct Opened<'a> {
    everyone: Everyone<'a>,
    who: Who<'a>,
}

enum Who<'a> {
    Everyone,
    Active(Vec<BitmapView<'a>>),
    Defined { bound: &'a Bound, within: Box<Opened<'a>>, operators: Vec<operators::Opened<'a>> },
}

/// The app's users in a bucket: whoever has an ordinal and is not erased.
pub(crate) struct Everyone<'a> {
    ordinals: u32,
    erased: Option<BitmapView<'a>>,
}

impl Everyone<'_> {
    pub fn open(directory: &Directory, bucket: u32) -> Everyone<'_> {
        Everyone { ordinals: directory.ordinals_in(bucket), erased: directory.erased_in(bucket) }
    }

    /// Number of blocks that may have a user.
    pub fn blocks(&self) -> u32 {
        self.ordinals.div_ceil(Block::BITS)
    }

    pub fn block(&self, key: u16, out: &mut Block) {
        out.set_prefix(self.ordinals.saturating_sub(u32::from(key) << 16).min(Block::BITS));
        if let Some(erased) = self.erased.as_ref().and_then(|erased| erased.container(key)) {
            out.and_not_container(&erased);
        }
    }
}

impl BoundUniverse {
    pub fn bind(universe: &Universe, snapshot: &Arc<Snapshot>) -> Result<BoundUniverse, StoreError> {
        let events = match universe {
            Universe::All => return Ok(BoundUniverse::All),
            Universe::Defined { plan, .. } => {
                let bound = Bound::new((**plan).clone(), snapshot.clone())?;
                return Ok(BoundUniverse::Defined(Box::new(bound)));
            }
            Universe::Crowd { events, .. } => events,
        };
        let mut parts = Vec::new();
        for (event, days) in events {
            for &ds in days {
                parts.extend(snapshot.event(event, ds)?);
            }
        }
        Ok(BoundUniverse::Crowd(parts))
    }

    pub fn open<'a>(&'a self, bucket: u32, directory: &'a Directory) -> Result<Opened<'a>, StoreError> {
        let who = match self {
            BoundUniverse::All => Who::Everyone,
            BoundUniverse::Crowd(parts) => {
                let active = parts.iter().filter_map(|part| part.active(bucket).transpose());
                Who::Active(active.collect::<Result<_, _>>()?)
            }
            BoundUniverse::Defined(bound) => {
                let within = Box::new(bound.universe.open(bucket, directory)?);
                let operators = bound.operators.iter().map(|operator: &Operator| operator.open(bucket));
                Who::Defined { bound, within, operators: operators.collect::<Result<_, _>>()? }
            }
        };
        Ok(Opened { everyone: Everyone::open(directory, bucket), who })
    }

    pub fn contains(&self, place: Place) -> Result<bool, StoreError> {
        match self {
            BoundUniverse::All => Ok(true),
            BoundUniverse::Defined(bound) => Ok(bound.explain(place)?.holds),
            BoundUniverse::Crowd(parts) => {
                for part in parts {
                    if part.active(place.bucket)?.is_some_and(|users| users.contains(place.ordinal)) {
                        return Ok(true);
                    }
                }
                Ok(false)
            }
        }
    }
}

impl Opened<'_> {
    /// Number of blocks that may have a user.
    pub fn blocks(&self) -> u32 {
        self.everyone.blocks()
    }

    pub fn block(&self, key: u16, (scratch, pool): (&mut Scratch, &mut Pool), out: &mut Block) {
        match &self.who {
            Who::Everyone => self.everyone.block(key, out),
            Who::Active(active) => out.set_union(active, key),
            Who::Defined { bound, within, operators } => {
                within.block(key, (scratch, pool), out);
                let mut leaves = Leaves::Lazy { opened: operators, key, scratch };
                narrow(&bound.ordered, &mut leaves, pool, out);
            }
        }
    }
}
