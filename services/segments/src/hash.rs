//! The content hash of a cohort: the same for the same member ids, whatever order they were given
//! ordinals in, on whatever machine.
//!
//! `xxh3sum:` and 32 hex digits: the sum, modulo 2^128, of XXH3-128 (seed 0) over every member's id.

use std::io::ErrorKind;

use muster_profile_store::{Directory, StoreError};
use rayon::prelude::*;
use roaring::RoaringBitmap;
use xxhash_rust::xxh3::xxh3_128;

use crate::error::Error;

/// Fails where the directory is older than the members, as that of a bucket may be for a second.
pub fn of_members(directory: &Directory, buckets: &[RoaringBitmap]) -> Result<String, Error> {
    let mut sum: u128 = 0;
    for (bucket, members) in (0..).zip(buckets) {
        let mut ids = directory.ids(bucket);
        for ordinal in members {
            sum = sum.wrapping_add(xxh3_128(ids.user(ordinal).ok_or_else(unknown)?));
        }
    }
    Ok(format!("xxh3sum:{sum:032x}"))
}

/// Newer data have the user.
fn unknown() -> Error {
    Error::Store(StoreError::Io { path: "users".into(), source: ErrorKind::NotFound.into() })
}

/// The same of many cohorts: each id is hashed once, whoever has it.
pub fn of_many(directory: &Directory, cohorts: &[Vec<RoaringBitmap>]) -> Vec<String> {
    let buckets = cohorts.iter().map(Vec::len).max().unwrap_or(0) as u32;
    let sums = (0..buckets).into_par_iter().map(|bucket| {
        let mut ids = directory.ids(bucket);
        let users = 0..directory.ordinals_in(bucket);
        let hashes: Vec<u128> = users.map(|user| xxh3_128(ids.user(user).unwrap_or_default())).collect();
        let sum = |members: &RoaringBitmap| {
            members.iter().fold(0u128, |sum, user| sum.wrapping_add(hashes[user as usize]))
        };
        cohorts.iter().map(|cohort| cohort.get(bucket as usize).map_or(0, sum)).collect::<Vec<u128>>()
    });
    let none = || vec![0u128; cohorts.len()];
    let sums = sums.reduce(none, |mut all, some| {
        all.iter_mut().zip(some).for_each(|(all, some)| *all = all.wrapping_add(some));
        all
    });
    sums.into_iter().map(|sum| format!("xxh3sum:{sum:032x}")).collect()
}
