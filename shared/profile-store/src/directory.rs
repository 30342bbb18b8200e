//! The user directory, read side: external user id ↔ (bucket, ordinal). Ordinals are dense inside a bucket,
//! given in order of first appearance, and never reused.

use std::path::Path;
use std::sync::Arc;

use muster_bitmaps::BitmapView;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Result, StoreError};
use crate::manifest::UsersEntry;
use crate::sealed::{Kind, Sealed};

/// Where a user stands: `hash(user) mod buckets`, and the number inside the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub bucket: u32,
    pub ordinal: u32,
}

/// A user id and its hash, which is computed once on the way from a row to its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct User<'a> {
    pub id: &'a [u8],
    /// XXH3, 64 bits, seed 0: part of the format.
    pub hash: u64,
}

impl<'a> User<'a> {
    pub fn new(id: &'a [u8]) -> User<'a> {
        User { id, hash: xxh3_64(id) }
    }

    pub fn bucket(&self, buckets: u32) -> u32 {
        (self.hash % u64::from(buckets)) as u32
    }
}

pub fn bucket_of(user: &[u8], buckets: u32) -> u32 {
    User::new(user).bucket(buckets)
}

/// No ordinal: what stands for a user that is not known.
pub(crate) const UNKNOWN: u32 = u32::MAX;
/// Users looked up side by side: memory is waited for once for all of them.
pub(crate) const ROUND: usize = 64;

/// One users file: some ordinals of every bucket.
pub(crate) struct UsersFile {
    file: Arc<Sealed>,
    pub entry: UsersEntry,
}

impl UsersFile {
    pub fn new(file: Arc<Sealed>, entry: UsersEntry) -> Result<UsersFile> {
        for bucket in 0..entry.count.len() as u32 {
            let n = entry.count[bucket as usize] as usize;
            if n == 0 {
                continue;
            }
            let hashes = file.need(Kind::UserHashes, bucket, 0)?.len();
            // Users that are erased have no hash.
            let fits = file.need(Kind::UserOffsets, bucket, 0)?.len() == (n + 1) * 4
                && hashes <= n * 8
                && hashes.is_multiple_of(8)
                && file.need(Kind::UserOrdinals, bucket, 0)?.len() * 2 == hashes;
            if !fits {
                return Err(StoreError::damaged(file.path(), "users sections differ in length"));
            }
        }
        Ok(UsersFile { file, entry })
    }

    pub fn path(&self) -> &Path {
        self.file.path()
    }

    pub fn bucket(&self, bucket: u32) -> BucketIndex<'_> {
        let section = |kind| self.file.section(kind, bucket, 0).unwrap_or_default();
        BucketIndex {
            base: self.entry.base[bucket as usize],
            offsets: section(Kind::UserOffsets).as_chunks().0,
            bytes: section(Kind::UserBytes),
            hashes: section(Kind::UserHashes).as_chunks().0,
            ordinals: section(Kind::UserOrdinals).as_chunks().0,
        }
    }
}

/// One bucket of a users file.
#[derive(Clone, Copy)]
pub(crate) struct BucketIndex<'a> {
    base: u32,
    /// Where the ids begin and end in `bytes`.
    pub offsets: &'a [[u8; 4]],
    pub bytes: &'a [u8],
    /// Ascending, and beside each the ordinal of its user.
    pub hashes: &'a [[u8; 8]],
    pub ordinals: &'a [[u8; 4]],
}

impl<'a> BucketIndex<'a> {
    fn hash(&self, at: usize) -> u64 {
        u64::from_le_bytes(self.hashes[at])
    }

    /// Where the ordinal's id stands in `bytes`; None when the file has none, or its contents are wrong.
    fn span(&self, ordinal: u32) -> Option<(u32, u32)> {
        let index = ordinal.checked_sub(self.base)? as usize;
        let offset = |index: usize| self.offsets.get(index).map(|bytes| u32::from_le_bytes(*bytes));
        Some((offset(index)?, offset(index + 1)?))
    }

    fn slice(&self, (start, end): (u32, u32)) -> Option<&'a [u8]> {
        self.bytes.get(start as usize..end as usize)
    }

    /// The id of an ordinal of this file; None when its user is erased.
    pub fn user(&self, ordinal: u32) -> Option<&'a [u8]> {
        self.slice(self.span(ordinal)?).filter(|id| !id.is_empty())
    }

    /// Fills in the ordinals of those of at most [`ROUND`] users that are named by `wanted` and known here;
    /// the others stay in `wanted`. Step by step for all of them, so that their reads overlap.
    pub fn find_all(&self, users: &[User<'_>], wanted: &mut Vec<u8>, found: &mut [u32]) {
        let n = self.hashes.len();
        if n == 0 {
            return;
        }
        let mut near = [0; ROUND];
        let mut spans = [None; ROUND];
        for (near, &user) in near.iter_mut().zip(&*wanted) {
            *near = self.guess(users[usize::from(user)].hash);
        }
        for _ in 0..2 {
            for (near, &user) in near.iter_mut().zip(&*wanted) {
                *near = self.nearer(*near, users[usize::from(user)].hash);
            }
        }
        for (near, &user) in near.iter_mut().zip(&*wanted) {
            let hash = users[usize::from(user)].hash;
            let at = self.first_from(*near, hash);
            *near = at;
            let same = at < n && self.hash(at) == hash;
            found[usize::from(user)] = if same { u32::from_le_bytes(self.ordinals[at]) } else { UNKNOWN };
        }
        for (span, &user) in spans.iter_mut().zip(&*wanted) {
            if found[usize::from(user)] != UNKNOWN {
                *span = self.span(found[usize::from(user)]);
            }
        }
        let mut steps = spans.iter().zip(near);
        wanted.retain(|&user| {
            let ((span, at), user) = (steps.next().unwrap_or((&None, n)), usize::from(user));
            if found[user] != UNKNOWN && span.and_then(|span| self.slice(span)) != Some(users[user].id) {
                // Another user has the same hash.
                found[user] = self.find_from(at, &users[user]).unwrap_or(UNKNOWN);
            }
            found[user] == UNKNOWN
        });
    }

    pub fn find(&self, user: &User<'_>) -> Option<u32> {
        if self.hashes.is_empty() {
            return None;
        }
        let near = self.nearer(self.guess(user.hash), user.hash);
        self.find_from(self.first_from(near, user.hash), user)
    }

    /// The user among those with its hash, the first of which is at `at`.
    fn find_from(&self, at: usize, user: &User<'_>) -> Option<u32> {
        let same = (at..self.hashes.len()).take_while(|&at| self.hash(at) == user.hash);
        let mut ordinals = same.map(|at| u32::from_le_bytes(self.ordinals[at]));
        ordinals.find(|&ordinal| self.user(ordinal) == Some(user.id))
    }

    /// Hashes are spread evenly, so one stands about where its size says.
    fn guess(&self, hash: u64) -> usize {
        ((u128::from(hash) * self.hashes.len() as u128) >> 64) as usize
    }

    /// The same once more, from what stands at the guess.
    fn nearer(&self, at: usize, hash: u64) -> usize {
        let gap = i128::from(hash) - i128::from(self.hash(at));
        let last = self.hashes.len() as i128 - 1;
        (at as i128 + ((gap * (last + 1)) >> 64)).clamp(0, last) as usize
    }

    /// The first place whose hash is not below `hash`, searched from `near` outwards.
    fn first_from(&self, near: usize, hash: u64) -> usize {
        let (n, mut step) = (self.hashes.len(), 1);
        let (mut low, mut high);
        if self.hash(near) < hash {
            low = near + 1;
            while low + step < n && self.hash(low + step) < hash {
                low += step + 1;
                step *= 2;
            }
            high = n.min(low + step);
        } else {
            high = near;
            while high >= step && self.hash(high - step) >= hash {
                high -= step;
                step *= 2;
            }
            low = (high + 1).saturating_sub(step);
        }
        while low < high {
            let middle = low + (high - low) / 2;
            if self.hash(middle) < hash {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }
}

/// Every users file of an app.
pub struct Directory {
    buckets: u32,
    pub(crate) files: Vec<UsersFile>,
    pub(crate) totals: Vec<u32>,
    erased: Option<ErasedFile>,
}

/// Whose ordinals are nobody's any more.
pub(crate) struct ErasedFile {
    file: Arc<Sealed>,
    users: u64,
}

impl ErasedFile {
    pub fn new(file: Arc<Sealed>, buckets: u32) -> Result<ErasedFile> {
        let mut erased = ErasedFile { file, users: 0 };
        for bucket in 0..buckets {
            let Some(bytes) = erased.file.section(Kind::Erased, bucket, 0) else { continue };
            let bitmap = BitmapView::parse(bytes)
                .map_err(|error| StoreError::damaged(erased.file.path(), format!("erased users: {error}")))?;
            erased.users += bitmap.len();
        }
        Ok(erased)
    }

    /// None when nobody of the bucket is erased.
    pub fn bucket(&self, bucket: u32) -> Option<BitmapView<'_>> {
        BitmapView::parse_trusted(self.file.section(Kind::Erased, bucket, 0)?).ok()
    }
}

impl Directory {
    pub(crate) fn new(buckets: u32, files: Vec<UsersFile>) -> Directory {
        let totals = vec![0; buckets as usize];
        let mut directory = Directory { buckets, files: Vec::new(), totals, erased: None };
        files.into_iter().for_each(|file| directory.push(file));
        directory
    }

    pub(crate) fn with_erased(self, erased: Option<ErasedFile>) -> Directory {
        Directory { erased, ..self }
    }

    /// One more file, whose ordinals follow those there are.
    pub(crate) fn push(&mut self, file: UsersFile) {
        for (total, count) in self.totals.iter_mut().zip(&file.entry.count) {
            *total += count;
        }
        self.files.push(file);
    }

    pub fn buckets(&self) -> u32 {
        self.buckets
    }

    /// How many ordinals the bucket has given out, those of erased users among them.
    pub fn ordinals_in(&self, bucket: u32) -> u32 {
        self.totals[bucket as usize]
    }

    /// The ordinals of the bucket that are nobody's any more; None when all are somebody's.
    pub fn erased_in(&self, bucket: u32) -> Option<BitmapView<'_>> {
        self.erased.as_ref()?.bucket(bucket)
    }

    pub fn users_in(&self, bucket: u32) -> u32 {
        let erased = self.erased_in(bucket).map_or(0, |erased| erased.len() as u32);
        self.ordinals_in(bucket).saturating_sub(erased)
    }

    pub fn users(&self) -> u64 {
        let given: u64 = self.totals.iter().map(|&n| u64::from(n)).sum();
        given.saturating_sub(self.erased.as_ref().map_or(0, |erased| erased.users))
    }

    pub fn find(&self, user: &[u8]) -> Option<Place> {
        let user = User::new(user);
        let bucket = user.bucket(self.buckets);
        let ordinal = self.files.iter().rev().find_map(|file| file.bucket(bucket).find(&user))?;
        Some(Place { bucket, ordinal })
    }

    /// The ids of one bucket, for whoever wants many of them.
    pub fn ids(&self, bucket: u32) -> BucketIds<'_> {
        let files = self.files.iter().filter(|file| file.entry.count[bucket as usize] > 0);
        BucketIds { files: files.map(|file| file.bucket(bucket)).collect(), at: 0 }
    }

    /// The external id; None when the ordinal was never given, or its user is erased.
    pub fn user(&self, place: Place) -> Option<&[u8]> {
        let bucket = place.bucket as usize;
        let file = self.files.iter().rev().find(|file| file.entry.base[bucket] <= place.ordinal)?;
        file.bucket(place.bucket).user(place.ordinal)
    }
}

/// Reads the ids of a bucket; fastest when ordinals ascend.
pub struct BucketIds<'a> {
    /// Oldest first: ordinals run on from one to the next.
    files: Vec<BucketIndex<'a>>,
    /// The file of the last one.
    at: usize,
}

impl<'a> BucketIds<'a> {
    /// None when the ordinal was never given, or its user is erased.
    pub fn user(&mut self, ordinal: u32) -> Option<&'a [u8]> {
        if self.files.get(self.at).is_none_or(|file| ordinal < file.base) {
            self.at = 0;
        }
        while self.files.get(self.at + 1).is_some_and(|next| next.base <= ordinal) {
            self.at += 1;
        }
        self.files.get(self.at)?.user(ordinal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Looks every hash up, and one beside each, from every guess.
    fn check(hashes: &[u64]) {
        let bytes: Vec<[u8; 8]> = hashes.iter().map(|hash| hash.to_le_bytes()).collect();
        let index = BucketIndex { base: 0, offsets: &[], bytes: &[], hashes: &bytes, ordinals: &[] };
        let beside = hashes.iter().flat_map(|&hash| [hash.saturating_sub(1), hash, hash.saturating_add(1)]);
        for hash in beside.chain([0, u64::MAX]) {
            let expected = hashes.partition_point(|&has| has < hash);
            let near = index.nearer(index.guess(hash), hash);
            assert_eq!(index.first_from(near, hash), expected);
            for near in 0..hashes.len() {
                assert_eq!(index.first_from(near, hash), expected, "{hash} from {near}");
            }
        }
    }

    #[test]
    fn a_hash_is_found_from_any_guess_however_uneven_the_hashes_are() {
        check(&[0]);
        check(&[u64::MAX]);
        check(&[7, 7, 7]);
        check(&[0, 0, 1, u64::MAX, u64::MAX]);
        check(&(0..100).collect::<Vec<u64>>());
        check(&(0..100).map(|n| n * (u64::MAX / 99)).collect::<Vec<u64>>());
        check(&(0..64).map(|n| 1u64 << n).collect::<Vec<u64>>());
    }
}
