//! The user directory: external user id ↔ (bucket, ordinal). Ordinals are dense inside a bucket, given
//! in order of first appearance, and never reused.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::path::Path;
use std::sync::Arc;

use xxhash_rust::xxh3::xxh3_64;

use crate::error::{Result, StoreError};
use crate::manifest::UsersEntry;
use crate::sealed::{Kind, Sealed, Writer, u32_at, u32_bytes, u64_at};

/// Where a user stands: `hash(user) mod buckets`, and the number inside the bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    pub bucket: u32,
    pub ordinal: u32,
}

/// The hash that buckets and indexes users: XXH3, 64 bits, seed 0. Part of the format.
pub fn user_hash(user: &[u8]) -> u64 {
    xxh3_64(user)
}

pub fn bucket_of(user: &[u8], buckets: u32) -> u32 {
    (user_hash(user) % u64::from(buckets)) as u32
}

/// One users file: some ordinals of every bucket.
pub struct UsersFile {
    file: Arc<Sealed>,
    entry: UsersEntry,
}

impl UsersFile {
    pub(crate) fn new(file: Arc<Sealed>, entry: UsersEntry) -> Result<UsersFile> {
        for bucket in 0..entry.count.len() as u32 {
            let n = entry.count[bucket as usize] as usize;
            if n == 0 {
                continue;
            }
            let fits = file.need(Kind::UserOffsets, bucket, 0)?.len() == (n + 1) * 4
                && file.need(Kind::UserHashes, bucket, 0)?.len() == n * 8
                && file.need(Kind::UserOrdinals, bucket, 0)?.len() == n * 4;
            if !fits {
                return Err(StoreError::damaged(file.path(), "users sections differ in length"));
            }
        }
        Ok(UsersFile { file, entry })
    }

    fn section(&self, kind: Kind, bucket: u32) -> &[u8] {
        self.file.section(kind, bucket, 0).unwrap_or_default()
    }

    /// The id with that ordinal; None when the file has none, or its contents are wrong.
    fn user(&self, bucket: u32, ordinal: u32) -> Option<&[u8]> {
        let index = ordinal.checked_sub(self.entry.base[bucket as usize])?;
        if index >= self.entry.count[bucket as usize] {
            return None;
        }
        let offsets = self.section(Kind::UserOffsets, bucket);
        let (start, end) = (u32_at(offsets, index as usize), u32_at(offsets, index as usize + 1));
        self.section(Kind::UserBytes, bucket).get(start as usize..end as usize)
    }

    fn find(&self, bucket: u32, hash: u64, user: &[u8]) -> Option<u32> {
        let n = self.entry.count[bucket as usize] as usize;
        let hashes = self.section(Kind::UserHashes, bucket);
        let ordinals = self.section(Kind::UserOrdinals, bucket);
        let (mut low, mut high) = (0, n);
        while low < high {
            let middle = low + (high - low) / 2;
            if u64_at(hashes, middle) < hash {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        while low < n && u64_at(hashes, low) == hash {
            let ordinal = u32_at(ordinals, low);
            if self.user(bucket, ordinal) == Some(user) {
                return Some(ordinal);
            }
            low += 1;
        }
        None
    }
}

/// Read side: every users file of an app.
pub struct Directory {
    buckets: u32,
    files: Vec<UsersFile>,
    totals: Vec<u32>,
}

impl Directory {
    pub(crate) fn new(buckets: u32, files: Vec<UsersFile>) -> Directory {
        let mut totals = vec![0; buckets as usize];
        for file in &files {
            for (total, count) in totals.iter_mut().zip(&file.entry.count) {
                *total += count;
            }
        }
        Directory { buckets, files, totals }
    }

    pub fn buckets(&self) -> u32 {
        self.buckets
    }

    /// How many ordinals the bucket has given out.
    pub fn users_in(&self, bucket: u32) -> u32 {
        self.totals[bucket as usize]
    }

    pub fn users(&self) -> u64 {
        self.totals.iter().map(|&n| u64::from(n)).sum()
    }

    pub fn find(&self, user: &[u8]) -> Option<Place> {
        let hash = user_hash(user);
        let bucket = (hash % u64::from(self.buckets)) as u32;
        let ordinal = self.files.iter().rev().find_map(|file| file.find(bucket, hash, user))?;
        Some(Place { bucket, ordinal })
    }

    /// The external id; None when the ordinal was never given.
    pub fn user(&self, place: Place) -> Option<&[u8]> {
        let bucket = place.bucket as usize;
        let file = self.files.iter().rev().find(|file| file.entry.base[bucket] <= place.ordinal)?;
        file.user(place.bucket, place.ordinal)
    }
}

/// Hashes are hashes already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        // The low bits chose the bucket, so the table looks at the others.
        self.0.rotate_right(16)
    }
    fn write(&mut self, _: &[u8]) {
        unreachable!("only u64 keys")
    }
    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// The users of one bucket that no file has yet.
#[derive(Default)]
struct NewUsers {
    base: u32,
    bytes: Vec<u8>,
    ends: Vec<u32>,
    hashes: Vec<u64>,
    index: HashMap<u64, u32, BuildHasherDefault<AsIs>>,
    /// Users whose hash another new user has as well.
    collided: HashMap<Box<[u8]>, u32>,
}

impl NewUsers {
    fn at(base: u32) -> NewUsers {
        NewUsers { base, ..NewUsers::default() }
    }

    fn user(&self, index: u32) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index as usize - 1] };
        &self.bytes[start as usize..self.ends[index as usize] as usize]
    }

    fn find(&self, hash: u64, user: &[u8]) -> Option<u32> {
        let index = *self.index.get(&hash)?;
        if self.user(index) == user {
            return Some(self.base + index);
        }
        self.collided.get(user).copied()
    }

    fn add(&mut self, hash: u64, user: &[u8]) -> Result<u32> {
        let index = self.ends.len() as u32;
        let full = || StoreError::Full("a bucket has more users than 32 bits can number".into());
        let ordinal = self.base.checked_add(index).filter(|&n| n < u32::MAX).ok_or_else(full)?;
        let end = u32::try_from(self.bytes.len() + user.len()).map_err(|_| full())?;
        self.bytes.extend_from_slice(user);
        self.ends.push(end);
        self.hashes.push(hash);
        match self.index.entry(hash) {
            Entry::Occupied(_) => _ = self.collided.insert(user.into(), ordinal),
            Entry::Vacant(free) => _ = free.insert(index),
        }
        Ok(ordinal)
    }

    fn write(&self, writer: &mut Writer, bucket: u32) -> Result<()> {
        let index = self.hashes.iter().enumerate().map(|(n, &hash)| (hash, self.base + n as u32)).collect();
        write_bucket(writer, bucket, &self.ends, &self.bytes, index)
    }
}

fn write_bucket(
    writer: &mut Writer,
    bucket: u32,
    ends: &[u32],
    bytes: &[u8],
    mut index: Vec<(u64, u32)>,
) -> Result<()> {
    index.sort_unstable();
    let offsets = u32_bytes(std::iter::once(0).chain(ends.iter().copied()));
    writer.section(Kind::UserOffsets, bucket, 0, &offsets)?;
    writer.section(Kind::UserBytes, bucket, 0, bytes)?;
    let hashes: Vec<u8> = index.iter().flat_map(|(hash, _)| hash.to_le_bytes()).collect();
    writer.section(Kind::UserHashes, bucket, 0, &hashes)?;
    writer.section(Kind::UserOrdinals, bucket, 0, &u32_bytes(index.iter().map(|(_, ordinal)| *ordinal)))
}

/// Write side: finds users and numbers new ones. Holds at most `flush_at` new users in memory; past
/// that they go to a file of their own.
pub(crate) struct Enrolment {
    directory: Directory,
    fresh: Vec<NewUsers>,
    fresh_count: usize,
    flush_at: usize,
}

/// New users kept in memory (about 40 bytes and the id each) before they are written out.
const FLUSH_AT: usize = 1 << 20;

impl Enrolment {
    pub fn new(directory: Directory) -> Enrolment {
        let fresh = directory.totals.iter().map(|&base| NewUsers::at(base)).collect();
        Enrolment { directory, fresh, fresh_count: 0, flush_at: FLUSH_AT }
    }

    #[cfg(test)]
    pub fn with_flush_at(mut self, users: usize) -> Enrolment {
        self.flush_at = users;
        self
    }

    pub fn place(&mut self, user: &[u8]) -> Result<Place> {
        let hash = user_hash(user);
        let bucket = (hash % u64::from(self.directory.buckets)) as u32;
        if let Some(ordinal) = self.fresh[bucket as usize].find(hash, user) {
            return Ok(Place { bucket, ordinal });
        }
        if let Some(place) = self.directory.find(user) {
            return Ok(place);
        }
        let ordinal = self.fresh[bucket as usize].add(hash, user)?;
        self.fresh_count += 1;
        Ok(Place { bucket, ordinal })
    }

    pub fn is_full(&self) -> bool {
        self.fresh_count >= self.flush_at
    }

    /// Writes the new users to `path`; None when there are none.
    pub fn flush(&mut self, path: &Path, name: &str) -> Result<Option<UsersEntry>> {
        if self.fresh_count == 0 {
            return Ok(None);
        }
        let mut writer = Writer::create(path)?;
        for (bucket, fresh) in self.fresh.iter().enumerate().filter(|(_, fresh)| !fresh.ends.is_empty()) {
            fresh.write(&mut writer, bucket as u32)?;
        }
        writer.seal()?;
        let base: Vec<u32> = self.fresh.iter().map(|fresh| fresh.base).collect();
        let count: Vec<u32> = self.fresh.iter().map(|fresh| fresh.ends.len() as u32).collect();
        let entry = UsersEntry { file: name.to_owned(), base, count };
        let file = Arc::new(Sealed::open(path)?);
        self.directory.files.push(UsersFile::new(file, entry.clone())?);
        for (total, count) in self.directory.totals.iter_mut().zip(&entry.count) {
            *total += count;
        }
        self.fresh = self.directory.totals.iter().map(|&base| NewUsers::at(base)).collect();
        self.fresh_count = 0;
        Ok(Some(entry))
    }

    /// Merges the newest files while the last is at least half as large as the one before it, so that
    /// there are never more than about log2(users) files. `name` gives fresh file names. Returns the
    /// entries as they are now.
    pub fn compact(&mut self, folder: &Path, mut name: impl FnMut() -> String) -> Result<Vec<UsersEntry>> {
        let files = &mut self.directory.files;
        let mut first = files.len();
        let mut merged = 0;
        while first > 0 && (merged == 0 || merged * 2 >= files[first - 1].entry.total()) {
            first -= 1;
            merged += files[first].entry.total();
        }
        if files.len() - first > 1 {
            let name = name();
            let one = merge(&files[first..], &folder.join(&name), &name)?;
            files.truncate(first);
            files.push(one);
        }
        Ok(files.iter().map(|file| file.entry.clone()).collect())
    }
}

fn merge(files: &[UsersFile], path: &Path, name: &str) -> Result<UsersFile> {
    let buckets = files[0].entry.base.len();
    let mut writer = Writer::create(path)?;
    let mut entry =
        UsersEntry { file: name.into(), base: files[0].entry.base.clone(), count: vec![0; buckets] };
    for bucket in 0..buckets as u32 {
        let (mut bytes, mut ends, mut index) = (Vec::new(), Vec::new(), Vec::new());
        for file in files.iter().filter(|file| file.entry.count[bucket as usize] > 0) {
            let start = bytes.len();
            bytes.extend_from_slice(file.section(Kind::UserBytes, bucket));
            u32::try_from(bytes.len())
                .map_err(|_| StoreError::Full("a bucket's user ids take more than 4 GiB".into()))?;
            let offsets = file.section(Kind::UserOffsets, bucket);
            let n = file.entry.count[bucket as usize] as usize;
            let end = |i| (start as u32).checked_add(u32_at(offsets, i));
            let of_file: Option<Vec<u32>> = (1..=n).map(end).collect();
            ends.extend(of_file.ok_or_else(|| StoreError::damaged(file.file.path(), "offsets of users"))?);
            let hashes = file.section(Kind::UserHashes, bucket);
            let ordinals = file.section(Kind::UserOrdinals, bucket);
            index.extend((0..n).map(|i| (u64_at(hashes, i), u32_at(ordinals, i))));
        }
        if !ends.is_empty() {
            entry.count[bucket as usize] = ends.len() as u32;
            write_bucket(&mut writer, bucket, &ends, &bytes, index)?;
        }
    }
    writer.seal()?;
    UsersFile::new(Arc::new(Sealed::open(path)?), entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinals_are_dense_stable_and_found_again_through_flushes_and_merges() {
        let dir = tempfile::tempdir().unwrap();
        let mut enrolment = Enrolment::new(Directory::new(4, Vec::new())).with_flush_at(100);
        let mut places = HashMap::new();
        let mut names = 0;
        let mut name = || {
            names += 1;
            format!("u{names}")
        };
        for round in 0..20 {
            for n in 0..157 {
                let user = format!("user-{}", round * 100 + n);
                let place = enrolment.place(user.as_bytes()).unwrap();
                assert_eq!(place.bucket, bucket_of(user.as_bytes(), 4));
                assert_eq!(*places.entry(user).or_insert(place), place);
                if enrolment.is_full() {
                    let name = name();
                    enrolment.flush(&dir.path().join(&name), &name).unwrap();
                }
            }
            let last = name();
            enrolment.flush(&dir.path().join(&last), &last).unwrap();
            let entries = enrolment.compact(dir.path(), &mut name).unwrap();
            assert!(entries.len() <= 12, "{} files", entries.len());
        }
        let directory = &enrolment.directory;
        assert_eq!(directory.users(), places.len() as u64);
        for bucket in 0..4 {
            let given: std::collections::BTreeSet<u32> =
                places.values().filter(|place| place.bucket == bucket).map(|place| place.ordinal).collect();
            assert_eq!(
                given.iter().copied().collect::<Vec<_>>(),
                (0..directory.users_in(bucket)).collect::<Vec<_>>()
            );
        }
        for (user, place) in &places {
            assert_eq!(directory.find(user.as_bytes()), Some(*place));
            assert_eq!(directory.user(*place), Some(user.as_bytes()));
        }
        assert_eq!(directory.find(b"nobody"), None);
        assert_eq!(directory.user(Place { bucket: 0, ordinal: u32::MAX }), None);
    }

    #[test]
    fn ordinals_and_offsets_that_lead_out_of_the_file_name_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let (path, user) = (dir.path().join("u"), b"ann".as_slice());
        for (ordinal, ends) in [(9, [3]), (11, [3]), (u32::MAX, [3]), (10, [4]), (10, [u32::MAX]), (10, [0])]
        {
            let mut writer = Writer::create(&path).unwrap();
            write_bucket(&mut writer, 0, &ends, user, vec![(user_hash(user), ordinal)]).unwrap();
            writer.seal().unwrap();
            let entry = UsersEntry { file: "u".into(), base: vec![10], count: vec![1] };
            let file = UsersFile::new(Arc::new(Sealed::open(&path).unwrap()), entry).unwrap();
            let directory = Directory::new(1, vec![file]);
            assert_eq!(directory.find(user), None, "{ordinal} {ends:?}");
            assert_eq!(directory.user(Place { bucket: 0, ordinal: 9 }), None);
        }
    }
}
