//! Crowds by tags: how many users of each crowd carry each tag, for many crowds and labels in one pass.
//! A block of a crowd is worked out once, whatever the number of labels, and a day's users are read once,
//! whatever the number of crowds whose windows hold the day.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_bitmaps::{BitmapView, Block};
use muster_days::Ds;
use muster_profile_store::{EventPart, LabelPart, Snapshot, StoreError};
use muster_rules::Universe;

use crate::run::{Control, EvaluationError, each_bucket};
use crate::scratch::{Pool, Scratch};
use crate::universe::{self, BoundUniverse};

/// Crowds and labels bound to the parts of one snapshot that they read.
pub struct Matrix {
    snapshot: Arc<Snapshot>,
    /// Per crowd: whether it is every user.
    everyone: Vec<bool>,
    groups: Vec<Group>,
    /// Crowds that a rule defines, by number.
    defined: Vec<(usize, BoundUniverse)>,
    labels: Vec<Arc<LabelPart>>,
}

/// Days that the same crowds look at.
struct Group {
    crowds: Vec<usize>,
    parts: Vec<Arc<EventPart>>,
}

/// Exact numbers of users; crowds and labels in the order in which they were given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MatrixCounts {
    /// Users of each crowd.
    pub crowds: Vec<u64>,
    pub labels: Vec<LabelCounts>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelCounts {
    /// The codes of the label's tags on that day, ascending.
    pub tags: Vec<i64>,
    /// By crowd, then by place in `tags`.
    pub users: Vec<Vec<u64>>,
    /// By crowd: users who carry any of the tags.
    pub carrying: Vec<u64>,
}

/// What one thread works with.
struct Worker {
    union: Box<Block>,
    crowds: Vec<Box<Block>>,
    /// Users of the block, by crowd.
    sizes: Vec<u32>,
    scratch: Scratch,
    pool: Pool,
}

/// The views of one bucket.
struct Bucket<'a> {
    users: u32,
    groups: Vec<Vec<BitmapView<'a>>>,
    defined: Vec<universe::Opened<'a>>,
    labels: Vec<OpenedLabel<'a>>,
}

struct OpenedLabel<'a> {
    /// Places of the tags that the bucket has users of.
    places: Vec<usize>,
    views: Vec<BitmapView<'a>>,
}

impl Matrix {
    /// `labels` are parts of the snapshot, each of a label on the day to take of it.
    pub fn new(
        crowds: &[Universe],
        labels: Vec<Arc<LabelPart>>,
        snapshot: Arc<Snapshot>,
    ) -> Result<Matrix, StoreError> {
        let mut wanted: BTreeMap<(&str, Ds), Vec<usize>> = BTreeMap::new();
        let mut defined = Vec::new();
        for (number, crowd) in crowds.iter().enumerate() {
            let events = match crowd {
                Universe::All => continue,
                Universe::Defined { .. } => {
                    defined.push((number, BoundUniverse::bind(crowd, &snapshot)?));
                    continue;
                }
                Universe::Crowd { events, .. } => events,
            };
            for (event, days) in events {
                days.iter().for_each(|&ds| wanted.entry((event, ds)).or_default().push(number));
            }
        }
        let mut groups: BTreeMap<Vec<usize>, Vec<Arc<EventPart>>> = BTreeMap::new();
        for ((event, ds), crowds) in wanted {
            groups.entry(crowds).or_default().extend(snapshot.event(event, ds)?);
        }
        Ok(Matrix {
            everyone: crowds.iter().map(|crowd| *crowd == Universe::All).collect(),
            groups: groups.into_iter().map(|(crowds, parts)| Group { crowds, parts }).collect(),
            defined,
            labels,
            snapshot,
        })
    }

    pub fn counts(&self, control: &Control<'_>) -> Result<MatrixCounts, EvaluationError> {
        let worker = || Worker {
            union: Block::boxed(),
            crowds: self.everyone.iter().map(|_| Block::boxed()).collect(),
            sizes: vec![0; self.everyone.len()],
            scratch: Scratch::default(),
            pool: Pool::default(),
        };
        let buckets = each_bucket(&self.snapshot, control, worker, |bucket, worker| {
            let bucket = self.open(bucket)?;
            let mut counts = self.none();
            for key in 0..bucket.users.div_ceil(Block::BITS) {
                if (control.stopped)() {
                    return Err(EvaluationError::Stopped);
                }
                self.count_block(&bucket, key as u16, worker, &mut counts);
            }
            Ok(counts)
        })?;
        Ok(buckets.iter().fold(self.none(), |mut sum, counts| {
            sum.add(counts);
            sum
        }))
    }

    fn none(&self) -> MatrixCounts {
        let crowds = self.everyone.len();
        let label = |part: &Arc<LabelPart>| LabelCounts {
            tags: part.meta().tags.keys().copied().collect(),
            users: vec![vec![0; part.meta().tags.len()]; crowds],
            carrying: vec![0; crowds],
        };
        MatrixCounts { crowds: vec![0; crowds], labels: self.labels.iter().map(label).collect() }
    }

    fn open(&self, bucket: u32) -> Result<Bucket<'_>, StoreError> {
        let mut labels = Vec::with_capacity(self.labels.len());
        for part in &self.labels {
            let mut opened = OpenedLabel { places: Vec::new(), views: Vec::new() };
            for (place, &tag) in part.meta().tags.keys().enumerate() {
                let Some(view) = part.tag(bucket, tag)? else { continue };
                opened.places.push(place);
                opened.views.push(view);
            }
            labels.push(opened);
        }
        let mut groups = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let active = group.parts.iter().filter_map(|part| part.active(bucket).transpose());
            groups.push(active.collect::<Result<_, _>>()?);
        }
        let users = self.snapshot.directory().users_in(bucket);
        let defined = self.defined.iter().map(|(_, universe)| universe.open(bucket, users));
        Ok(Bucket { users, groups, defined: defined.collect::<Result<_, _>>()?, labels })
    }

    fn count_block(&self, bucket: &Bucket<'_>, key: u16, worker: &mut Worker, counts: &mut MatrixCounts) {
        self.fill_crowds(bucket, key, worker);
        for ((size, block), sum) in worker.sizes.iter_mut().zip(&worker.crowds).zip(&mut counts.crowds) {
            *size = block.count();
            *sum += u64::from(*size);
        }
        for (label, counts) in bucket.labels.iter().zip(&mut counts.labels) {
            self.count_label(label, key, worker, counts);
        }
    }

    fn fill_crowds(&self, bucket: &Bucket<'_>, key: u16, worker: &mut Worker) {
        let users = bucket.users.saturating_sub(u32::from(key) << 16).min(Block::BITS);
        for (block, everyone) in worker.crowds.iter_mut().zip(&self.everyone) {
            block.set_prefix(if *everyone { users } else { 0 });
        }
        for (group, views) in self.groups.iter().zip(&bucket.groups) {
            worker.union.set_union(views, key);
            group.crowds.iter().for_each(|&crowd| worker.crowds[crowd].or(&worker.union));
        }
        let Worker { crowds, scratch, pool, .. } = worker;
        for ((crowd, _), universe) in self.defined.iter().zip(&bucket.defined) {
            universe.block(key, (&mut *scratch, &mut *pool), &mut crowds[*crowd]);
        }
    }

    fn count_label(&self, label: &OpenedLabel<'_>, key: u16, worker: &mut Worker, counts: &mut LabelCounts) {
        let Worker { union, crowds, sizes, .. } = worker;
        for (&place, view) in label.places.iter().zip(&label.views) {
            let Some(container) = view.container(key) else { continue };
            for (crowd, block) in crowds.iter().enumerate().filter(|(crowd, _)| sizes[*crowd] > 0) {
                let users = match self.everyone[crowd] {
                    true => view.cardinality(key),
                    false => block.and_count_container(&container),
                };
                counts.users[crowd][place] += u64::from(users);
            }
        }
        union.set_union(&label.views, key);
        for (crowd, block) in crowds.iter().enumerate().filter(|(crowd, _)| sizes[*crowd] > 0) {
            counts.carrying[crowd] += u64::from(block.and_count(union));
        }
    }
}

impl MatrixCounts {
    fn add(&mut self, other: &MatrixCounts) {
        let add = |sum: &mut [u64], more: &[u64]| sum.iter_mut().zip(more).for_each(|(sum, n)| *sum += n);
        add(&mut self.crowds, &other.crowds);
        for (sum, more) in self.labels.iter_mut().zip(&other.labels) {
            add(&mut sum.carrying, &more.carrying);
            sum.users.iter_mut().zip(&more.users).for_each(|(sum, more)| add(sum, more));
        }
    }
}
