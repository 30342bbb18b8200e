//! How cohorts lie in each other: how many users are in each combination of them.

use muster_bitmaps::Block;
use muster_profile_store::Snapshot;

use crate::operators::cohort::{Cohort, Opened};
use crate::run::{Control, EvaluationError, each_bucket};
use crate::scratch::Pool;
use crate::universe::Everyone;

/// The users in every region: `regions[r]` are those who are in the cohorts whose bits are set in `r`, bit 0 for
/// the first, and in none of the others; `regions[0]` are the app's users in none of them. There are 2^n of them,
/// so `cohorts` should be few.
pub fn overlap(
    snapshot: &Snapshot,
    cohorts: &[String],
    control: &Control<'_>,
) -> Result<Vec<u64>, EvaluationError> {
    let cohorts = cohorts.iter().map(|id| Cohort::bind(snapshot, id)).collect::<Result<Vec<_>, _>>()?;
    let worker = || (cohorts.iter().map(|_| Block::boxed()).collect::<Vec<_>>(), Pool::default());
    let buckets = each_bucket(snapshot, control, worker, |bucket, (blocks, pool)| {
        let opened = cohorts.iter().map(|cohort| cohort.open(bucket));
        let opened: Vec<Opened<'_>> = opened.collect::<Result<_, _>>()?;
        let everyone = Everyone::open(snapshot.directory(), bucket);
        let mut regions = vec![0; 1 << cohorts.len()];
        for key in 0..everyone.blocks() {
            if (control.stopped)() {
                return Err(EvaluationError::Stopped);
            }
            opened.iter().zip(&mut *blocks).for_each(|(cohort, block)| cohort.block(key as u16, block));
            let mut within = pool.take();
            everyone.block(key as u16, &mut within);
            split(&within, (blocks, 0), pool, &mut regions);
            pool.put(within);
        }
        Ok(regions)
    })?;
    let none = vec![0; 1 << cohorts.len()];
    Ok(buckets.into_iter().fold(none, |mut sum, regions| {
        sum.iter_mut().zip(regions).for_each(|(sum, users)| *sum += users);
        sum
    }))
}

/// Adds the users of the block to their regions. `blocks` are the cohorts that are still to be looked at, and `region`
/// has the bits of those before that the users are in.
fn split(within: &Block, (blocks, region): (&[Box<Block>], usize), pool: &mut Pool, regions: &mut [u64]) {
    if within.is_empty() {
        return;
    }
    let Some((cohort, rest)) = blocks.split_first() else {
        regions[region] += u64::from(within.count());
        return;
    };
    let bit = regions.len() >> blocks.len();
    let mut half = pool.take();
    half.copy_from(within);
    half.and(cohort);
    split(&half, (rest, region | bit), pool, regions);
    half.copy_from(within);
    half.and_not(cohort);
    split(&half, (rest, region), pool, regions);
    pool.put(half);
}
