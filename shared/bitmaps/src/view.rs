//! A bitmap read where it lies, checked once, then searched without copying: roaring's portable
//! serialisation format with both of its cookies, or the store's own (`encode.rs`), which knows one more
//! kind of container.

use roaring::RoaringBitmap;

use crate::container::{Container, Containers};
use crate::encode::{self, COOKIE_KINDS};
use crate::masked::MASK;

const COOKIE_PLAIN: u32 = 12346;
const COOKIE_RUNS: u32 = 12347;
/// A bitmap with run containers has an offset header only from this many containers on.
const OFFSETS_FROM: usize = 4;
const ARRAY_MAX: u32 = 4096;
const EMPTY: &[u8] = &[0x3a, 0x30, 0, 0, 0, 0, 0, 0];

/// The bytes are not what they claim to be; the text says which rule they break.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("malformed bitmap bytes: {0}")]
pub struct Malformed(pub &'static str);

/// A roaring bitmap inside a byte slice. Copying it copies references, never positions.
#[derive(Clone, Copy, Debug)]
pub struct BitmapView<'a> {
    /// Exactly the bitmap, without what follows it.
    bytes: &'a [u8],
    /// Per container: key and cardinality - 1, both u16.
    descriptions: &'a [[u8; 4]],
    /// Where each container starts; None in small portable bitmaps with runs. In the store's own format
    /// one more: where the last one ends.
    offsets: Option<&'a [[u8; 4]]>,
    kinds: Kinds<'a>,
    /// Where the first container starts.
    data: usize,
    len: u64,
}

/// How a bitmap tells the kinds of its containers.
#[derive(Clone, Copy, Debug)]
enum Kinds<'a> {
    /// Portable: a bit per container says whether it is of runs (none at all: no bytes); the others are
    /// told apart by their cardinality.
    Portable(&'a [u8]),
    /// The store's own: a byte per container.
    Own(&'a [u8]),
}

impl<'a> BitmapView<'a> {
    /// The bitmap without any position.
    pub fn empty() -> BitmapView<'static> {
        BitmapView {
            bytes: EMPTY,
            descriptions: &[],
            offsets: None,
            kinds: Kinds::Portable(&[]),
            data: EMPTY.len(),
            len: 0,
        }
    }

    /// Reads the bitmap that `bytes` begin with and checks every rule of the format, so that
    /// nothing it answers later can contradict itself. Never panics.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let view = Self::parse_trusted(bytes)?;
        for (index, (_, container)) in view.containers().enumerate() {
            check_container(&container, view.cardinality_at(index))?;
        }
        Ok(view)
    }

    /// As `parse`, but looks only at the header and the number of runs of each run container: for
    /// files whose checksum was verified. Bytes with wrong contents give wrong answers, but no read
    /// outside the slice and no panic.
    pub fn parse_trusted(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut view = Self::parse_header(bytes)?;
        let mut at = view.data;
        for index in 0..view.container_count() {
            if matches!(view.kinds, Kinds::Own(kinds) if kinds[index] > encode::MASKED) {
                return Err(Malformed("unknown kind of container"));
            }
            if index > 0 && view.key(index - 1) >= view.key(index) {
                return Err(Malformed("container keys do not ascend"));
            }
            // Offsets that skip bytes are refused: every known reader and writer lays containers
            // end to end, and some readers ignore the offsets.
            if view.offset(index).is_some_and(|offset| offset != at) {
                return Err(Malformed("an offset does not point behind the container before"));
            }
            at = view.end_of(index, at).filter(|end| *end <= bytes.len()).ok_or(TRUNCATED)?;
            view.len += u64::from(view.cardinality_at(index));
        }
        if let Kinds::Own(kinds) = view.kinds
            && view.offset(kinds.len()) != Some(at)
        {
            return Err(Malformed("the last offset does not point behind the last container"));
        }
        view.bytes = &bytes[..at];
        Ok(view)
    }

    fn parse_header(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = bytes;
        let cookie = u32::from_le_bytes(take_array(&mut rest)?);
        let many = (cookie >> 16) as usize + 1;
        let (count, kinds, offset_count) = match cookie & 0xffff {
            _ if cookie == COOKIE_PLAIN => {
                let count = u32::from_le_bytes(take_array(&mut rest)?) as usize;
                (count, Kinds::Portable(&[]), count)
            }
            COOKIE_RUNS => {
                let flags = take(&mut rest, many.div_ceil(8))?;
                (many, Kinds::Portable(flags), if many >= OFFSETS_FROM { many } else { 0 })
            }
            COOKIE_KINDS => (many, Kinds::Own(take(&mut rest, many)?), many + 1),
            _ => return Err(Malformed("unknown cookie")),
        };
        if count > 1 << 16 {
            return Err(Malformed("more than 65536 containers"));
        }
        let descriptions = take(&mut rest, count * 4)?.as_chunks().0;
        let offsets = take(&mut rest, offset_count * 4)?.as_chunks().0;
        let offsets = (offset_count > 0).then_some(offsets);
        Ok(BitmapView { bytes, descriptions, offsets, kinds, data: bytes.len() - rest.len(), len: 0 })
    }

    /// Positions in the bitmap, from its header.
    pub fn len(&self) -> u64 {
        self.len
    }

    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes the bitmap takes; what lies behind them in the slice given to `parse` is not its own.
    pub fn byte_len(&self) -> usize {
        self.bytes.len()
    }

    /// The bitmap's own bytes.
    pub fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    pub fn container_count(&self) -> usize {
        self.descriptions.len()
    }

    /// The container of block `key`, found by binary search.
    pub fn container(&self, key: u16) -> Option<Container<'a>> {
        let index = self.index_of(key)?;
        let start = self.offset(index).unwrap_or_else(|| self.walk_to(index));
        Some(self.container_from(index, start).0)
    }

    /// Positions in block `key`, from the header; 0 when it has no container.
    pub fn cardinality(&self, key: u16) -> u32 {
        self.index_of(key).map_or(0, |index| self.cardinality_at(index))
    }

    /// Every container with its key, in key order.
    pub fn containers(&self) -> Containers<'a> {
        Containers::new(*self, self.data)
    }

    pub fn contains(&self, position: u32) -> bool {
        self.container((position >> 16) as u16).is_some_and(|container| container.contains(position as u16))
    }

    /// A copy on the heap. Fails only for a view from `parse_trusted` whose contents are wrong.
    pub fn to_roaring(&self) -> Result<RoaringBitmap, Malformed> {
        if let Kinds::Own(_) = self.kinds {
            return Ok(encode::to_roaring(self));
        }
        RoaringBitmap::deserialize_from(self.bytes).map_err(|_| Malformed("contents do not match the header"))
    }

    pub(crate) fn key(&self, index: usize) -> u16 {
        let [low, high, ..] = self.descriptions[index];
        u16::from_le_bytes([low, high])
    }

    /// The container that starts at `start`, and where it ends.
    pub(crate) fn container_from(&self, index: usize, start: usize) -> (Container<'a>, usize) {
        let end = self.end_of(index, start).expect("extents were checked when the view was made");
        let body = &self.bytes[start..end];
        let container = match self.kind(index) {
            Kind::Array => Container::Array(body.as_chunks().0),
            Kind::Bits => Container::Bits(body.try_into().expect("extents were checked, as above")),
            Kind::Runs => Container::Runs(body[2..].as_chunks().0),
            Kind::Masked => {
                let (mask, bytes) = body.split_first_chunk().expect("extents were checked, as above");
                Container::Masked { mask, bytes }
            }
        };
        (container, end)
    }

    fn index_of(&self, key: u16) -> Option<usize> {
        self.descriptions.binary_search_by_key(&key, |d| u16::from_le_bytes([d[0], d[1]])).ok()
    }

    fn cardinality_at(&self, index: usize) -> u32 {
        let [.., low, high] = self.descriptions[index];
        u32::from(u16::from_le_bytes([low, high])) + 1
    }

    fn kind(&self, index: usize) -> Kind {
        match self.kinds {
            Kinds::Own(kinds) => match kinds[index] {
                encode::BITS => Kind::Bits,
                encode::RUNS => Kind::Runs,
                encode::MASKED => Kind::Masked,
                _ => Kind::Array,
            },
            Kinds::Portable(runs) => {
                let is_run = runs.get(index / 8).is_some_and(|flags| flags >> (index % 8) & 1 == 1);
                match self.cardinality_at(index) {
                    _ if is_run => Kind::Runs,
                    ..=ARRAY_MAX => Kind::Array,
                    _ => Kind::Bits,
                }
            }
        }
    }

    fn offset(&self, index: usize) -> Option<usize> {
        self.offsets.map(|offsets| u32::from_le_bytes(offsets[index]) as usize)
    }

    /// Where container `index` starts in a bitmap without offsets: at most three steps.
    fn walk_to(&self, index: usize) -> usize {
        (0..index).fold(self.data, |start, before| {
            self.end_of(before, start).expect("extents were checked when the view was made")
        })
    }

    /// Where the container that starts at `start` ends; None when the bytes end before they tell.
    fn end_of(&self, index: usize, start: usize) -> Option<usize> {
        match self.kind(index) {
            Kind::Array => Some(start + 2 * self.cardinality_at(index) as usize),
            Kind::Bits => Some(start + 8192),
            Kind::Runs => {
                let [low, high, ..] = *self.bytes.get(start..)? else { return None };
                Some(start + 2 + 4 * usize::from(u16::from_le_bytes([low, high])))
            }
            Kind::Masked => self.offset(index + 1).filter(|end| *end >= start + MASK),
        }
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Array,
    Bits,
    Runs,
    Masked,
}

const TRUNCATED: Malformed = Malformed("the bytes end too early");

/// Cuts the first `count` bytes off `rest`.
pub(crate) fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], Malformed> {
    rest.split_off(..count).ok_or(TRUNCATED)
}

/// Cuts the first `N` bytes off `rest`.
pub(crate) fn take_array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Malformed> {
    let (first, behind) = rest.split_first_chunk().ok_or(TRUNCATED)?;
    *rest = behind;
    Ok(*first)
}

/// The contents against the cardinality in the header.
fn check_container(container: &Container<'_>, cardinality: u32) -> Result<(), Malformed> {
    match container {
        Container::Array(positions) => {
            if !positions.is_sorted_by(|a, b| u16::from_le_bytes(*a) < u16::from_le_bytes(*b)) {
                return Err(Malformed("an array does not ascend"));
            }
        }
        Container::Runs(runs) => check_runs(runs)?,
        Container::Masked { mask, bytes } => {
            let promised: u32 = mask.iter().map(|mask| mask.count_ones()).sum();
            if promised as usize != bytes.len() || bytes.contains(&0) {
                return Err(Malformed("the bytes of a masked container are not those of its mask"));
            }
        }
        Container::Bits(_) => {}
    }
    if container.count() != cardinality {
        return Err(Malformed("a cardinality does not match its container"));
    }
    Ok(())
}

/// Runs ascend, end inside the block, and neither overlap nor touch: both CRoaring and roaring-rs
/// refuse runs that should have been one.
fn check_runs(runs: &[[u8; 4]]) -> Result<(), Malformed> {
    let mut free = 0;
    for &[a, b, c, d] in runs {
        let first = u32::from(u16::from_le_bytes([a, b]));
        let last = first + u32::from(u16::from_le_bytes([c, d]));
        if first < free || last > 0xffff {
            return Err(Malformed("runs overlap, touch, do not ascend or leave the block"));
        }
        free = last + 2;
    }
    Ok(())
}
