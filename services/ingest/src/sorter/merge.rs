//! The k-way merge of sorted runs, through a binary heap of run numbers.

use std::cmp::Ordering;
use std::fs::File;
use std::io::{self, BufReader, Read};

use super::{HEADER, Run, lengths};

/// Records of several runs in order; of equal keys the one of the earlier run comes first.
pub(super) struct Merge {
    heads: Vec<Head>,
    /// Places in `heads`, the smallest record's on top; an exhausted run leaves.
    heap: Vec<usize>,
    /// Whether the top's record was given out, so that its run has to move on.
    given: bool,
}

/// The record that a run has reached.
struct Head {
    input: BufReader<File>,
    record: Vec<u8>,
    left: u64,
    /// Keeps the file until the merge is done.
    _run: Run,
}

impl Merge {
    /// The runs share about `memory` bytes for their buffers.
    pub fn open(runs: Vec<Run>, memory: usize) -> io::Result<Merge> {
        let buffer = (memory / runs.len().max(1)).clamp(64 << 10, 1 << 20);
        let mut heads = Vec::with_capacity(runs.len());
        for run in runs {
            let input = BufReader::with_capacity(buffer, File::open(&run.path)?);
            heads.push(Head { input, record: Vec::new(), left: run.records, _run: run });
        }
        let mut heap = Vec::with_capacity(heads.len());
        for (place, head) in heads.iter_mut().enumerate() {
            if head.advance()? {
                heap.push(place);
            }
        }
        let mut merge = Merge { heads, heap, given: false };
        for at in (0..merge.heap.len() / 2).rev() {
            merge.sift_down(at);
        }
        Ok(merge)
    }

    /// The next record with its header, valid until the next call; `None` after the last.
    pub fn next(&mut self) -> io::Result<Option<&[u8]>> {
        if self.given {
            if !self.heads[self.heap[0]].advance()? {
                self.heap.swap_remove(0);
            }
            self.sift_down(0);
        }
        self.given = !self.heap.is_empty();
        Ok(self.heap.first().map(|&top| &self.heads[top].record[..]))
    }

    fn sift_down(&mut self, mut at: usize) {
        loop {
            let children = (2 * at + 1)..(2 * at + 3).min(self.heap.len());
            let Some(least) = children.min_by(|&a, &b| self.compare(a, b)) else { return };
            if self.compare(at, least) == Ordering::Less {
                return;
            }
            self.heap.swap(at, least);
            at = least;
        }
    }

    fn compare(&self, a: usize, b: usize) -> Ordering {
        let (a, b) = (self.heap[a], self.heap[b]);
        self.heads[a].key().cmp(self.heads[b].key()).then(a.cmp(&b))
    }
}

impl Head {
    fn key(&self) -> &[u8] {
        &self.record[HEADER..HEADER + lengths(&self.record).0]
    }

    /// Reads the next record; false after the last.
    fn advance(&mut self) -> io::Result<bool> {
        if self.left == 0 {
            return Ok(false);
        }
        self.left -= 1;
        self.record.resize(HEADER, 0);
        self.input.read_exact(&mut self.record)?;
        let (key, value) = lengths(&self.record);
        self.record.resize(HEADER + key + value, 0);
        self.input.read_exact(&mut self.record[HEADER..])?;
        Ok(true)
    }
}
