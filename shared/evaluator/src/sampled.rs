//! Counts a rule on some of the buckets, and says how sure that is. See [`crate::Sample`] for why whole
//! buckets may stand for all of them.
//!
//! The first two buckets tell how many will be needed; those are taken, and one more if that was too few.
//! Where half of them do not do, all are taken and the answer is exact.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use rayon::prelude::*;

use crate::bound::Bound;
use crate::confidence::Sample;
use crate::run::{Control, Counts, EvaluationError, Worker};
use crate::universe::BoundUniverse;

/// Buckets that are taken before anything is made of them.
const FIRST: usize = 2;

/// When to stop.
#[derive(Clone, Copy, Debug)]
pub struct Sampling {
    /// As soon as the interval reaches no further than this share of the count to either side.
    pub within: Option<f64>,
    /// No bucket is begun after this, but the first ones.
    pub until: Option<Instant>,
    /// Decides on the order of the buckets: the same for the same rule, and nothing of what it counts.
    pub seed: u64,
}

/// The counts of all buckets, or estimates of them.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled {
    pub counts: Counts,
    /// Where the count lies with 95 % confidence; None: it is exact.
    pub interval: Option<(u64, u64)>,
    /// The same for the universe, which may be exact by itself.
    pub universe_interval: Option<(u64, u64)>,
    /// Share of the buckets that were evaluated.
    pub evaluated: f64,
}

impl Sampled {
    pub fn exact(counts: Counts) -> Sampled {
        Sampled { counts, interval: None, universe_interval: None, evaluated: 1.0 }
    }
}

impl Bound {
    /// Counts the rule, its universe and every condition on as many buckets as `sampling` asks for.
    pub fn sampled(&self, sampling: &Sampling, control: &Control<'_>) -> Result<Sampled, EvaluationError> {
        let order = self.order(sampling.seed);
        let (mut seen, mut taken) = (self.total([]), FIRST.min(order.len()));
        self.take(&order[..taken], None, control, &mut seen)?;
        while taken < order.len() {
            let sample = self.sample(&order[..taken]);
            let enough = sampling.within.is_some_and(|within| sample.is_within(seen.count, within));
            if enough || is_past(sampling.until) {
                return Ok(self.estimated(&seen, sample, taken as f64 / order.len() as f64));
            }
            let upto = self.needed(sampling.within, &order, taken, seen.count);
            taken += self.take(&order[taken..upto], sampling.until, control, &mut seen)?;
        }
        Ok(Sampled::exact(seen))
    }

    /// The buckets that have users, shuffled.
    fn order(&self, seed: u64) -> Vec<u32> {
        let directory = self.snapshot.directory();
        let mut order: Vec<u32> =
            (0..directory.buckets()).filter(|bucket| directory.users_in(*bucket) > 0).collect();
        let mut state = seed;
        for left in (1..order.len()).rev() {
            // SplitMix64 (Steele, Lea, Flood 2014).
            state = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
            let mut z = state;
            z = (z ^ z >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
            z = (z ^ z >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
            order.swap(left, ((z ^ z >> 31) % (left as u64 + 1)) as usize);
        }
        order
    }

    fn sample(&self, buckets: &[u32]) -> Sample {
        let directory = self.snapshot.directory();
        let users = buckets.iter().map(|bucket| u64::from(directory.users_in(*bucket))).sum();
        Sample { users, of: directory.users() }
    }

    /// How many buckets will do if the next ones are like the first `taken`; all of them, if half will not.
    fn needed(&self, within: Option<f64>, order: &[u32], taken: usize, hits: u64) -> usize {
        let Some(within) = within else { return order.len() };
        let so_far = self.sample(&order[..taken]);
        let will_do = |upto: &usize| {
            let then = self.sample(&order[..*upto]);
            let hits = u128::from(hits) * u128::from(then.users) / u128::from(so_far.users);
            then.is_within(hits as u64, within)
        };
        (taken + 1..=order.len() / 2).find(will_do).unwrap_or(order.len())
    }

    /// Adds up the buckets, side by side on all cores and begun in their order, until the time is over.
    /// Answers how many it came to.
    fn take(
        &self,
        buckets: &[u32],
        until: Option<Instant>,
        control: &Control<'_>,
        seen: &mut Counts,
    ) -> Result<usize, EvaluationError> {
        let begun = AtomicUsize::new(0);
        let work = |_| {
            let (mut worker, mut sum) = (Worker::default(), self.total([]));
            while !is_past(until) {
                let Some(&bucket) = buckets.get(begun.fetch_add(1, Ordering::Relaxed)) else { break };
                sum = self.total([sum, self.bucket_counts(bucket, control, &mut worker)?]);
            }
            Ok(sum)
        };
        let threads = rayon::current_num_threads().min(buckets.len());
        let sums: Result<Vec<Counts>, EvaluationError> = (0..threads).into_par_iter().map(work).collect();
        *seen = self.total(sums?.into_iter().chain([std::mem::take(seen)]));
        Ok(begun.into_inner().min(buckets.len()))
    }

    fn estimated(&self, seen: &Counts, sample: Sample, evaluated: f64) -> Sampled {
        let (universe, universe_interval) = match self.universe {
            BoundUniverse::All => (sample.of, None),
            _ => (sample.estimate(seen.universe), Some(sample.interval(seen.universe))),
        };
        let leaves = seen.leaves.iter().map(|hits| sample.estimate(*hits)).collect();
        Sampled {
            counts: Counts { count: sample.estimate(seen.count), universe, leaves },
            interval: Some(sample.interval(seen.count)),
            universe_interval,
            evaluated,
        }
    }
}

fn is_past(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() >= until)
}
