//! Why a user is in or not: each condition with the numbers that decided it.

use muster_profile_store::{Place, StoreError};
use muster_rules::Node;
use serde::Serialize;

use crate::bound::Bound;

#[derive(Clone, Debug, PartialEq)]
pub struct Explanation {
    /// Whether the user is in the universe; outside it no rule holds.
    pub in_universe: bool,
    pub holds: bool,
    /// One per leaf of the plan.
    pub leaves: Vec<LeafExplanation>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LeafExplanation {
    pub pointer: String,
    pub holds: bool,
    pub evidence: Evidence,
}

/// What the user's data say about a condition.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Evidence {
    /// The tags of the label that the user carries.
    Tags(Vec<Carried>),
    /// The weights of the tags in question.
    Weights(Vec<Weighed>),
    /// The total that was compared.
    Total(i128),
    Member(bool),
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Carried {
    pub tag: i64,
    pub name: String,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Weighed {
    pub tag: i64,
    pub name: String,
    pub weight: i64,
}

impl Bound {
    pub fn explain(&self, place: Place) -> Result<Explanation, StoreError> {
        let mut leaves = Vec::with_capacity(self.operators.len());
        for (leaf, operator) in self.plan.leaves.iter().zip(&self.operators) {
            let (holds, evidence) = operator.evidence(place)?;
            leaves.push(LeafExplanation { pointer: leaf.pointer.clone(), holds, evidence });
        }
        let in_universe = self.universe.contains(place)?;
        let holds = in_universe && holds(&self.plan.root, &leaves);
        Ok(Explanation { in_universe, holds, leaves })
    }
}

fn holds(node: &Node, leaves: &[LeafExplanation]) -> bool {
    match node {
        Node::Leaf(index) => leaves[*index].holds,
        Node::Not(inner) => !holds(inner, leaves),
        Node::All(nodes) => nodes.iter().all(|node| holds(node, leaves)),
        Node::Any(nodes) => nodes.iter().any(|node| holds(node, leaves)),
    }
}
