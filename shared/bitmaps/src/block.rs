//! One block: 65,536 bits in 8 KB of scratch, where the evaluator works out a rule for as many
//! users at a time.

use std::fmt;

use roaring::RoaringBitmap;

use crate::container::Container;
use crate::kernels;
use crate::view::BitmapView;

pub(crate) const WORDS: usize = 1024;
pub(crate) const BYTES: usize = 8192;

/// The bits of 65,536 consecutive positions. 8 KB: keep it in a box and reuse it.
#[derive(Clone, PartialEq, Eq)]
#[repr(C, align(64))]
pub struct Block {
    pub(crate) words: [u64; WORDS],
}

pub(crate) static ONES: Block = Block { words: [u64::MAX; WORDS] };

impl Block {
    /// Positions in a block.
    pub const BITS: u32 = 1 << 16;

    /// An empty block on the heap.
    pub fn boxed() -> Box<Block> {
        Box::new(Block::zero())
    }

    pub(crate) const fn zero() -> Block {
        Block { words: [0; WORDS] }
    }

    /// Removes every position.
    pub fn clear(&mut self) {
        self.words.fill(0);
    }

    /// Sets every position.
    pub fn fill(&mut self) {
        self.words.fill(u64::MAX);
    }

    /// Exactly the first `n` positions, at most all, and no other.
    pub fn set_prefix(&mut self, n: u32) {
        self.clear();
        self.set_range(0, n);
    }

    /// Becomes a copy of `other`.
    pub fn copy_from(&mut self, other: &Block) {
        self.words.copy_from_slice(&other.words);
    }

    pub fn insert(&mut self, position: u16) {
        self.words[usize::from(position >> 6)] |= 1 << (position & 63);
    }

    pub fn contains(&self, position: u16) -> bool {
        self.words[usize::from(position >> 6)] >> (position & 63) & 1 == 1
    }

    /// Positions that are set.
    pub fn count(&self) -> u32 {
        kernels::count(self.as_bytes())
    }

    /// Positions set here and in `other`.
    pub fn and_count(&self, other: &Block) -> u32 {
        kernels::and_count(&self.words, other.as_bytes())
    }

    /// Positions set here and in `container`.
    pub fn and_count_container(&self, container: &Container<'_>) -> u32 {
        match container {
            Container::Bits(bytes) => kernels::and_count(&self.words, bytes),
            Container::Array(positions) => {
                positions.iter().map(|p| u32::from(self.contains(u16::from_le_bytes(*p)))).sum()
            }
            Container::Masked { mask, bytes } => kernels::and_count_masked(&self.words, mask, bytes),
            Container::Runs(_) => container
                .runs()
                .map(|(first, last)| self.count_range(first.into(), u32::from(last) + 1))
                .sum(),
        }
    }

    /// Maximal runs of neighbouring positions.
    pub(crate) fn run_count(&self) -> usize {
        let mut before = 0;
        let starts = self.words.iter().map(|&word| {
            // A run starts where a position is set and the one before it is not.
            let starts = word & !(word << 1 | before);
            before = word >> 63;
            starts.count_ones() as usize
        });
        starts.sum()
    }

    /// Bytes that are not zero.
    pub(crate) fn used_bytes(&self) -> usize {
        self.as_bytes().iter().map(|byte| usize::from(*byte != 0)).sum()
    }

    /// Stops at the first stretch with a position in it.
    pub fn is_empty(&self) -> bool {
        self.words.chunks(64).all(|words| words.iter().fold(0, |any, word| any | word) == 0)
    }

    pub fn or(&mut self, other: &Block) {
        kernels::or(&mut self.words, other.as_bytes());
    }

    pub fn and(&mut self, other: &Block) {
        kernels::and(&mut self.words, other.as_bytes());
    }

    /// Removes the positions of `other`.
    pub fn and_not(&mut self, other: &Block) {
        kernels::and_not(&mut self.words, other.as_bytes());
    }

    /// Complement within the whole block; intersect with the universe afterwards.
    pub fn not(&mut self) {
        kernels::not(&mut self.words);
    }

    /// Becomes the positions of `container`.
    pub fn set_container(&mut self, container: &Container<'_>) {
        match container {
            Container::Bits(bytes) => self.copy_from_bytes(bytes),
            Container::Masked { mask, bytes } => kernels::unmask(&mut self.words, mask, bytes),
            Container::Array(_) | Container::Runs(_) => {
                self.clear();
                self.or_container(container);
            }
        }
    }

    /// Adds the positions of `container`.
    pub fn or_container(&mut self, container: &Container<'_>) {
        match container {
            Container::Bits(bytes) => kernels::or(&mut self.words, bytes),
            Container::Array(positions) => positions.iter().for_each(|p| self.insert(u16::from_le_bytes(*p))),
            Container::Masked { mask, bytes } => kernels::or_masked(&mut self.words, mask, bytes),
            Container::Runs(_) => {
                container.runs().for_each(|(first, last)| self.set_range(first.into(), u32::from(last) + 1));
            }
        }
    }

    /// Becomes the positions that any of the bitmaps has in block `key`.
    pub fn set_union(&mut self, bitmaps: &[BitmapView<'_>], key: u16) {
        let mut containers = bitmaps.iter().filter_map(|bitmap| bitmap.container(key)).peekable();
        let mut empty = true;
        while let Some(container) = containers.next() {
            if let Some(next) = containers.peek() {
                next.prefetch();
            }
            match std::mem::take(&mut empty) {
                true => self.set_container(&container),
                false => self.or_container(&container),
            }
        }
        if empty {
            self.clear();
        }
    }

    /// Keeps only the positions of `container`.
    pub fn and_container(&mut self, container: &Container<'_>) {
        match container {
            Container::Bits(bytes) => kernels::and(&mut self.words, bytes),
            Container::Masked { mask, bytes } => kernels::and_masked(&mut self.words, mask, bytes),
            Container::Array(positions) => {
                let mut kept = Block::zero();
                for p in positions.iter().map(|p| u16::from_le_bytes(*p)) {
                    let word = usize::from(p >> 6);
                    kept.words[word] |= self.words[word] & 1 << (p & 63);
                }
                self.copy_from(&kept);
            }
            Container::Runs(_) => {
                let mut from = 0;
                for (first, last) in container.runs() {
                    self.clear_range(from, first.into());
                    from = u32::from(last) + 1;
                }
                self.clear_range(from, Block::BITS);
            }
        }
    }

    /// Removes the positions of `container`.
    pub fn and_not_container(&mut self, container: &Container<'_>) {
        match container {
            Container::Bits(bytes) => kernels::and_not(&mut self.words, bytes),
            Container::Masked { mask, bytes } => kernels::and_not_masked(&mut self.words, mask, bytes),
            Container::Array(positions) => {
                for p in positions.iter().map(|p| u16::from_le_bytes(*p)) {
                    self.words[usize::from(p >> 6)] &= !(1 << (p & 63));
                }
            }
            Container::Runs(_) => {
                container
                    .runs()
                    .for_each(|(first, last)| self.clear_range(first.into(), u32::from(last) + 1));
            }
        }
    }

    /// The block as a container, for what takes either.
    pub fn as_container(&self) -> Container<'_> {
        Container::Bits(self.as_bytes())
    }

    /// The positions that are set, ascending. `as_container().for_each` is the faster way to all.
    pub fn iter(&self) -> impl Iterator<Item = u16> + '_ {
        self.words.iter().enumerate().flat_map(|(index, word)| {
            let rests = std::iter::successors(non_zero(*word), |rest| non_zero(rest & (rest - 1)));
            rests.map(move |rest| (index * 64) as u16 + rest.trailing_zeros() as u16)
        })
    }

    /// Adds the positions, as block `key`, to `bitmap`.
    pub fn append_to(&self, key: u16, bitmap: &mut RoaringBitmap) {
        *bitmap |= RoaringBitmap::from_lsb0_bytes(u32::from(key) << 16, self.as_bytes());
    }

    /// Adds the positions that `bitmap` has in block `key`.
    pub fn or_roaring(&mut self, key: u16, bitmap: &RoaringBitmap) {
        let base = u32::from(key) << 16;
        // roaring 0.12.0 counts a run in u16: its `next_many` skips a run of the whole block.
        if bitmap.contains_range(base..=base | 0xffff) {
            return self.fill();
        }
        let mut positions = bitmap.range(base..=base | 0xffff);
        let mut buffer = [0; 512];
        loop {
            let some = positions.next_many(&mut buffer);
            if some.is_empty() {
                return;
            }
            some.iter().for_each(|position| self.insert(*position as u16));
        }
    }

    pub(crate) fn as_bytes(&self) -> &[u8; BYTES] {
        // SAFETY: both are 8192 bytes of plain memory, u8 needs no alignment, and every bit pattern
        // is a byte; the crate only builds where the words are little-endian.
        unsafe { &*self.words.as_ptr().cast() }
    }

    pub(crate) fn copy_from_bytes(&mut self, bytes: &[u8; BYTES]) {
        for (word, bytes) in self.words.iter_mut().zip(bytes.as_chunks().0) {
            *word = u64::from_le_bytes(*bytes);
        }
    }

    fn set_range(&mut self, from: u32, to: u32) {
        self.for_range(from, to, |word, mask| *word |= mask);
    }

    fn clear_range(&mut self, from: u32, to: u32) {
        self.for_range(from, to, |word, mask| *word &= !mask);
    }

    /// Each word that holds positions of `from..to`, with the mask of those positions.
    fn for_range(&mut self, from: u32, to: u32, mut change: impl FnMut(&mut u64, u64)) {
        let Some((first, head, last, tail)) = range_masks(from, to) else { return };
        if first == last {
            return change(&mut self.words[first], head & tail);
        }
        change(&mut self.words[first], head);
        self.words[first + 1..last].iter_mut().for_each(|word| change(word, u64::MAX));
        change(&mut self.words[last], tail);
    }

    fn count_range(&self, from: u32, to: u32) -> u32 {
        let Some((first, head, last, tail)) = range_masks(from, to) else { return 0 };
        if first == last {
            return (self.words[first] & head & tail).count_ones();
        }
        let between: u32 = self.words[first + 1..last].iter().map(|word| word.count_ones()).sum();
        (self.words[first] & head).count_ones() + between + (self.words[last] & tail).count_ones()
    }
}

/// The first and last word of `from..to` with the masks of its positions in them; None for an
/// empty range. Beyond the block's end nothing is counted.
fn range_masks(from: u32, to: u32) -> Option<(usize, u64, usize, u64)> {
    let to = to.min(Block::BITS);
    if from >= to {
        return None;
    }
    let last = to - 1;
    Some((
        (from >> 6) as usize,
        u64::MAX << (from & 63),
        (last >> 6) as usize,
        u64::MAX >> (63 - (last & 63)),
    ))
}

fn non_zero(word: u64) -> Option<u64> {
    (word != 0).then_some(word)
}

impl fmt::Debug for Block {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Block of {} positions", self.count())
    }
}
