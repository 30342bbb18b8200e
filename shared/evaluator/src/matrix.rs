//! Crowds by tags: how many users of each crowd carry each tag, for many crowds and labels in one pass.
//! A block of a crowd is worked out once, whatever the number of labels, and a day's users are read once,
//! whatever the number of crowds whose windows hold the day.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_bitmaps::{BitmapView, Block, SlicesView};
use muster_days::Ds;
use muster_profile_store::{EventPart, LabelPart, Snapshot, StoreError};
use muster_rules::Universe;

use crate::run::{Control, EvaluationError, each_bucket};
use crate::scratch::{Pool, Scratch};
use crate::universe::{self, BoundUniverse, Everyone};

/// Crowds and labels bound to the parts of one snapshot that they read.
pub struct Matrix {
    snapshot: Arc<Snapshot>,
    /// Per crowd: whether it is every user.
    everyone: Vec<bool>,
    /// Crowds whose users are looked for among earlier ones; these have the numbers behind the crowds'.
    returning: Vec<usize>,
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
    /// Users of a crowd who are among the earlier ones given with it.
    pub returning: Vec<u64>,
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
    /// Places of the tags that are carried with a weight.
    pub weighted: Vec<usize>,
    /// By crowd, then by place in `weighted`.
    pub weights: Vec<Vec<Weights>>,
}

/// The weights with which a crowd carries a tag.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Weights {
    /// Users with a weight.
    pub users: u64,
    pub sum: i128,
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
    everyone: Everyone<'a>,
    groups: Vec<Vec<BitmapView<'a>>>,
    defined: Vec<universe::Opened<'a>>,
    labels: Vec<OpenedLabel<'a>>,
}

#[derive(Default)]
struct OpenedLabel<'a> {
    /// Places of the tags that the bucket has users of.
    places: Vec<usize>,
    views: Vec<BitmapView<'a>>,
    /// With their places in `LabelCounts::weighted`.
    weights: Vec<(usize, SlicesView<'a>)>,
}

impl Matrix {
    /// `earlier` are users among whom those of a crowd, given by its number, are looked for. `labels` are
    /// parts of the snapshot, each of a label on the day to take of it.
    pub fn new(
        crowds: &[Universe],
        earlier: &[(usize, Universe)],
        labels: Vec<Arc<LabelPart>>,
        snapshot: Arc<Snapshot>,
    ) -> Result<Matrix, StoreError> {
        let mut wanted: BTreeMap<(&str, Ds), Vec<usize>> = BTreeMap::new();
        let mut defined = Vec::new();
        let all = || crowds.iter().chain(earlier.iter().map(|(_, users)| users));
        for (number, crowd) in all().enumerate() {
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
            everyone: all().map(|crowd| *crowd == Universe::All).collect(),
            returning: earlier.iter().map(|(crowd, _)| *crowd).collect(),
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
            sizes: vec![0; self.crowds()],
            scratch: Scratch::default(),
            pool: Pool::default(),
        };
        let buckets = each_bucket(&self.snapshot, control, worker, |bucket, worker| {
            let bucket = self.open(bucket)?;
            let mut counts = self.none();
            for key in 0..bucket.everyone.blocks() {
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

    fn crowds(&self) -> usize {
        self.everyone.len() - self.returning.len()
    }

    fn none(&self) -> MatrixCounts {
        let crowds = self.crowds();
        let label = |part: &Arc<LabelPart>| {
            let tags = &part.meta().tags;
            let weighted = tags.values().enumerate().filter(|(_, tag)| tag.weighted > 0);
            let weighted: Vec<usize> = weighted.map(|(place, _)| place).collect();
            LabelCounts {
                tags: tags.keys().copied().collect(),
                users: vec![vec![0; tags.len()]; crowds],
                carrying: vec![0; crowds],
                weights: vec![vec![Weights::default(); weighted.len()]; crowds],
                weighted,
            }
        };
        MatrixCounts {
            crowds: vec![0; crowds],
            returning: vec![0; self.returning.len()],
            labels: self.labels.iter().map(label).collect(),
        }
    }

    fn open(&self, bucket: u32) -> Result<Bucket<'_>, StoreError> {
        let mut labels = Vec::with_capacity(self.labels.len());
        for part in &self.labels {
            let mut opened = OpenedLabel::default();
            let mut weighted = 0;
            for (place, (&tag, meta)) in part.meta().tags.iter().enumerate() {
                if let Some(view) = part.tag(bucket, tag)? {
                    opened.places.push(place);
                    opened.views.push(view);
                }
                if meta.weighted > 0 {
                    opened.weights.extend(part.weights(bucket, tag)?.map(|column| (weighted, column)));
                    weighted += 1;
                }
            }
            labels.push(opened);
        }
        let mut groups = Vec::with_capacity(self.groups.len());
        for group in &self.groups {
            let active = group.parts.iter().filter_map(|part| part.active(bucket).transpose());
            groups.push(active.collect::<Result<_, _>>()?);
        }
        let directory = self.snapshot.directory();
        let everyone = Everyone::open(directory, bucket);
        let defined = self.defined.iter().map(|(_, universe)| universe.open(bucket, directory));
        Ok(Bucket { everyone, groups, defined: defined.collect::<Result<_, _>>()?, labels })
    }

    fn count_block(&self, bucket: &Bucket<'_>, key: u16, worker: &mut Worker, counts: &mut MatrixCounts) {
        self.fill_crowds(bucket, key, worker);
        for ((size, block), sum) in worker.sizes.iter_mut().zip(&worker.crowds).zip(&mut counts.crowds) {
            *size = block.count();
            *sum += u64::from(*size);
        }
        let Worker { union, crowds, sizes, .. } = worker;
        let (crowds, earlier) = crowds.split_at(self.crowds());
        for ((&crowd, earlier), sum) in self.returning.iter().zip(earlier).zip(&mut counts.returning) {
            *sum += u64::from(crowds[crowd].and_count(earlier));
        }
        let there = crowds.iter().zip(&*sizes).enumerate().filter(|(_, (_, size))| **size > 0);
        let there = there.map(|(crowd, (block, _))| (crowd, (!self.everyone[crowd]).then_some(&**block)));
        let there: Vec<(usize, Option<&Block>)> = there.collect();
        for (label, counts) in bucket.labels.iter().zip(&mut counts.labels) {
            count_label(label, key, (&there, union), counts);
        }
    }

    fn fill_crowds(&self, bucket: &Bucket<'_>, key: u16, worker: &mut Worker) {
        for (block, everyone) in worker.crowds.iter_mut().zip(&self.everyone) {
            if *everyone {
                bucket.everyone.block(key, block);
            } else {
                block.clear();
            }
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
}

/// `there`: the crowds that have users in the block, with these; None: everybody. `union` is scratch.
fn count_label(
    label: &OpenedLabel<'_>,
    key: u16,
    (there, union): (&[(usize, Option<&Block>)], &mut Block),
    counts: &mut LabelCounts,
) {
    for (&place, view) in label.places.iter().zip(&label.views) {
        let Some(container) = view.container(key) else { continue };
        for (crowd, users) in there {
            let carrying = users.map(|users| users.and_count_container(&container));
            counts.users[*crowd][place] += u64::from(carrying.unwrap_or_else(|| view.cardinality(key)));
        }
    }
    for (place, column) in &label.weights {
        for (crowd, users) in there {
            let weights = &mut counts.weights[*crowd][*place];
            weights.users += u64::from(column.count(key, *users));
            weights.sum += column.sum(key, *users);
        }
    }
    union.set_union(&label.views, key);
    for (crowd, users) in there {
        let carrying = users.map_or_else(|| union.count(), |users| users.and_count(union));
        counts.carrying[*crowd] += u64::from(carrying);
    }
}

impl MatrixCounts {
    fn add(&mut self, other: &MatrixCounts) {
        let add = |sum: &mut [u64], more: &[u64]| sum.iter_mut().zip(more).for_each(|(sum, n)| *sum += n);
        add(&mut self.crowds, &other.crowds);
        add(&mut self.returning, &other.returning);
        for (sum, more) in self.labels.iter_mut().zip(&other.labels) {
            add(&mut sum.carrying, &more.carrying);
            sum.users.iter_mut().zip(&more.users).for_each(|(sum, more)| add(sum, more));
            for (sum, more) in sum.weights.iter_mut().flatten().zip(more.weights.iter().flatten()) {
                sum.users += more.users;
                sum.sum += more.sum;
            }
        }
    }
}
