//! One container of a bitmap, borrowed from its bytes: up to 65,536 positions as a sorted array, as bits, as
//! runs or masked.

use crate::kernels::{self, Bytes};
use crate::masked::Mask;
use crate::prefetch::prefetch;
use crate::view::BitmapView;

/// The positions of one block. All reads are unaligned-safe and stay inside the slices, whatever
/// the bytes say.
#[derive(Clone, Copy, Debug)]
pub enum Container<'a> {
    /// Little-endian u16 positions, ascending.
    Array(&'a [[u8; 2]]),
    /// Bit p of the block is bit p % 8 of byte p / 8.
    Bits(&'a [u8; 8192]),
    /// Pairs of little-endian u16: the first position and the number of positions after it.
    Runs(&'a [[u8; 4]]),
    /// Only the bytes of `Bits` that are not zero: bit b of `mask` says whether byte b is one of them.
    Masked { mask: &'a [u8; 1024], bytes: &'a [u8] },
}

impl<'a> Container<'a> {
    /// Has its first bytes brought into the cache, for it is read soon.
    pub fn prefetch(&self) {
        match self {
            Container::Array(positions) => prefetch(positions.as_flattened()),
            Container::Bits(bytes) => prefetch(*bytes),
            Container::Runs(runs) => prefetch(runs.as_flattened()),
            Container::Masked { mask, bytes } => {
                prefetch(*mask);
                prefetch(bytes);
            }
        }
    }

    /// Positions in it. Array: free; runs: one addition each; bits and masked: a popcount of the bytes
    /// (`BitmapView::cardinality` reads it from the header instead).
    pub fn count(&self) -> u32 {
        match *self {
            Container::Array(positions) => positions.len() as u32,
            Container::Bits(bytes) => kernels::count(bytes),
            Container::Masked { bytes, .. } => kernels::count(bytes),
            Container::Runs(_) => self.runs().map(|(first, last)| u32::from(last - first) + 1).sum(),
        }
    }

    pub fn contains(&self, position: u16) -> bool {
        match *self {
            Container::Array(positions) => {
                positions.binary_search_by_key(&position, |p| u16::from_le_bytes(*p)).is_ok()
            }
            Container::Bits(bytes) => bit_of(bytes, position),
            Container::Masked { mask, bytes } => {
                let byte = usize::from(position >> 3);
                let before = bytes_before(mask, byte);
                let there = mask[byte >> 3] >> (byte & 7) & 1 == 1;
                there && bytes.get(before).is_some_and(|byte| byte >> (position & 7) & 1 == 1)
            }
            Container::Runs(runs) => {
                let after = runs.partition_point(|run| first_of(run) <= position);
                after > 0 && last_of(&runs[after - 1]) >= position
            }
        }
    }

    /// Calls `visit` for every position, ascending.
    pub fn for_each(&self, mut visit: impl FnMut(u16)) {
        match *self {
            Container::Array(positions) => positions.iter().for_each(|p| visit(u16::from_le_bytes(*p))),
            Container::Bits(bytes) => {
                for (index, word) in bytes.as_chunks().0.iter().enumerate() {
                    let mut word = u64::from_le_bytes(*word);
                    while word != 0 {
                        visit((index * 64) as u16 + word.trailing_zeros() as u16);
                        word &= word - 1;
                    }
                }
            }
            Container::Runs(_) => self.runs().for_each(|(first, last)| (first..=last).for_each(&mut visit)),
            Container::Masked { mask, bytes } => {
                let mut bytes = bytes.iter();
                for (index, mask) in mask.iter().enumerate() {
                    let mut mask = *mask;
                    while mask != 0 {
                        let Some(byte) = bytes.next() else { return };
                        let base = (index * 64) as u16 + mask.trailing_zeros() as u16 * 8;
                        (0..8).filter(|bit| byte >> bit & 1 == 1).for_each(|bit| visit(base + bit));
                        mask &= mask - 1;
                    }
                }
            }
        }
    }

    /// The first and last position of each run; nothing for an array or bits.
    pub(crate) fn runs(&self) -> impl Iterator<Item = (u16, u16)> + use<'a> {
        let runs: &'a [[u8; 4]] = if let Container::Runs(runs) = *self { runs } else { &[] };
        runs.iter().map(|run| (first_of(run), last_of(run)))
    }
}

/// Bytes that a masked container holds for the block's bytes before number `byte`.
fn bytes_before(mask: &Mask, byte: usize) -> usize {
    let whole: u32 = mask[..byte >> 3].iter().map(|mask| mask.count_ones()).sum();
    (whole + (mask[byte >> 3] & ((1 << (byte & 7)) - 1)).count_ones()) as usize
}

fn bit_of(bytes: &Bytes, position: u16) -> bool {
    bytes[usize::from(position >> 3)] >> (position & 7) & 1 == 1
}

fn first_of(run: &[u8; 4]) -> u16 {
    u16::from_le_bytes([run[0], run[1]])
}

/// Saturates, so that a run which claims to leave the block ends with it.
fn last_of(run: &[u8; 4]) -> u16 {
    first_of(run).saturating_add(u16::from_le_bytes([run[2], run[3]]))
}

/// The containers of a view with their keys, in key order.
#[derive(Clone, Debug)]
pub struct Containers<'a> {
    view: BitmapView<'a>,
    next: usize,
    start: usize,
}

impl<'a> Containers<'a> {
    pub(crate) fn new(view: BitmapView<'a>, start: usize) -> Self {
        Containers { view, next: 0, start }
    }
}

impl<'a> Iterator for Containers<'a> {
    type Item = (u16, Container<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        if self.next == self.view.container_count() {
            return None;
        }
        let key = self.view.key(self.next);
        let (container, end) = self.view.container_from(self.next, self.start);
        (self.next, self.start) = (self.next + 1, end);
        Some((key, container))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.view.container_count() - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for Containers<'_> {}
