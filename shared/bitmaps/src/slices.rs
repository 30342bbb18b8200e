//! A bit-sliced column: signed 64-bit values over u32 positions, one portable roaring bitmap per
//! bit, so that whole blocks of values are added with a few word-wise passes.
//!
//! ```text
//! bytes            what (little-endian)
//! 0..4             "MSL1"
//! 4                P: u8, planes of the values above zero (0 to 63)
//! 5                N: u8, planes of the absolute values of those below zero (0 to 64)
//! 6..8             zero
//! 8..16            positions that have a value: u64
//! 16..             1 + P + N lengths in bytes: u32 each
//! then             as many bitmaps, portable or of the store's own format, end to end: the positions that have a value
//!                  (zero is a value), P planes, N planes; plane k holds bit k
//! ```
//!
//! A position is in the planes of one sign at most. Nothing may follow the last bitmap.

use crate::block::Block;
use crate::container::Container;
use crate::encode::Encoder;
use crate::planes::Planes;
use crate::tally::Tally;
use crate::view::{BitmapView, Malformed, take, take_array};

const MAGIC: [u8; 4] = *b"MSL1";
const POSITIVE_MAX: usize = 63;
const NEGATIVE_MAX: usize = 64;

/// A position given to `encode` does not lie behind the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("position {0} does not lie behind the one before it")]
pub struct NotAscending(pub u32);

/// The column of `(position, value)` pairs whose positions strictly ascend. Meant for dense
/// positions: a block costs about the same with one value as with thousands.
pub fn encode(pairs: impl IntoIterator<Item = (u32, i64)>) -> Result<Vec<u8>, NotAscending> {
    let mut columns = Columns::default();
    let mut last = None;
    for (position, value) in pairs {
        if last >= Some(position) {
            return Err(NotAscending(position));
        }
        if last.is_some_and(|last| last >> 16 != position >> 16) {
            columns.flush();
        }
        columns.set(position, value);
        last = Some(position);
    }
    columns.flush();
    Ok(columns.into_bytes())
}

/// The bitmaps of a column as they are written, and the block being filled.
#[derive(Default)]
struct Columns {
    bitmaps: [Vec<Encoder>; 3],
    key: u16,
    exists: Planes,
    positive: Planes,
    negative: Planes,
}

impl Columns {
    fn set(&mut self, position: u32, value: i64) {
        self.key = (position >> 16) as u16;
        self.exists.add_at(position as u16, 1);
        let planes = if value < 0 { &mut self.negative } else { &mut self.positive };
        planes.add_at(position as u16, value.unsigned_abs());
    }

    /// Moves the block's planes to the bitmaps.
    fn flush(&mut self) {
        let planes = [&mut self.exists, &mut self.positive, &mut self.negative];
        for (planes, bitmaps) in planes.into_iter().zip(&mut self.bitmaps) {
            if bitmaps.len() < planes.depth() {
                bitmaps.resize_with(planes.depth(), Encoder::default);
            }
            planes.blocks().zip(bitmaps).for_each(|(block, bitmap)| bitmap.push(self.key, block));
            planes.clear();
        }
    }

    fn into_bytes(self) -> Vec<u8> {
        let [mut exists, positive, negative] = self.bitmaps;
        exists.resize_with(1, Encoder::default);
        let mut bytes = Vec::new();
        bytes.extend(MAGIC);
        bytes.extend([positive.len() as u8, negative.len() as u8, 0, 0]);
        bytes.extend(exists[0].len().to_le_bytes());
        let bitmaps = exists.into_iter().chain(positive).chain(negative);
        let bitmaps: Vec<Vec<u8>> = bitmaps.map(Encoder::into_bytes).collect();
        // At most 65,536 containers of 8 KB and their header: below 2^32.
        bitmaps.iter().for_each(|bitmap| bytes.extend((bitmap.len() as u32).to_le_bytes()));
        bitmaps.iter().for_each(|bitmap| bytes.extend(bitmap));
        bytes
    }
}

/// What a column begins with, and what follows it.
struct Header<'a> {
    positive: usize,
    count: u64,
    /// Of the bitmaps that were not read yet.
    lengths: &'a [[u8; 4]],
    rest: &'a [u8],
}

impl<'a> Header<'a> {
    fn parse(mut rest: &'a [u8]) -> Result<Self, Malformed> {
        if take_array(&mut rest)? != MAGIC {
            return Err(Malformed("not a bit-sliced column of a known version"));
        }
        let [positive, negative, 0, 0] = take_array(&mut rest)?.map(usize::from) else {
            return Err(Malformed("reserved bytes of a column are not zero"));
        };
        if positive > POSITIVE_MAX || negative > NEGATIVE_MAX {
            return Err(Malformed("a column has more planes than 64-bit values need"));
        }
        let count = u64::from_le_bytes(take_array(&mut rest)?);
        let lengths = take(&mut rest, 4 * (1 + positive + negative))?.as_chunks().0;
        Ok(Header { positive, count, lengths, rest })
    }

    /// The first bitmap: the positions that have a value.
    fn exists(
        &mut self,
        parse: impl Fn(&'a [u8]) -> Result<BitmapView<'a>, Malformed>,
    ) -> Result<BitmapView<'a>, Malformed> {
        let (length, lengths) = self.lengths.split_first().ok_or(Malformed("a column without bitmaps"))?;
        self.lengths = lengths;
        let exists = self.bitmap(*length, parse)?;
        if exists.len() != self.count {
            return Err(Malformed("a column's count is wrong"));
        }
        Ok(exists)
    }

    fn bitmap(
        &mut self,
        length: [u8; 4],
        parse: impl Fn(&'a [u8]) -> Result<BitmapView<'a>, Malformed>,
    ) -> Result<BitmapView<'a>, Malformed> {
        let bytes = take(&mut self.rest, u32::from_le_bytes(length) as usize)?;
        let bitmap = parse(bytes)?;
        if bitmap.byte_len() != bytes.len() {
            return Err(Malformed("a bitmap of a column is shorter than its length says"));
        }
        Ok(bitmap)
    }
}

/// A column read where it lies.
#[derive(Clone, Debug)]
pub struct SlicesView<'a> {
    exists: BitmapView<'a>,
    positive: Vec<BitmapView<'a>>,
    negative: Vec<BitmapView<'a>>,
}

impl<'a> SlicesView<'a> {
    /// Checks every rule of the format and of its bitmaps. Never panics.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let view = Self::parse_with(bytes, BitmapView::parse)?;
        view.check_planes()?;
        Ok(view)
    }

    /// Checks lengths and headers only: for files whose checksum was verified. Bytes with wrong
    /// contents give wrong answers, but no read outside the slice and no panic.
    pub fn parse_trusted(bytes: &'a [u8]) -> Result<Self, Malformed> {
        Self::parse_with(bytes, BitmapView::parse_trusted)
    }

    /// As `parse_trusted`, of the positions that have a value alone.
    pub fn parse_exists_trusted(bytes: &'a [u8]) -> Result<BitmapView<'a>, Malformed> {
        Header::parse(bytes)?.exists(BitmapView::parse_trusted)
    }

    fn parse_with(
        bytes: &'a [u8],
        parse: impl Fn(&'a [u8]) -> Result<BitmapView<'a>, Malformed>,
    ) -> Result<Self, Malformed> {
        let mut header = Header::parse(bytes)?;
        let exists = header.exists(&parse)?;
        let lengths = header.lengths;
        let mut positive = Vec::with_capacity(lengths.len());
        for length in lengths {
            positive.push(header.bitmap(*length, &parse)?);
        }
        if !header.rest.is_empty() {
            return Err(Malformed("a column's total length is wrong"));
        }
        let negative = positive.split_off(header.positive);
        Ok(SlicesView { exists, positive, negative })
    }

    /// Planes cover only positions that exist, one sign each, and nothing below `i64::MIN`.
    fn check_planes(&self) -> Result<(), Malformed> {
        let planes = || self.positive.iter().chain(&self.negative);
        if planes().flat_map(|plane| plane.containers()).any(|(key, _)| self.exists_container(key).is_none())
        {
            return Err(Malformed("a plane has a position without a value"));
        }
        if planes().all(BitmapView::is_empty) {
            return Ok(());
        }
        let (mut exists, mut positive, mut negative) = (Block::boxed(), Block::boxed(), Block::boxed());
        for (key, container) in self.exists.containers() {
            exists.clear();
            exists.or_container(&container);
            positive.set_union(&self.positive, key);
            let (low, top) = self.negative.split_at(self.negative.len().min(NEGATIVE_MAX - 1));
            negative.set_union(low, key);
            for top in top.iter().filter_map(|plane| plane.container(key)) {
                if negative.and_count_container(&top) > 0 {
                    return Err(Malformed("a value lies below the smallest 64-bit integer"));
                }
                negative.or_container(&top);
            }
            if positive.and_count(&negative) > 0 {
                return Err(Malformed("a position has both signs"));
            }
            positive.or(&negative);
            positive.and_not(&exists);
            if !positive.is_empty() {
                return Err(Malformed("a plane has a position without a value"));
            }
        }
        Ok(())
    }

    /// Positions that have a value.
    pub fn len(&self) -> u64 {
        self.exists.len()
    }

    pub fn is_empty(&self) -> bool {
        self.exists.is_empty()
    }

    /// The positions that have a value, zero included.
    pub fn exists(&self) -> BitmapView<'a> {
        self.exists
    }

    /// The positions of block `key` that have a value.
    pub fn exists_container(&self, key: u16) -> Option<Container<'a>> {
        self.exists.container(key)
    }

    /// The planes of the values above zero; plane k is bit k.
    pub fn positive_planes(&self) -> &[BitmapView<'a>] {
        &self.positive
    }

    /// The planes of the absolute values of those below zero; plane k is bit k.
    pub fn negative_planes(&self) -> &[BitmapView<'a>] {
        &self.negative
    }

    /// The value at `position`.
    pub fn value_at(&self, position: u32) -> Option<i64> {
        if !self.exists.contains(position) {
            return None;
        }
        let (above, below) = (magnitude(&self.positive, position), magnitude(&self.negative, position));
        // One of the two is zero; wrapping turns 2^63 into i64::MIN.
        Some((above as i64).wrapping_sub(below as i64))
    }

    /// Bytes that the planes take.
    pub fn plane_bytes(&self) -> usize {
        self.positive.iter().chain(&self.negative).map(BitmapView::byte_len).sum()
    }

    /// Whether a value below zero may be in block `key`.
    pub fn has_negative(&self, key: u16) -> bool {
        self.negative.iter().any(|plane| plane.cardinality(key) > 0)
    }

    /// The sum of the values of block `key`, of all or of those at positions of `within`.
    pub fn sum(&self, key: u16, within: Option<&Block>) -> i128 {
        let sum = |planes: &[BitmapView<'_>]| -> i128 {
            let planes = planes.iter().enumerate();
            planes.map(|(k, plane)| i128::from(count(plane, key, within)) << k).sum()
        };
        sum(&self.positive) - sum(&self.negative)
    }

    /// Positions of block `key` that have a value, of all or of those of `within`.
    pub fn count(&self, key: u16, within: Option<&Block>) -> u32 {
        count(&self.exists, key, within)
    }

    /// Adds the values above zero of block `key` to `tally`.
    pub fn tally(&self, key: u16, tally: &mut Tally<'a, '_>) {
        let mut planes = self.positive.iter().map(|plane| plane.container(key)).enumerate().peekable();
        while let Some((weight, container)) = planes.next() {
            if let Some((_, Some(next))) = planes.peek() {
                next.prefetch();
            }
            container.into_iter().for_each(|container| tally.add(weight as u8, container));
        }
    }

    /// Adds block `key` of the column: its values above zero to `positive`, the absolute values of
    /// those below zero to `negative`.
    pub fn add_block(&self, key: u16, positive: &mut Planes, negative: &mut Planes) {
        add_planes(&self.positive, key, positive);
        add_planes(&self.negative, key, negative);
    }
}

fn add_planes(planes: &[BitmapView<'_>], key: u16, sums: &mut Planes) {
    let mut bits = [None; NEGATIVE_MAX];
    for (bits, plane) in bits.iter_mut().zip(planes) {
        *bits = plane.container(key);
    }
    sums.add_planes(&bits[..planes.len()]);
}

fn count(bitmap: &BitmapView<'_>, key: u16, within: Option<&Block>) -> u32 {
    let Some(within) = within else { return bitmap.cardinality(key) };
    bitmap.container(key).map_or(0, |container| within.and_count_container(&container))
}

fn magnitude(planes: &[BitmapView<'_>], position: u32) -> u64 {
    planes.iter().enumerate().map(|(k, plane)| u64::from(plane.contains(position)) << k).sum()
}
