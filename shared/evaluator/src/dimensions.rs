//! What an event comes to on a day by the values of its dimensions: pv, and users counted once each.

use std::collections::BTreeMap;

use muster_profile_store::{EventPart, Snapshot, TupleRows};

use crate::run::{Control, EvaluationError, each_bucket};

/// A value of a dimension, by its number in the dictionary.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValueTotal {
    pub id: u32,
    pub pv: u64,
    /// Users with any row of the value. Exact.
    pub users: u64,
}

/// pv and users by value.
type Totals = BTreeMap<u32, (u64, u64)>;

/// Per dimension of the part, in its order, every value that a row has. A user is in one bucket only, so
/// what the buckets come to adds up. Memory: the rows of one value in one bucket, per thread.
///
/// # Errors
/// Those of reading the part, and [`EvaluationError::Stopped`].
pub fn dimension_totals(
    part: &EventPart,
    snapshot: &Snapshot,
    control: &Control<'_>,
) -> Result<Vec<Vec<ValueTotal>>, EvaluationError> {
    let buckets = each_bucket(snapshot, control, Vec::new, |bucket, ordinals: &mut Vec<u32>| {
        bucket_totals(part, bucket, control, ordinals)
    })?;
    let mut sums = vec![Totals::new(); part.meta().dimensions.len()];
    for (sum, totals) in buckets.into_iter().flat_map(|bucket| (0..).zip(bucket)) {
        let sum: &mut Totals = &mut sums[sum];
        for (id, (pv, users)) in totals {
            let total = sum.entry(id).or_default();
            *total = (total.0 + pv, total.1 + users);
        }
    }
    let totals =
        |sum: Totals| sum.into_iter().map(|(id, (pv, users))| ValueTotal { id, pv, users }).collect();
    Ok(sums.into_iter().map(totals).collect())
}

fn bucket_totals(
    part: &EventPart,
    bucket: u32,
    control: &Control<'_>,
    ordinals: &mut Vec<u32>,
) -> Result<Vec<Totals>, EvaluationError> {
    let mut all = vec![Totals::new(); part.meta().dimensions.len()];
    let Some(postings) = part.postings(bucket)? else { return Ok(all) };
    for (dimension, totals) in all.iter_mut().enumerate() {
        let value = |(tuple, rows)| Some((part.tuple_value(tuple, dimension)?, rows));
        let mut tuples: Vec<(u32, TupleRows)> = postings.tuples().filter_map(value).collect();
        tuples.sort_by_key(|(value, _)| *value);
        for tuples in tuples.chunk_by(|a, b| a.0 == b.0) {
            if (control.stopped)() {
                return Err(EvaluationError::Stopped);
            }
            ordinals.clear();
            let mut pv = 0;
            for (_, rows) in tuples {
                postings.groups(*rows, |group| {
                    postings.for_each(&group, 0, |place, number| {
                        ordinals.push(u32::from(group.block) << 16 | u32::from(place));
                        // A file has no negative pv, and the whole day's fits.
                        pv += number as u64;
                    });
                })?;
            }
            ordinals.sort_unstable();
            ordinals.dedup();
            totals.insert(tuples[0].0, (pv, ordinals.len() as u64));
        }
    }
    Ok(all)
}
