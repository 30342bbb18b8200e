//! A plan together with the parts of one snapshot that it reads.

use std::sync::Arc;

use muster_profile_store::{Snapshot, StoreError};
use muster_rules::{Node, Plan};

use crate::operators::Operator;
use crate::order::ordered;
use crate::universe::BoundUniverse;

/// Holds its parts open, so that a publication meanwhile changes nothing about its answers.
pub struct Bound {
    pub(crate) snapshot: Arc<Snapshot>,
    pub(crate) plan: Plan,
    pub(crate) universe: BoundUniverse,
    /// One per leaf of the plan.
    pub(crate) operators: Vec<Operator>,
    /// The plan's tree in the order in which it is evaluated fastest.
    pub(crate) ordered: Node,
}

impl Bound {
    pub fn new(plan: Plan, snapshot: Arc<Snapshot>) -> Result<Bound, StoreError> {
        let universe = BoundUniverse::bind(&plan.universe, &snapshot)?;
        let operators = plan.leaves.iter().map(|leaf| Operator::bind(&leaf.test, &snapshot));
        let operators = operators.collect::<Result<Vec<Operator>, StoreError>>()?;
        let users = snapshot.directory().users().max(1) as f64;
        let ordered = ordered(&plan.root, &|leaf| operators[leaf].outlook(users));
        Ok(Bound { universe, operators, ordered, plan, snapshot })
    }

    /// Bytes of the conditions' data, all of which are read unless a block is left early.
    pub fn bytes(&self) -> Result<u64, StoreError> {
        let mut bytes = 0;
        for bucket in 0..self.snapshot.directory().buckets() {
            for operator in &self.operators {
                bytes += operator.open(bucket)?.bytes() as u64;
            }
        }
        Ok(bytes)
    }

    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    pub fn shared_snapshot(&self) -> Arc<Snapshot> {
        self.snapshot.clone()
    }

    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }
}
