//! The content hash of a cohort: the same for the same member ids, whatever order they were given
//! ordinals in, on whatever machine.
//!
//! `xxh3sum:` and 32 hex digits: the sum, modulo 2^128, of XXH3-128 (seed 0) over every member's id.

use muster_profile_store::Directory;
use roaring::RoaringBitmap;
use xxhash_rust::xxh3::xxh3_128;

pub fn of_members(directory: &Directory, buckets: &[RoaringBitmap]) -> String {
    let mut sum: u128 = 0;
    for (bucket, members) in (0..).zip(buckets) {
        let mut ids = directory.ids(bucket);
        for ordinal in members {
            sum = sum.wrapping_add(xxh3_128(ids.user(ordinal).unwrap_or_default()));
        }
    }
    format!("xxh3sum:{sum:032x}")
}
