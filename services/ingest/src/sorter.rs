//! External merge sort of byte records in bounded memory: an arena that is sorted and spilled as runs,
//! and a k-way merge of these. Stable: equal keys come out in the order they were pushed.

mod merge;

use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use merge::Merge;

/// Memory a sorter takes unless told otherwise.
pub const DEFAULT_MEMORY: usize = 128 << 20;
/// Runs merged at once.
const MAX_RUNS: usize = 64;
/// Before each record, in memory and in a run: length of the key and of the value, as two `u32`.
const HEADER: usize = 8;
const WRITE_BUFFER: usize = 1 << 20;

/// Takes records in any order.
pub struct Sorter {
    dir: PathBuf,
    memory: usize,
    arena: Vec<u8>,
    index: Vec<Slot>,
    /// Leading bytes that all keys in the arena share.
    shared: usize,
    runs: Vec<Run>,
    /// Runs made so far, for names that never meet.
    made: usize,
    len: u64,
}

/// A record of the arena. Keys are told apart by `prefix` first, mostly without looking at the record.
struct Slot {
    prefix: u64,
    at: usize,
}

/// A sorted file of records, removed with this value.
struct Run {
    path: PathBuf,
    records: u64,
}

impl Drop for Run {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

impl Sorter {
    /// Spills to `dir`, a folder that no other sorter uses, made when it is needed. Takes about `memory`
    /// bytes, and more only for a single record that is longer.
    pub fn new(dir: &Path, memory: usize) -> Sorter {
        Sorter {
            dir: dir.to_owned(),
            memory,
            arena: Vec::new(),
            index: Vec::new(),
            shared: 0,
            runs: Vec::new(),
            made: 0,
            len: 0,
        }
    }

    /// Records pushed so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Key and value may hold any bytes, each at most `u32::MAX` of them.
    pub fn push(&mut self, key: &[u8], value: &[u8]) -> io::Result<()> {
        let (Ok(key_len), Ok(value_len)) = (u32::try_from(key.len()), u32::try_from(value.len())) else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "a record of more than 4 GiB"));
        };
        let size = HEADER + key.len() + value.len();
        let taken = self.arena.len() + size + (self.index.len() + 1) * size_of::<Slot>();
        if taken > self.memory && !self.index.is_empty() {
            self.spill()?;
        }
        self.shared = match self.index.first() {
            None => key.len(),
            Some(first) => common_prefix(&key_at(&self.arena, first.at)[..self.shared], key),
        };
        self.index.push(Slot { prefix: 0, at: self.arena.len() });
        self.arena.extend_from_slice(&key_len.to_le_bytes());
        self.arena.extend_from_slice(&value_len.to_le_bytes());
        self.arena.extend_from_slice(key);
        self.arena.extend_from_slice(value);
        self.len += 1;
        Ok(())
    }

    /// All records by key, streamed. Nothing is written to disk if they fit into the memory.
    pub fn finish(mut self) -> io::Result<Sorted> {
        if self.runs.is_empty() {
            self.sort();
            return Ok(Sorted { from: From::Memory { arena: self.arena, index: self.index, next: 0 } });
        }
        self.spill()?;
        (self.arena, self.index) = (Vec::new(), Vec::new());
        while self.runs.len() > MAX_RUNS {
            self.merge_pass()?;
        }
        Ok(Sorted { from: From::Runs(Merge::open(self.runs, self.memory)?) })
    }

    fn sort(&mut self) {
        let (arena, shared) = (&self.arena, self.shared);
        for slot in &mut self.index {
            slot.prefix = prefix(&key_at(arena, slot.at)[shared..]);
        }
        self.index.sort_unstable_by(|a, b| {
            let by_prefix = a.prefix.cmp(&b.prefix);
            by_prefix.then_with(|| key_at(arena, a.at).cmp(key_at(arena, b.at))).then(a.at.cmp(&b.at))
        });
    }

    fn spill(&mut self) -> io::Result<()> {
        self.sort();
        let mut run = self.new_run()?;
        for slot in &self.index {
            run.write(record_at(&self.arena, slot.at))?;
        }
        self.runs.push(run.finish()?);
        self.arena.clear();
        self.index.clear();
        Ok(())
    }

    /// Replaces each group of neighbouring runs by one, so that the order of runs stays that of pushes.
    fn merge_pass(&mut self) -> io::Result<()> {
        let mut left = std::mem::take(&mut self.runs).into_iter();
        loop {
            let group: Vec<Run> = left.by_ref().take(MAX_RUNS).collect();
            if group.is_empty() {
                return Ok(());
            }
            let mut merge = Merge::open(group, self.memory)?;
            let mut run = self.new_run()?;
            while let Some(record) = merge.next()? {
                run.write(record)?;
            }
            self.runs.push(run.finish()?);
        }
    }

    fn new_run(&mut self) -> io::Result<RunWriter> {
        fs::create_dir_all(&self.dir)?;
        let path = self.dir.join(format!("run-{}", self.made));
        self.made += 1;
        let file = File::create(&path)?;
        Ok(RunWriter { run: Run { path, records: 0 }, out: BufWriter::with_capacity(WRITE_BUFFER, file) })
    }
}

struct RunWriter {
    run: Run,
    out: BufWriter<File>,
}

impl RunWriter {
    fn write(&mut self, record: &[u8]) -> io::Result<()> {
        self.run.records += 1;
        self.out.write_all(record)
    }

    fn finish(mut self) -> io::Result<Run> {
        self.out.flush()?;
        Ok(self.run)
    }
}

/// The sorted records, one at a time.
pub struct Sorted {
    from: From,
}

enum From {
    Memory { arena: Vec<u8>, index: Vec<Slot>, next: usize },
    Runs(Merge),
}

impl Sorted {
    /// The next key and value, valid until the next call; `None` after the last.
    // Not `Iterator::next`: that could not lend from the merge's buffers.
    #[allow(clippy::should_implement_trait)]
    pub fn next(&mut self) -> io::Result<Option<(&[u8], &[u8])>> {
        let record = match &mut self.from {
            From::Memory { arena, index, next } => {
                let slot = index.get(*next);
                *next += 1;
                slot.map(|slot| record_at(arena, slot.at))
            }
            From::Runs(merge) => merge.next()?,
        };
        Ok(record.map(|record| record[HEADER..].split_at(lengths(record).0)))
    }
}

/// Lengths of the key and the value of the record that begins here.
fn lengths(record: &[u8]) -> (usize, usize) {
    let number = |at: usize| u32::from_le_bytes([record[at], record[at + 1], record[at + 2], record[at + 3]]);
    (number(0) as usize, number(4) as usize)
}

fn record_at(arena: &[u8], at: usize) -> &[u8] {
    let (key, value) = lengths(&arena[at..]);
    &arena[at..at + HEADER + key + value]
}

fn key_at(arena: &[u8], at: usize) -> &[u8] {
    let (key, _) = lengths(&arena[at..]);
    &arena[at + HEADER..at + HEADER + key]
}

fn common_prefix(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

/// The first eight bytes as a number that orders like them; short keys are filled up with zeros.
fn prefix(key: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    let len = key.len().min(8);
    bytes[..len].copy_from_slice(&key[..len]);
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    /// Random keys, often equal, one the beginning of another, or of zeros; values tell the order of pushes.
    fn records(seed: u64, count: usize) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut rng = StdRng::seed_from_u64(seed);
        let key = |rng: &mut StdRng| {
            let mut key = b"app\0".to_vec();
            key.extend((0..rng.random_range(0..14)).map(|_| [0, 0, 1, 255][rng.random_range(0..4)]));
            key
        };
        (0..count).map(|n| (key(&mut rng), n.to_string().into_bytes())).collect()
    }

    /// Sorts with so much memory, compares with a plain stable sort, and gives the runs seen on disk.
    fn check(seed: u64, count: usize, memory: usize) -> usize {
        let dir = tempfile::tempdir().unwrap();
        let spill = dir.path().join("spill");
        let mut expected = records(seed, count);
        let mut sorter = Sorter::new(&spill, memory);
        for (key, value) in &expected {
            sorter.push(key, value).unwrap();
        }
        assert_eq!(sorter.len(), count as u64);
        expected.sort_by(|a, b| a.0.cmp(&b.0));

        let files = || fs::read_dir(&spill).map(|dir| dir.count()).unwrap_or(0);
        let runs = sorter.runs.len();
        let mut sorted = sorter.finish().unwrap();
        assert!(files() <= MAX_RUNS);
        for (key, value) in &expected {
            assert_eq!(sorted.next().unwrap(), Some((&key[..], &value[..])));
        }
        assert_eq!(sorted.next().unwrap(), None);
        assert_eq!(sorted.next().unwrap(), None);
        drop(sorted);
        assert_eq!(files(), 0, "runs are removed");
        runs
    }

    #[test]
    fn sorts_like_a_plain_stable_sort() {
        assert_eq!(check(1, 5000, DEFAULT_MEMORY), 0, "nothing is spilled when all fits");
        assert!((2..MAX_RUNS).contains(&check(2, 5000, 16 * 1024)));
        assert!(check(3, 20_000, 2 * 1024) > MAX_RUNS, "more than one pass");
        assert!(check(4, 5000, 1) > MAX_RUNS * MAX_RUNS, "a run per record, more than two passes");
        for (seed, count) in [(5, 0), (6, 1), (7, 2)] {
            check(seed, count, DEFAULT_MEMORY);
            check(seed, count, 1);
        }
    }

    #[test]
    fn runs_go_with_the_sorter() {
        let dir = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(dir.path(), 64);
        for n in 0..100u32 {
            sorter.push(&n.to_be_bytes(), b"").unwrap();
        }
        assert!(fs::read_dir(dir.path()).unwrap().count() > 10);
        drop(sorter);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_run_cut_short_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut sorter = Sorter::new(dir.path(), 64);
        for n in 0..10u32 {
            sorter.push(&n.to_be_bytes(), &[7; 60]).unwrap();
        }
        let run = File::options().write(true).open(dir.path().join("run-3")).unwrap();
        run.set_len(run.metadata().unwrap().len() - 1).unwrap();
        let outcome = sorter.finish().and_then(|mut sorted| {
            while sorted.next()?.is_some() {}
            Ok(())
        });
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
