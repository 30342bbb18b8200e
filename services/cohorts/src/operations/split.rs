//! The users of an audience, split into groups.

use muster_profile_store::{Snapshot, StoreError};
use rayon::prelude::*;
use roaring::RoaringBitmap;

use crate::assignment::{Assignment, Place};
use crate::audiences::Users;
use crate::error::Error;

/// The users of each group. Works on all cores.
pub fn split(snapshot: &Snapshot, users: &[RoaringBitmap], by: &Assignment) -> Result<Vec<Users>, Error> {
    let groups = by.shares.len();
    let buckets = users.par_iter().enumerate().map(|(bucket, members)| {
        let mut ids = snapshot.directory().ids(bucket as u32);
        let mut assigner = by.assigner();
        let mut split = vec![RoaringBitmap::new(); groups];
        for ordinal in members {
            let user = ids.user(ordinal).ok_or_else(|| unknown(bucket, ordinal))?;
            if let Place::Group(group) = assigner.place(user) {
                // Ordinals ascend.
                _ = split[group].try_push(ordinal);
            }
        }
        Ok(split)
    });
    let buckets: Vec<Vec<RoaringBitmap>> = buckets.collect::<Result<_, Error>>()?;
    let mut split = vec![Users::with_capacity(users.len()); groups];
    for bucket in buckets {
        split.iter_mut().zip(bucket).for_each(|(group, members)| group.push(members));
    }
    Ok(split)
}

/// `of` and `with` side by side, bucket by bucket.
pub fn and(of: &[RoaringBitmap], with: &[RoaringBitmap]) -> Users {
    of.iter().zip(with).map(|(a, b)| a & b).collect()
}

fn unknown(bucket: usize, ordinal: u32) -> Error {
    Error::Store(StoreError::Full(format!("bucket {bucket} has no user {ordinal}")))
}
