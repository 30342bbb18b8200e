//! Writing bitmaps in the store's own format: the portable one with a fourth kind of container.
//!
//! ```text
//! cookie:u32       12348 in the low half, number of containers - 1 in the high half
//! n × kind:u8      0 array, 1 bits, 2 runs (all as in the portable format), 3 masked
//! n × (key:u16, cardinality - 1:u16)
//! n + 1 × offset:u32   where each container starts, from the cookie on, and where the last one ends
//! containers, end to end; masked: 1024 bytes whose bit b says that byte b of the block's 8192 is not
//!                  zero, then these bytes
//! ```
//!
//! An empty bitmap is written in the portable format. Both begin with their cookie, so readers take either.

use roaring::RoaringBitmap;

use crate::block::Block;
use crate::container::Container;
use crate::masked::MASK;
use crate::view::BitmapView;

pub(crate) const COOKIE_KINDS: u32 = 12348;
pub(crate) const ARRAY: u8 = 0;
pub(crate) const BITS: u8 = 1;
pub(crate) const RUNS: u8 = 2;
pub(crate) const MASKED: u8 = 3;

/// Masked containers from this size on would save little and cost an expansion: bits are written instead.
const MASKED_MOST: usize = 7168;
/// Up to so many positions the two bytes of each in an array are read faster than a mask.
const ARRAY_FASTEST: usize = 512;

/// The bytes of a bitmap.
pub fn encode(bitmap: &RoaringBitmap) -> Vec<u8> {
    let mut encoder = Encoder::default();
    let mut block = Block::boxed();
    let mut positions = bitmap.iter();
    while let Some(first) = positions.next() {
        let key = (first >> 16) as u16;
        block.clear();
        block.or_roaring(key, bitmap);
        encoder.push(key, &block);
        match u32::from(key).checked_add(1).filter(|next| *next <= 0xffff) {
            Some(next) => positions.advance_to(next << 16),
            None => break,
        }
    }
    encoder.into_bytes()
}

/// Takes a bitmap block by block.
#[derive(Default)]
pub struct Encoder {
    kinds: Vec<u8>,
    descriptions: Vec<[u8; 4]>,
    /// Where each container ends in `body`.
    ends: Vec<usize>,
    body: Vec<u8>,
    len: u64,
}

impl Encoder {
    /// Positions so far.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds the positions of block `key`, which lies behind the ones before it. Empty blocks leave no trace.
    pub fn push(&mut self, key: u16, block: &Block) {
        let count = block.count();
        if count == 0 {
            return;
        }
        let kind = smallest(block, count as usize);
        match kind {
            ARRAY => block.as_container().for_each(|position| self.body.extend(position.to_le_bytes())),
            RUNS => write_runs(block, &mut self.body),
            MASKED => write_masked(block, &mut self.body),
            _ => self.body.extend_from_slice(block.as_bytes()),
        }
        let ([a, b], [c, d]) = (key.to_le_bytes(), ((count - 1) as u16).to_le_bytes());
        self.kinds.push(kind);
        self.descriptions.push([a, b, c, d]);
        self.ends.push(self.body.len());
        self.len += u64::from(count);
    }

    pub fn into_bytes(self) -> Vec<u8> {
        let Some(last) = self.kinds.len().checked_sub(1) else {
            return BitmapView::empty().bytes().to_vec();
        };
        let head = 4 + 9 * self.kinds.len() + 4;
        let mut bytes = Vec::with_capacity(head + self.body.len());
        bytes.extend((COOKIE_KINDS | (last as u32) << 16).to_le_bytes());
        bytes.extend(&self.kinds);
        bytes.extend(self.descriptions.as_flattened());
        // At most 65,536 containers of 8 KB and their header: below 2^32.
        let starts = std::iter::once(&0).chain(&self.ends);
        starts.for_each(|start| bytes.extend(((head + start) as u32).to_le_bytes()));
        bytes.extend(&self.body);
        bytes
    }
}

/// The kind that takes the fewest bytes, with some leaning to what is read fast.
fn smallest(block: &Block, count: usize) -> u8 {
    let runs = 2 + 4 * block.run_count();
    let array = 2 * count;
    let masked = if count <= ARRAY_FASTEST { usize::MAX } else { MASK + block.used_bytes() };
    if runs < array && runs < masked && runs < 8192 {
        return RUNS;
    }
    if array <= masked && array < 8192 {
        return ARRAY;
    }
    if masked < MASKED_MOST { MASKED } else { BITS }
}

fn write_runs(block: &Block, out: &mut Vec<u8>) {
    out.extend((block.run_count() as u16).to_le_bytes());
    let mut run: Option<(u16, u16)> = None;
    let mut write = |run: Option<(u16, u16)>| {
        let Some((first, last)) = run else { return };
        out.extend(first.to_le_bytes());
        out.extend((last - first).to_le_bytes());
    };
    block.as_container().for_each(|position| match &mut run {
        Some((_, last)) if *last + 1 == position => *last = position,
        _ => write(run.replace((position, position))),
    });
    write(run);
}

fn write_masked(block: &Block, out: &mut Vec<u8>) {
    for bytes in block.as_bytes().as_chunks::<8>().0 {
        out.push((0..8).fold(0, |mask, bit| mask | u8::from(bytes[bit] != 0) << bit));
    }
    out.extend(block.as_bytes().iter().filter(|byte| **byte != 0));
}

/// A copy on the heap of a bitmap in the store's own format.
pub(crate) fn to_roaring(view: &BitmapView<'_>) -> RoaringBitmap {
    let mut bitmap = RoaringBitmap::new();
    let mut block = Block::boxed();
    for (key, container) in view.containers() {
        let base = u32::from(key) << 16;
        match container {
            Container::Array(positions) => {
                bitmap.extend(positions.iter().map(|p| base | u32::from(u16::from_le_bytes(*p))));
            }
            Container::Runs(_) => container.runs().for_each(|(first, last)| {
                bitmap.insert_range(base | u32::from(first)..=base | u32::from(last));
            }),
            Container::Bits(_) | Container::Masked { .. } => {
                block.set_container(&container);
                block.append_to(key, &mut bitmap);
            }
        }
    }
    bitmap
}
