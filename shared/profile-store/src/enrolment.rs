//! The user directory, write side: finds users and numbers new ones, bucket by bucket and each bucket by
//! itself, so that buckets can be worked on side by side.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use rayon::prelude::*;
use roaring::RoaringBitmap;

use crate::directory::{BucketIndex, Directory, ROUND, UNKNOWN, User, UsersFile};
use crate::error::{Result, StoreError};
use crate::manifest::UsersEntry;
use crate::sealed::{Kind, Sealed, Writer, u32_bytes};

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
    index: HashMap<u64, u32, BuildHasherDefault<AsIs>>,
    /// Users whose hash another new user has as well, with it.
    collided: HashMap<Box<[u8]>, (u64, u32)>,
}

impl NewUsers {
    fn at(base: u32) -> NewUsers {
        NewUsers { base, ..NewUsers::default() }
    }

    fn len(&self) -> usize {
        self.ends.len()
    }

    fn user(&self, index: u32) -> &[u8] {
        let start = if index == 0 { 0 } else { self.ends[index as usize - 1] };
        &self.bytes[start as usize..self.ends[index as usize] as usize]
    }

    fn find(&self, user: &User<'_>) -> Option<u32> {
        let index = *self.index.get(&user.hash)?;
        if self.user(index) == user.id {
            return Some(self.base + index);
        }
        self.collided.get(user.id).map(|&(_, ordinal)| ordinal)
    }

    fn find_or_add(&mut self, user: &User<'_>) -> Result<u32> {
        let index = self.ends.len() as u32;
        match self.index.entry(user.hash) {
            Entry::Vacant(free) => _ = free.insert(index),
            Entry::Occupied(_) => match self.find(user) {
                Some(ordinal) => return Ok(ordinal),
                None => _ = self.collided.insert(user.id.into(), (user.hash, self.base + index)),
            },
        }
        let full = || StoreError::Full("a bucket has more users than 32 bits can number".into());
        let ordinal = self.base.checked_add(index).filter(|&n| n < UNKNOWN).ok_or_else(full)?;
        let end = u32::try_from(self.bytes.len() + user.id.len()).map_err(|_| full())?;
        self.bytes.extend_from_slice(user.id);
        self.ends.push(end);
        Ok(ordinal)
    }

    fn sections(&self) -> UserSections {
        let known = self.index.iter().map(|(&hash, &index)| (hash, self.base + index));
        let mut index: Vec<(u64, u32)> = known.chain(self.collided.values().copied()).collect();
        index.sort_unstable();
        UserSections::new(&self.ends, self.bytes.clone(), &index)
    }
}

/// The sections of one bucket of a users file.
struct UserSections {
    count: u32,
    offsets: Vec<u8>,
    bytes: Vec<u8>,
    hashes: Vec<u8>,
    ordinals: Vec<u8>,
}

impl UserSections {
    /// `index`: hash and ordinal of every user, sorted.
    fn new(ends: &[u32], bytes: Vec<u8>, index: &[(u64, u32)]) -> UserSections {
        UserSections {
            count: ends.len() as u32,
            offsets: u32_bytes(std::iter::once(0).chain(ends.iter().copied())),
            bytes,
            hashes: index.iter().flat_map(|(hash, _)| hash.to_le_bytes()).collect(),
            ordinals: u32_bytes(index.iter().map(|(_, ordinal)| *ordinal)),
        }
    }

    fn write(&self, writer: &mut Writer, bucket: u32) -> Result<()> {
        writer.section(Kind::UserOffsets, bucket, 0, &self.offsets)?;
        writer.section(Kind::UserBytes, bucket, 0, &self.bytes)?;
        writer.section(Kind::UserHashes, bucket, 0, &self.hashes)?;
        writer.section(Kind::UserOrdinals, bucket, 0, &self.ordinals)
    }
}

/// Writes a users file, whose buckets are made side by side; gives how many users each has.
fn write_users(
    path: &Path,
    buckets: u32,
    sections: impl Fn(u32) -> Result<UserSections> + Sync,
) -> Result<Vec<u32>> {
    let mut writer = Writer::create(path)?;
    let mut counts = Vec::with_capacity(buckets as usize);
    for wave in waves(buckets) {
        let made: Vec<Result<UserSections>> = wave.clone().into_par_iter().map(&sections).collect();
        for (bucket, made) in wave.zip(made) {
            let made = made?;
            counts.push(made.count);
            if made.count > 0 {
                made.write(&mut writer, bucket)?;
            }
        }
    }
    writer.seal()?;
    Ok(counts)
}

/// A users file without some of its users: their ordinals stay, and are nobody's.
pub(crate) fn users_without(
    from: &UsersFile,
    gone: &[RoaringBitmap],
    (path, name): (&Path, &str),
) -> Result<UsersFile> {
    let UsersEntry { base, count, .. } = &from.entry;
    let sections = |bucket: u32| {
        let (index, first, n) = (from.bucket(bucket), base[bucket as usize], count[bucket as usize]);
        let (mut bytes, mut ends) = (Vec::new(), Vec::with_capacity(n as usize));
        for ordinal in first..first + n {
            if !gone[bucket as usize].contains(ordinal) {
                bytes.extend_from_slice(index.user(ordinal).unwrap_or_default());
            }
            ends.push(bytes.len() as u32);
        }
        let pairs = index.hashes.iter().zip(index.ordinals);
        let pairs = pairs.map(|(hash, user)| (u64::from_le_bytes(*hash), u32::from_le_bytes(*user)));
        let known: Vec<(u64, u32)> =
            pairs.filter(|(_, ordinal)| !gone[bucket as usize].contains(*ordinal)).collect();
        Ok(UserSections::new(&ends, bytes, &known))
    };
    let count = write_users(path, base.len() as u32, sections)?;
    let entry = UsersEntry { file: name.into(), base: base.clone(), count };
    UsersFile::new(Arc::new(Sealed::open(path)?), entry)
}

/// The buckets in groups that are worked on, and held in memory, at once: two per thread, so that a thread
/// that is done early finds more to do.
fn waves(buckets: u32) -> impl Iterator<Item = Range<u32>> {
    let width = 2 * rayon::current_num_threads() as u32;
    (0..buckets).step_by(width as usize).map(move |first| first..buckets.min(first + width))
}

/// One bucket's users while rows are placed.
pub(crate) struct BucketUsers<'a> {
    known: Vec<BucketIndex<'a>>,
    fresh: &'a mut NewUsers,
    /// Reused from round to round.
    wanted: Vec<u8>,
}

impl BucketUsers<'_> {
    /// The ordinals of the users of at most [`ROUND`] rows, new ones being numbered in this order.
    pub fn place<'r, R>(&mut self, rows: &[R], user: impl Fn(&R) -> User<'r>) -> Result<[u32; ROUND]> {
        let mut users = [User { id: &[], hash: 0 }; ROUND];
        users.iter_mut().zip(rows).for_each(|(place, row)| *place = user(row));
        let users = &users[..rows.len()];
        let mut places = [UNKNOWN; ROUND];
        self.wanted.clear();
        self.wanted.extend(0..users.len() as u8);
        if !self.known.is_empty() {
            self.find(users, &mut places[..users.len()]);
        }
        for &user in &self.wanted {
            places[usize::from(user)] = self.fresh.find_or_add(&users[usize::from(user)])?;
        }
        Ok(places)
    }

    fn find(&mut self, users: &[User<'_>], places: &mut [u32]) {
        for index in &self.known {
            index.find_all(users, &mut self.wanted, places);
        }
    }

    /// How many ordinals the bucket has given out by now.
    pub fn total(&self) -> u32 {
        self.fresh.base + self.fresh.len() as u32
    }
}

/// New users kept in memory (about 40 bytes and the id each) before they are written out.
const FLUSH_AT: usize = 1 << 20;

/// Finds users and numbers new ones. Those that are more than `flush_at` go to a file of their own.
pub(crate) struct Enrolment {
    pub(crate) directory: Directory,
    fresh: Vec<NewUsers>,
    flush_at: usize,
}

impl Enrolment {
    pub fn new(directory: Directory) -> Enrolment {
        let fresh = directory.totals.iter().map(|&base| NewUsers::at(base)).collect();
        Enrolment { directory, fresh, flush_at: FLUSH_AT }
    }

    #[cfg(test)]
    fn with_flush_at(mut self, users: usize) -> Enrolment {
        self.flush_at = users;
        self
    }

    pub fn waves(&self) -> impl Iterator<Item = Range<u32>> + use<> {
        waves(self.directory.buckets())
    }

    /// Works on some buckets side by side.
    pub fn each<T: Send, E: Send>(
        &mut self,
        wave: Range<u32>,
        make: impl Fn(u32, BucketUsers<'_>) -> std::result::Result<T, E> + Sync,
    ) -> Vec<std::result::Result<T, E>> {
        let files = &self.directory.files;
        let fresh = &mut self.fresh[wave.start as usize..wave.end as usize];
        let buckets = wave.into_par_iter().zip(fresh).with_max_len(1);
        let made = buckets.map(|(bucket, fresh)| {
            let known = files.iter().filter(|file| file.entry.count[bucket as usize] > 0);
            let known = known.map(|file| file.bucket(bucket)).collect();
            make(bucket, BucketUsers { known, fresh, wanted: Vec::with_capacity(ROUND) })
        });
        made.collect()
    }

    fn fresh_count(&self) -> usize {
        self.fresh.iter().map(NewUsers::len).sum()
    }

    pub fn is_full(&self) -> bool {
        self.fresh_count() >= self.flush_at
    }

    /// Writes the new users to `path`; None when there are none.
    pub fn flush(&mut self, path: &Path, name: &str) -> Result<Option<UsersEntry>> {
        if self.fresh_count() == 0 {
            return Ok(None);
        }
        let fresh = &self.fresh;
        let count =
            write_users(path, self.directory.buckets(), |bucket| Ok(fresh[bucket as usize].sections()))?;
        let entry = UsersEntry { file: name.to_owned(), base: self.directory.totals.clone(), count };
        let file = Arc::new(Sealed::open(path)?);
        self.directory.push(UsersFile::new(file, entry.clone())?);
        self.fresh = self.directory.totals.iter().map(|&base| NewUsers::at(base)).collect();
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
    let base = files[0].entry.base.clone();
    let count = write_users(path, base.len() as u32, |bucket| merged(files, bucket))?;
    UsersFile::new(Arc::new(Sealed::open(path)?), UsersEntry { file: name.into(), base, count })
}

/// One bucket of several files whose ordinals follow each other.
fn merged(files: &[UsersFile], bucket: u32) -> Result<UserSections> {
    let (mut bytes, mut ends, mut index) = (Vec::new(), Vec::new(), Vec::new());
    for file in files.iter().filter(|file| file.entry.count[bucket as usize] > 0) {
        let (from, start) = (file.bucket(bucket), bytes.len());
        bytes.extend_from_slice(from.bytes);
        u32::try_from(bytes.len())
            .map_err(|_| StoreError::Full("a bucket's user ids take more than 4 GiB".into()))?;
        let end = |offset: &[u8; 4]| (start as u32).checked_add(u32::from_le_bytes(*offset));
        let of_file: Option<Vec<u32>> = from.offsets[1..].iter().map(end).collect();
        ends.extend(of_file.ok_or_else(|| StoreError::damaged(file.path(), "offsets of users"))?);
        let pairs = from.hashes.iter().zip(from.ordinals);
        index.extend(pairs.map(|(hash, ordinal)| (u64::from_le_bytes(*hash), u32::from_le_bytes(*ordinal))));
    }
    // The stable sort merges runs that are sorted.
    index.sort();
    Ok(UserSections::new(&ends, bytes, &index))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{Place, bucket_of};

    fn place(enrolment: &mut Enrolment, users: &[String]) -> Vec<Place> {
        let mut places = vec![None; users.len()];
        for wave in enrolment.waves() {
            let made = enrolment.each(wave.clone(), |bucket, mut bucket_users| {
                let mut placed = Vec::new();
                let mine = |user: &&String| bucket_of(user.as_bytes(), 4) == bucket;
                let mine: Vec<User<'_>> =
                    users.iter().filter(mine).map(|user| User::new(user.as_bytes())).collect();
                for round in mine.chunks(ROUND) {
                    placed.extend_from_slice(&bucket_users.place(round, |user| *user)?[..round.len()]);
                }
                Ok::<_, StoreError>(placed)
            });
            for (bucket, made) in wave.zip(made) {
                let mine = (0..users.len()).filter(|&n| bucket_of(users[n].as_bytes(), 4) == bucket);
                for (n, ordinal) in mine.zip(made.unwrap()) {
                    places[n] = Some(Place { bucket, ordinal });
                }
            }
        }
        places.into_iter().map(|place| place.expect("every user has a bucket")).collect()
    }

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
            // Some users come twice in one go.
            let users: Vec<String> =
                (0..157).flat_map(|n| vec![format!("user-{}", round * 100 + n); 1 + n % 3]).collect();
            for (user, place) in users.iter().zip(place(&mut enrolment, &users)) {
                assert_eq!(*places.entry(user.clone()).or_insert(place), place);
            }
            if round % 3 == 0 || enrolment.is_full() {
                let last = name();
                enrolment.flush(&dir.path().join(&last), &last).unwrap();
            }
            let entries = enrolment.compact(dir.path(), &mut name).unwrap();
            assert!(entries.len() <= 12, "{} files", entries.len());
        }
        let last = name();
        enrolment.flush(&dir.path().join(&last), &last).unwrap();
        let directory = &enrolment.directory;
        assert_eq!(directory.users(), places.len() as u64);
        for bucket in 0..4 {
            let given: std::collections::BTreeSet<u32> =
                places.values().filter(|place| place.bucket == bucket).map(|place| place.ordinal).collect();
            assert!(given.into_iter().eq(0..directory.users_in(bucket)));
        }
        let mut ids: Vec<_> = (0..4).map(|bucket| directory.ids(bucket)).collect();
        assert_eq!(ids[0].user(directory.users_in(0)), None);
        for (user, place) in &places {
            assert_eq!(directory.find(user.as_bytes()), Some(*place));
            assert_eq!(directory.user(*place), Some(user.as_bytes()));
            assert_eq!(ids[place.bucket as usize].user(place.ordinal), Some(user.as_bytes()));
        }
        assert_eq!(directory.find(b"nobody"), None);
        assert_eq!(directory.user(Place { bucket: 0, ordinal: UNKNOWN }), None);
    }

    /// Nobody has ever seen two ids with one hash, so they are made up.
    #[test]
    fn ordinals_and_offsets_that_lead_out_of_the_file_name_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let (path, user) = (dir.path().join("u"), b"ann".as_slice());
        for (ordinal, end) in [(9, 3), (11, 3), (u32::MAX, 3), (10, 4), (10, u32::MAX), (10, 0)] {
            let index = [(User::new(user).hash, ordinal)];
            write_users(&path, 1, |_| Ok(UserSections::new(&[end], user.to_vec(), &index))).unwrap();
            let entry = UsersEntry { file: "u".into(), base: vec![10], count: vec![1] };
            let file = UsersFile::new(Arc::new(Sealed::open(&path).unwrap()), entry).unwrap();
            let directory = Directory::new(1, vec![file]);
            assert_eq!(directory.find(user), None, "{ordinal} {end}");
            assert_eq!(directory.user(Place { bucket: 0, ordinal: 9 }), None);
        }
    }

    #[test]
    fn users_with_the_same_hash_are_told_apart_in_memory_and_in_files() {
        let dir = tempfile::tempdir().unwrap();
        let mut enrolment = Enrolment::new(Directory::new(1, Vec::new()));
        let ids: [&[u8]; 4] = [b"ann", b"bob", b"cat", b"dan"];
        let hashes = [7, 7, 7, u64::MAX];
        let users: Vec<User<'_>> = ids.iter().zip(hashes).map(|(id, hash)| User { id, hash }).collect();
        let check = |enrolment: &mut Enrolment| {
            let placed = enrolment.each(0..1, |_, mut bucket| {
                let ordinals = bucket.place(&users, |user| *user)?;
                Ok::<_, StoreError>((ordinals[..4].to_vec(), bucket.total()))
            });
            assert_eq!(*placed[0].as_ref().unwrap(), (vec![0, 1, 2, 3], 4));
        };
        check(&mut enrolment);
        check(&mut enrolment);
        enrolment.flush(&dir.path().join("users"), "users").unwrap();
        check(&mut enrolment);
        assert_eq!(enrolment.fresh_count(), 0);
    }
}
