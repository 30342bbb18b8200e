//! Where staged rows wait: in memory up to a bound, beyond it in one file of runs. Rows are taken part by
//! part, in the order of apps, parts and buckets, and inside a bucket in the order they came in.

use std::cmp::Ordering;
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// Which part, and which bucket of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub app: u32,
    pub part: u32,
    pub bucket: u32,
}

/// Rows of one key that lie together.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    pub key: Key,
    pub at: u64,
    pub len: u64,
}

const ENTRY: usize = 28;
/// Entries of a run's index that are read at once.
const READ_ENTRIES: u64 = 256;
const WRITE_BUFFER: usize = 1 << 20;

/// Takes rows, segment by segment.
pub struct RowStore {
    path: PathBuf,
    memory: usize,
    held: Vec<Held>,
    held_bytes: usize,
    spilled: Option<Spilled>,
}

struct Held {
    bytes: Vec<u8>,
    segments: Vec<Segment>,
}

/// The file of runs: of each the rows, sorted by key, then an entry per key.
struct Spilled {
    path: PathBuf,
    file: File,
    len: u64,
    runs: Vec<Run>,
}

impl Drop for Spilled {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}

/// A run's entries: where they are, and those read ahead, the next one last.
struct Run {
    at: u64,
    left: u64,
    ahead: Vec<Segment>,
}

impl RowStore {
    /// Spills into the folder `dir`. Takes about `memory` bytes, and what one [`RowStore::push`] brings.
    pub fn new(dir: &Path, memory: usize) -> RowStore {
        RowStore { path: dir.join("rows"), memory, held: Vec::new(), held_bytes: 0, spilled: None }
    }

    /// Rows whose segments are places in `bytes`.
    pub fn push(&mut self, bytes: Vec<u8>, segments: Vec<Segment>) -> io::Result<()> {
        self.held_bytes += bytes.capacity() + segments.capacity() * size_of::<Segment>();
        self.held.push(Held { bytes, segments });
        if self.held_bytes > self.memory { self.spill() } else { Ok(()) }
    }

    fn spill(&mut self) -> io::Result<()> {
        let spilled = match &mut self.spilled {
            Some(spilled) => spilled,
            none => {
                let mut options = File::options();
                let file = options.read(true).write(true).create(true).truncate(true).open(&self.path)?;
                none.insert(Spilled { path: self.path.clone(), file, len: 0, runs: Vec::new() })
            }
        };
        spilled.write(&self.held)?;
        self.held.clear();
        self.held_bytes = 0;
        Ok(())
    }

    pub fn finish(self) -> StagedRows {
        let mut places = places(&self.held);
        // The next one last.
        places.reverse();
        StagedRows { held: self.held, places, spilled: self.spilled }
    }
}

/// Every segment with the number of what it lies in, by key, in the order they came in.
fn places(held: &[Held]) -> Vec<(Segment, u32)> {
    let numbered = (0..)
        .zip(held)
        .flat_map(|(number, held)| held.segments.iter().map(move |segment| (*segment, number)));
    let mut places: Vec<(Segment, u32)> = numbered.collect();
    places.sort_by_key(|(segment, _)| segment.key);
    places
}

impl Spilled {
    fn write(&mut self, held: &[Held]) -> io::Result<()> {
        let mut index: Vec<Segment> = Vec::new();
        let mut out = BufWriter::with_capacity(WRITE_BUFFER, &self.file);
        for (segment, number) in places(held) {
            out.write_all(held[number as usize].rows(&segment))?;
            match index.last_mut() {
                Some(last) if last.key == segment.key => last.len += segment.len,
                _ => index.push(Segment { at: self.len, ..segment }),
            }
            self.len += segment.len;
        }
        self.runs.push(Run { at: self.len, left: index.len() as u64, ahead: Vec::new() });
        for Segment { key, at, len } in index {
            for number in [key.app, key.part, key.bucket] {
                out.write_all(&number.to_le_bytes())?;
            }
            out.write_all(&at.to_le_bytes())?;
            out.write_all(&len.to_le_bytes())?;
            self.len += ENTRY as u64;
        }
        out.flush()
    }
}

impl Held {
    fn rows(&self, segment: &Segment) -> &[u8] {
        &self.bytes[segment.at as usize..(segment.at + segment.len) as usize]
    }
}

impl Run {
    fn peek(&mut self, file: &File) -> io::Result<Option<Segment>> {
        if self.ahead.is_empty() && self.left > 0 {
            let count = self.left.min(READ_ENTRIES);
            let mut bytes = vec![0; count as usize * ENTRY];
            file.read_exact_at(&mut bytes, self.at)?;
            self.ahead.extend(bytes.chunks_exact(ENTRY).rev().map(entry));
            self.at += bytes.len() as u64;
            self.left -= count;
        }
        Ok(self.ahead.last().copied())
    }
}

fn entry(bytes: &[u8]) -> Segment {
    let (small, large) = bytes.split_at(12);
    let small = |at: usize| small.as_chunks().0.get(at).map_or(0, |bytes| u32::from_le_bytes(*bytes));
    let large = |at: usize| large.as_chunks().0.get(at).map_or(0, |bytes| u64::from_le_bytes(*bytes));
    Segment { key: Key { app: small(0), part: small(1), bucket: small(2) }, at: large(0), len: large(1) }
}

/// All rows, to be taken part by part.
pub struct StagedRows {
    held: Vec<Held>,
    /// What is in memory, the next one last.
    places: Vec<(Segment, u32)>,
    spilled: Option<Spilled>,
}

impl StagedRows {
    /// The rows of the next part; None after the last.
    pub fn next_part(&mut self) -> io::Result<Option<PartRows<'_>>> {
        let mut next = self.places.last().map(|(segment, _)| segment.key);
        if let Some(Spilled { file, runs, .. }) = &mut self.spilled {
            for run in runs {
                let key = run.peek(file)?.map(|segment| segment.key);
                next = next.into_iter().chain(key).min();
            }
        }
        let Some(Key { app, part, .. }) = next else { return Ok(None) };
        let mut segments = Vec::new();
        let is_next = |key: Key| (key.app, key.part) == (app, part);
        if let Some(Spilled { file, runs, .. }) = &mut self.spilled {
            for run in runs {
                while let Some(segment) = run.peek(file)?.filter(|segment| is_next(segment.key)) {
                    segments.push((segment, None));
                    run.ahead.pop();
                }
            }
        }
        while let Some((segment, number)) = self.places.pop_if(|(segment, _)| is_next(segment.key)) {
            segments.push((segment, Some(number)));
        }
        // Stable: an earlier run comes first, and what is in memory last.
        segments.sort_by_key(|(segment, _)| segment.key.bucket);
        let file = self.spilled.as_ref().map(|spilled| &spilled.file);
        Ok(Some(PartRows { app, part, segments, held: &self.held, file }))
    }
}

/// The rows of one part.
pub struct PartRows<'a> {
    pub app: u32,
    pub part: u32,
    /// Without a number: in the file.
    segments: Vec<(Segment, Option<u32>)>,
    held: &'a [Held],
    file: Option<&'a File>,
}

impl PartRows<'_> {
    /// Hands over the bucket's rows, in pieces of whole rows.
    pub fn bucket<E: From<io::Error>>(
        &self,
        bucket: u32,
        mut take: impl FnMut(&[u8]) -> Result<(), E>,
    ) -> Result<(), E> {
        let order = |(segment, _): &(Segment, Option<u32>)| segment.key.bucket.cmp(&bucket);
        let first = self.segments.partition_point(|segment| order(segment) == Ordering::Less);
        let mut read = Vec::new();
        for place in self.segments[first..].iter().take_while(|segment| order(segment) == Ordering::Equal) {
            match (*place, self.file) {
                ((segment, Some(number)), _) => take(self.held[number as usize].rows(&segment))?,
                ((segment, None), Some(file)) => {
                    read.resize(segment.len as usize, 0);
                    file.read_exact_at(&mut read, segment.at)?;
                    take(&read)?;
                }
                ((_, None), None) => unreachable!("rows are in a file only when there is one"),
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::*;

    fn pushed(seed: u64, pushes: usize) -> Vec<(Vec<u8>, Vec<Segment>)> {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut number = || {
            let mut bytes = Vec::new();
            let mut segments = Vec::new();
            for _ in 0..rng.random_range(0..8) {
                let mut below = |n| rng.random_range(0..n);
                let key = Key { app: below(3), part: below(4), bucket: below(3) };
                let at = bytes.len() as u64;
                bytes.extend((0..below(9)).map(|_| below(256) as u8));
                segments.push(Segment { key, at, len: bytes.len() as u64 - at });
            }
            (bytes, segments)
        };
        (0..pushes).map(|_| number()).collect()
    }

    /// Everything that comes out, by key; and the number of runs.
    fn through(
        dir: &Path,
        memory: usize,
        pushes: &[(Vec<u8>, Vec<Segment>)],
    ) -> (BTreeMap<Key, Vec<u8>>, usize) {
        let mut store = RowStore::new(dir, memory);
        for (bytes, segments) in pushes {
            store.push(bytes.clone(), segments.clone()).unwrap();
        }
        let mut rows = store.finish();
        let runs = rows.spilled.as_ref().map_or(0, |spilled| spilled.runs.len());
        let mut out: BTreeMap<Key, Vec<u8>> = BTreeMap::new();
        let mut last = None;
        while let Some(part) = rows.next_part().unwrap() {
            assert!(last < Some((part.app, part.part)), "each part once, in order");
            last = Some((part.app, part.part));
            for bucket in 0..3 {
                let key = Key { app: part.app, part: part.part, bucket };
                let take = |bytes: &[u8]| {
                    out.entry(key).or_default().extend_from_slice(bytes);
                    Ok::<_, io::Error>(())
                };
                part.bucket(bucket, take).unwrap();
            }
        }
        (out, runs)
    }

    #[test]
    fn rows_come_out_by_key_in_the_order_they_came_in_spilled_or_not() {
        let dir = tempfile::tempdir().unwrap();
        for (seed, pushes, memory, runs) in
            [(1, 300, 1 << 20, 0..1), (2, 300, 4000, 2..100), (3, 2000, 1, 1000..2001), (4, 0, 1, 0..1)]
        {
            let pushes = pushed(seed, pushes);
            let mut expected: BTreeMap<Key, Vec<u8>> = BTreeMap::new();
            for (bytes, segments) in &pushes {
                for Segment { key, at, len } in segments {
                    let rows = &bytes[*at as usize..(at + len) as usize];
                    expected.entry(*key).or_default().extend_from_slice(rows);
                }
            }
            let (found, made) = through(dir.path(), memory, &pushes);
            assert_eq!(found, expected);
            assert!(runs.contains(&made), "{made} runs");
            assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "the file goes with the rows");
        }
    }

    #[test]
    fn a_file_cut_short_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        let mut store = RowStore::new(dir.path(), 1);
        let key = Key { app: 0, part: 0, bucket: 0 };
        for _ in 0..10 {
            store.push(vec![7; 60], vec![Segment { key, at: 0, len: 60 }]).unwrap();
        }
        let file = File::options().write(true).open(dir.path().join("rows")).unwrap();
        file.set_len(file.metadata().unwrap().len() - 1).unwrap();
        let outcome = store.finish().next_part().map(drop);
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        let mut store = RowStore::new(dir.path(), 1);
        store.push(vec![7; 60], vec![Segment { key, at: 0, len: 60 }]).unwrap();
        let mut rows = store.finish();
        let part = rows.next_part().unwrap().unwrap();
        File::options().write(true).open(dir.path().join("rows")).unwrap().set_len(30).unwrap();
        let outcome = part.bucket(0, |_| Ok::<_, io::Error>(()));
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
    }
}
