//! The conditions of a rule, one file each. An operator is bound to the parts it reads once per rule,
//! opened once per bucket, and then fills one block after the other.
//!
//! To add one: a variant here, a file with `bind`, `open`, `block` and `evidence`, and the same in the
//! oracle.

pub(crate) mod cohort;
mod days;
mod postings;
mod sums;
mod tags;
mod weight;

pub(crate) use sums::{Span, event_parts, spans};

use muster_bitmaps::Block;
use muster_profile_store::{Place, Snapshot, StoreError};
use muster_rules::{Measure, Test};

use crate::explain::Evidence;
use crate::order::Outlook;
use crate::scratch::Scratch;

/// A condition with the parts it reads.
pub(crate) enum Operator {
    Tags(tags::Tags),
    Weight(weight::Weight),
    Sums(sums::Sums),
    Days(days::Days),
    Postings(postings::PostingSums),
    Cohort(cohort::Cohort),
}

/// The operator's views of one bucket.
pub(crate) enum Opened<'a> {
    Tags(tags::Opened<'a>),
    Weight(weight::Opened<'a>),
    Sums(sums::Opened<'a>),
    Days(days::Opened<'a>),
    Postings(postings::Opened<'a>),
    Cohort(cohort::Opened<'a>),
}

impl Operator {
    pub fn bind(test: &Test, snapshot: &Snapshot) -> Result<Operator, StoreError> {
        Ok(match test {
            Test::Tags { label, ds, tags, negate } => {
                Operator::Tags(tags::Tags::bind(snapshot, *label, *ds, tags.as_deref(), *negate)?)
            }
            Test::Weight { label, ds, tags, compare } => {
                Operator::Weight(weight::Weight::bind(snapshot, *label, *ds, tags.as_deref(), *compare)?)
            }
            Test::Event { event, days, filters, measure, compare } if !filters.is_empty() => {
                let rows = postings::Rows { event, days, filters };
                Operator::Postings(postings::PostingSums::bind(snapshot, rows, measure, *compare)?)
            }
            Test::Event { event, days, measure: Measure::Days, compare, .. } => {
                Operator::Days(days::Days::bind(snapshot, event, days, *compare)?)
            }
            Test::Event { event, days, measure, compare, .. } => {
                Operator::Sums(sums::Sums::bind(snapshot, event, days, measure, *compare)?)
            }
            Test::Cohort { id } => Operator::Cohort(cohort::Cohort::bind(snapshot, id)?),
        })
    }

    pub fn open(&self, bucket: u32) -> Result<Opened<'_>, StoreError> {
        Ok(match self {
            Operator::Tags(tags) => Opened::Tags(tags.open(bucket)?),
            Operator::Weight(weight) => Opened::Weight(weight.open(bucket)?),
            Operator::Sums(sums) => Opened::Sums(sums.open(bucket)?),
            Operator::Days(days) => Opened::Days(days.open(bucket)?),
            Operator::Postings(postings) => Opened::Postings(postings.open(bucket)?),
            Operator::Cohort(cohort) => Opened::Cohort(cohort.open(bucket)?),
        })
    }

    /// What to expect of it in an app of so many users.
    pub fn outlook(&self, users: f64) -> Outlook {
        match self {
            Operator::Tags(tags) => tags.outlook(users),
            Operator::Weight(weight) => weight.outlook(users),
            Operator::Sums(sums) => sums.outlook(users),
            Operator::Days(days) => days.outlook(users),
            Operator::Postings(postings) => postings.outlook(users),
            Operator::Cohort(cohort) => cohort.outlook(users),
        }
    }

    /// Whether the condition holds for one user, and the numbers that decided it. Reads values one by
    /// one, so that it also checks the block-wise way.
    pub fn evidence(&self, place: Place) -> Result<(bool, Evidence), StoreError> {
        match self {
            Operator::Tags(tags) => tags.evidence(place),
            Operator::Weight(weight) => weight.evidence(place),
            Operator::Sums(sums) => sums.evidence(place),
            Operator::Days(days) => days.evidence(place),
            Operator::Postings(postings) => postings.evidence(place),
            Operator::Cohort(cohort) => cohort.evidence(place),
        }
    }
}

impl Opened<'_> {
    /// Bytes of the mapped files that [`Opened::block`] reads, over all blocks.
    pub fn bytes(&self) -> usize {
        match self {
            Opened::Tags(tags) => tags.bytes(),
            Opened::Weight(weight) => weight.bytes(),
            Opened::Sums(sums) => sums.bytes(),
            Opened::Days(days) => days.bytes(),
            Opened::Postings(postings) => postings.bytes(),
            Opened::Cohort(cohort) => cohort.bytes(),
        }
    }

    /// `out` becomes the positions of block `key` that satisfy the condition. Positions that no user has
    /// may be set.
    pub fn block(&self, key: u16, scratch: &mut Scratch, out: &mut Block) {
        match self {
            Opened::Tags(tags) => tags.block(key, out),
            Opened::Weight(weight) => weight.block(key, scratch, out),
            Opened::Sums(sums) => sums.block(key, scratch, out),
            Opened::Days(days) => days.block(key, scratch, out),
            Opened::Postings(postings) => postings.block(key, scratch, out),
            Opened::Cohort(cohort) => cohort.block(key, out),
        }
    }
}
