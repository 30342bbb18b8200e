//! A plan together with the parts of one snapshot that it reads.

use std::sync::Arc;

use muster_profile_store::{Snapshot, StoreError};
use muster_rules::Plan;

use crate::operators::Operator;
use crate::universe::BoundUniverse;

/// Holds its parts open, so that a publication meanwhile changes nothing about its answers.
pub struct Bound {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) plan: Plan,
    pub(crate) universe: BoundUniverse,
    /// One per leaf of the plan.
    pub(crate) operators: Vec<Operator>,
}

impl Bound {
    pub fn new(plan: Plan, snapshot: Arc<Snapshot>) -> Result<Bound, StoreError> {
        let universe = BoundUniverse::bind(&plan.universe, &snapshot)?;
        let operators: Result<Vec<Operator>, StoreError> =
            plan.leaves.iter().map(|leaf| Operator::bind(&leaf.test, &snapshot)).collect();
        Ok(Bound { universe, operators: operators?, plan, snapshot })
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }
}
