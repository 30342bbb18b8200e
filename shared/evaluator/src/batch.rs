//! Many rules in one pass over the users: each distinct condition is worked out at most once per block,
//! whoever asks for it.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Arc;

use muster_bitmaps::Block;
use muster_profile_store::{Snapshot, StoreError};
use muster_rules::{Node, Plan, Test, Universe};
use roaring::RoaringBitmap;

use crate::operators::{Opened, Operator};
use crate::order::ordered;
use crate::run::{Control, EvaluationError, each_bucket};
use crate::scratch::{Pool, Scratch};
use crate::tree::{Leaves, Shared, narrow};
use crate::universe::{self, BoundUniverse};

/// Rules are taken together as long as they have no more distinct conditions: a thread keeps a block of
/// 8 KB for each.
const CONDITIONS_AT_ONCE: usize = 2048;

/// Checked rules bound to the parts of one snapshot that they read.
pub struct Batch {
    snapshot: Arc<Snapshot>,
    universes: Vec<BoundUniverse>,
    groups: Vec<Group>,
    rules: usize,
}

/// Rules that are evaluated together.
#[derive(Default)]
struct Group {
    /// The number of its first rule.
    first: usize,
    operators: Vec<Operator>,
    rules: Vec<BatchRule>,
}

struct BatchRule {
    /// Place in `universes`.
    universe: usize,
    /// Its leaves are places in the group's `operators`.
    root: Node,
}

/// What one thread works with.
#[derive(Default)]
struct Worker {
    scratch: Scratch,
    pool: Pool,
    conditions: Shared,
    universes: Shared,
}

impl Batch {
    pub fn new(plans: &[Plan], snapshot: Arc<Snapshot>) -> Result<Batch, StoreError> {
        let users = snapshot.directory().users().max(1) as f64;
        let mut universes = Distinct::default();
        let mut groups: Vec<Group> = Vec::new();
        let mut tests: Distinct<&Test> = Distinct::default();
        for (number, plan) in plans.iter().enumerate() {
            if groups.is_empty() || tests.items.len() + plan.leaves.len() > CONDITIONS_AT_ONCE {
                tests = Distinct::default();
                groups.push(Group { first: number, ..Group::default() });
            }
            let group = groups.last_mut().expect("one was pushed");
            let places: Vec<usize> = plan.leaves.iter().map(|leaf| tests.place(&leaf.test)).collect();
            for test in &tests.items[group.operators.len()..] {
                group.operators.push(Operator::bind(test, &snapshot)?);
            }
            let root = ordered(&plan.root, &|leaf| group.operators[places[leaf]].outlook(users));
            group.rules.push(BatchRule {
                universe: universes.place(&plan.universe),
                root: with_places(&root, &places),
            });
        }
        let bind = |universe: &&Universe| BoundUniverse::bind(universe, &snapshot);
        let universes = universes.items.iter().map(bind).collect::<Result<_, _>>()?;
        Ok(Batch { universes, groups, rules: plans.len(), snapshot })
    }

    /// Users that satisfy each rule, in the order of the rules.
    pub fn counts(&self, control: &Control<'_>) -> Result<Vec<u64>, EvaluationError> {
        let counts = each_bucket(&self.snapshot, control, Worker::default, |bucket, worker| {
            let mut counts = vec![0; self.rules];
            self.each_block(bucket, control, worker, |rule, _, members| {
                counts[rule] += u64::from(members.count());
            })?;
            Ok(counts)
        })?;
        Ok(counts.into_iter().fold(vec![0; self.rules], |mut sum, counts| {
            sum.iter_mut().zip(counts).for_each(|(sum, count)| *sum += count);
            sum
        }))
    }

    /// The users that satisfy each rule: per rule, ordinals per bucket.
    pub fn members(&self, control: &Control<'_>) -> Result<Vec<Vec<RoaringBitmap>>, EvaluationError> {
        let buckets = each_bucket(&self.snapshot, control, Worker::default, |bucket, worker| {
            let mut all = vec![RoaringBitmap::new(); self.rules];
            self.each_block(bucket, control, worker, |rule, key, members| {
                members.append_to(key, &mut all[rule]);
            })?;
            Ok(all)
        })?;
        let mut rules: Vec<Vec<RoaringBitmap>> = vec![Vec::with_capacity(buckets.len()); self.rules];
        for bucket in buckets {
            rules.iter_mut().zip(bucket).for_each(|(rule, members)| rule.push(members));
        }
        Ok(rules)
    }

    /// Gives `take` the members of each rule in each block of the bucket that has any.
    fn each_block(
        &self,
        bucket: u32,
        control: &Control<'_>,
        worker: &mut Worker,
        mut take: impl FnMut(usize, u16, &Block),
    ) -> Result<(), EvaluationError> {
        let directory = self.snapshot.directory();
        let universes = self.universes.iter().map(|universe| universe.open(bucket, directory));
        let universes: Vec<universe::Opened<'_>> = universes.collect::<Result<_, _>>()?;
        let mut members = worker.pool.take();
        for group in &self.groups {
            let opened = group.operators.iter().map(|operator| operator.open(bucket));
            let opened: Vec<Opened<'_>> = opened.collect::<Result<_, _>>()?;
            for key in 0..directory.ordinals_in(bucket).div_ceil(Block::BITS) {
                if (control.stopped)() {
                    return Err(EvaluationError::Stopped);
                }
                let key = key as u16;
                worker.conditions.forget(opened.len());
                worker.universes.forget(universes.len());
                for (number, rule) in group.rules.iter().enumerate() {
                    let Worker { scratch, pool, conditions, universes: filled } = &mut *worker;
                    let universe = filled.get(rule.universe, |out| {
                        universes[rule.universe].block(key, (&mut *scratch, &mut *pool), out);
                    });
                    members.copy_from(universe);
                    let mut leaves = Leaves::Shared { opened: &opened, shared: conditions, key, scratch };
                    narrow(&rule.root, &mut leaves, pool, &mut members);
                    if !members.is_empty() {
                        take(group.first + number, key, &members);
                    }
                }
            }
        }
        worker.pool.put(members);
        Ok(())
    }
}

/// Each item once, numbered in the order of first appearance.
struct Distinct<T> {
    items: Vec<T>,
    places: HashMap<T, usize>,
}

impl<T> Default for Distinct<T> {
    fn default() -> Distinct<T> {
        Distinct { items: Vec::new(), places: HashMap::new() }
    }
}

impl<T: Copy + Eq + Hash> Distinct<T> {
    fn place(&mut self, item: T) -> usize {
        *self.places.entry(item).or_insert_with(|| {
            self.items.push(item);
            self.items.len() - 1
        })
    }
}

/// The tree with each leaf's place instead of its number.
fn with_places(node: &Node, places: &[usize]) -> Node {
    let all = |nodes: &[Node]| nodes.iter().map(|node| with_places(node, places)).collect();
    match node {
        Node::Leaf(leaf) => Node::Leaf(places[*leaf]),
        Node::Not(inner) => Node::Not(Box::new(with_places(inner, places))),
        Node::All(nodes) => Node::All(all(nodes)),
        Node::Any(nodes) => Node::Any(all(nodes)),
    }
}
