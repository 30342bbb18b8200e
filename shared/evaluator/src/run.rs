//! Runs a bound rule over every bucket, buckets side by side on all cores.

use std::sync::atomic::{AtomicU64, Ordering};

use muster_bitmaps::Block;
use muster_profile_store::{Snapshot, StoreError};
use rayon::prelude::*;
use roaring::RoaringBitmap;

use crate::bound::Bound;
use crate::operators::Opened;
use crate::scratch::{Pool, Scratch};
use crate::tree::{Leaves, narrow};
use crate::universe;

/// How a long evaluation is watched and stopped.
pub struct Control<'a> {
    /// Asked at every block; true ends the evaluation with [`EvaluationError::Stopped`].
    pub stopped: &'a (dyn Fn() -> bool + Sync),
    /// Told the share of the work that is done, 0 to 1.
    pub progress: &'a (dyn Fn(f64) + Sync),
}

impl Control<'_> {
    /// Neither watched nor stopped.
    pub const NONE: Control<'static> = Control { stopped: &|| false, progress: &|_| {} };
}

#[derive(Debug, thiserror::Error)]
pub enum EvaluationError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("the evaluation was stopped")]
    Stopped,
}

/// Exact numbers of users.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    pub count: u64,
    pub universe: u64,
    /// Per leaf of the plan: users of the universe that satisfy it.
    pub leaves: Vec<u64>,
}

/// What one thread works with.
#[derive(Default)]
pub(crate) struct Worker {
    scratch: Scratch,
    pool: Pool,
    leaves: Vec<Box<Block>>,
}

/// The views of one bucket.
struct Bucket<'a> {
    universe: universe::Opened<'a>,
    operators: Vec<Opened<'a>>,
}

impl Bound {
    /// Counts the rule, its universe and every condition.
    pub fn counts(&self, control: &Control<'_>) -> Result<Counts, EvaluationError> {
        let counts =
            self.each_bucket(control, |bucket, worker| self.bucket_counts(bucket, control, worker))?;
        Ok(self.total(counts))
    }

    /// The same for one bucket.
    pub(crate) fn bucket_counts(
        &self,
        bucket: u32,
        control: &Control<'_>,
        worker: &mut Worker,
    ) -> Result<Counts, EvaluationError> {
        let bucket = self.open(bucket)?;
        let mut counts = self.total([]);
        for key in 0..bucket.universe.blocks() {
            if (control.stopped)() {
                return Err(EvaluationError::Stopped);
            }
            self.count_block(&bucket, key as u16, worker, &mut counts);
        }
        Ok(counts)
    }

    pub(crate) fn total(&self, counts: impl IntoIterator<Item = Counts>) -> Counts {
        let none = Counts { leaves: vec![0; self.operators.len()], ..Counts::default() };
        counts.into_iter().fold(none, |sum, counts| Counts {
            count: sum.count + counts.count,
            universe: sum.universe + counts.universe,
            leaves: sum.leaves.iter().zip(&counts.leaves).map(|(a, b)| a + b).collect(),
        })
    }

    /// Counts the rule alone: conditions that can't change the answer any more are left out, block by block.
    pub fn count(&self, control: &Control<'_>) -> Result<u64, EvaluationError> {
        let counts = self.each_bucket(control, |bucket, worker| {
            let mut count = 0;
            self.each_block(bucket, control, worker, |_, members| count += u64::from(members.count()))?;
            Ok(count)
        })?;
        Ok(counts.into_iter().sum())
    }

    /// The users that satisfy the rule: ordinals per bucket.
    pub fn members(&self, control: &Control<'_>) -> Result<Vec<RoaringBitmap>, EvaluationError> {
        self.each_bucket(control, |bucket, worker| {
            let mut all = RoaringBitmap::new();
            self.each_block(bucket, control, worker, |key, members| members.append_to(key, &mut all))?;
            Ok(all)
        })
    }

    /// Users of the rule's universe.
    pub fn universe_size(&self, control: &Control<'_>) -> Result<u64, EvaluationError> {
        let sizes = self.each_bucket(control, |bucket, worker| {
            let universe = self.universe.open(bucket, self.snapshot.directory())?;
            let mut block = worker.pool.take();
            let mut users = 0;
            for key in 0..universe.blocks() {
                universe.block(key as u16, (&mut worker.scratch, &mut worker.pool), &mut block);
                users += u64::from(block.count());
            }
            worker.pool.put(block);
            Ok(users)
        })?;
        Ok(sizes.into_iter().sum())
    }

    fn open(&self, bucket: u32) -> Result<Bucket<'_>, StoreError> {
        let operators: Result<Vec<Opened<'_>>, StoreError> =
            self.operators.iter().map(|operator| operator.open(bucket)).collect();
        Ok(Bucket { universe: self.universe.open(bucket, self.snapshot.directory())?, operators: operators? })
    }

    fn count_block(&self, bucket: &Bucket<'_>, key: u16, worker: &mut Worker, counts: &mut Counts) {
        let mut members = worker.pool.take();
        bucket.universe.block(key, (&mut worker.scratch, &mut worker.pool), &mut members);
        let users = members.count();
        if users > 0 {
            counts.universe += u64::from(users);
            worker.leaves.resize_with(self.operators.len(), Block::boxed);
            for ((operator, block), count) in
                bucket.operators.iter().zip(&mut worker.leaves).zip(&mut counts.leaves)
            {
                operator.block(key, &mut worker.scratch, block);
                *count += u64::from(block.and_count(&members));
            }
            narrow(&self.plan.root, &mut Leaves::Ready(&worker.leaves), &mut worker.pool, &mut members);
            counts.count += u64::from(members.count());
        }
        worker.pool.put(members);
    }

    /// Gives `take` the members in each block of the bucket that has any.
    fn each_block(
        &self,
        bucket: u32,
        control: &Control<'_>,
        worker: &mut Worker,
        mut take: impl FnMut(u16, &Block),
    ) -> Result<(), EvaluationError> {
        let bucket = self.open(bucket)?;
        let mut members = worker.pool.take();
        for key in 0..bucket.universe.blocks() {
            if (control.stopped)() {
                return Err(EvaluationError::Stopped);
            }
            let key = key as u16;
            bucket.universe.block(key, (&mut worker.scratch, &mut worker.pool), &mut members);
            let mut leaves = Leaves::Lazy { opened: &bucket.operators, key, scratch: &mut worker.scratch };
            narrow(&self.ordered, &mut leaves, &mut worker.pool, &mut members);
            if !members.is_empty() {
                take(key, &members);
            }
        }
        worker.pool.put(members);
        Ok(())
    }

    fn each_bucket<T: Send>(
        &self,
        control: &Control<'_>,
        run: impl Fn(u32, &mut Worker) -> Result<T, EvaluationError> + Sync,
    ) -> Result<Vec<T>, EvaluationError> {
        each_bucket(&self.snapshot, control, Worker::default, run)
    }
}

/// Runs something for every bucket, side by side on all cores; `worker` makes what one thread works with.
pub(crate) fn each_bucket<T: Send, W>(
    snapshot: &Snapshot,
    control: &Control<'_>,
    worker: impl Fn() -> W + Send + Sync,
    run: impl Fn(u32, &mut W) -> Result<T, EvaluationError> + Sync,
) -> Result<Vec<T>, EvaluationError> {
    let buckets = snapshot.directory().buckets();
    let done = AtomicU64::new(0);
    (0..buckets)
        .into_par_iter()
        .map_init(worker, |worker, bucket| {
            let result = run(bucket, worker)?;
            let done = done.fetch_add(1, Ordering::Relaxed) + 1;
            (control.progress)(done as f64 / f64::from(buckets));
            Ok(result)
        })
        .collect()
}
