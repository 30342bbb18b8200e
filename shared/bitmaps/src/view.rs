//! A roaring bitmap read where it lies: the portable serialisation format with both of its
//! cookies, checked once, then searched without copying.

use roaring::RoaringBitmap;

use crate::container::{Container, Containers};

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
pub struct PortableView<'a> {
    /// Exactly the bitmap, without what follows it.
    bytes: &'a [u8],
    /// Per container: key and cardinality - 1, both u16.
    descriptions: &'a [[u8; 4]],
    /// Where each container starts; None in small bitmaps with runs.
    offsets: Option<&'a [[u8; 4]]>,
    /// One bit per container; empty when there are no runs.
    run_flags: &'a [u8],
    /// Where the first container starts.
    data: usize,
    len: u64,
}

impl<'a> PortableView<'a> {
    /// The bitmap without any position.
    pub fn empty() -> PortableView<'static> {
        PortableView {
            bytes: EMPTY,
            descriptions: &[],
            offsets: None,
            run_flags: &[],
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
        view.bytes = &bytes[..at];
        Ok(view)
    }

    fn parse_header(bytes: &'a [u8]) -> Result<Self, Malformed> {
        let mut rest = bytes;
        let cookie = u32::from_le_bytes(take_array(&mut rest)?);
        let (count, run_flags, has_offsets) = if cookie == COOKIE_PLAIN {
            (u32::from_le_bytes(take_array(&mut rest)?) as usize, &[][..], true)
        } else if cookie & 0xffff == COOKIE_RUNS {
            let count = (cookie >> 16) as usize + 1;
            (count, take(&mut rest, count.div_ceil(8))?, count >= OFFSETS_FROM)
        } else {
            return Err(Malformed("unknown cookie"));
        };
        if count > 1 << 16 {
            return Err(Malformed("more than 65536 containers"));
        }
        let descriptions = take(&mut rest, count * 4)?.as_chunks().0;
        let offsets = if has_offsets { Some(take(&mut rest, count * 4)?.as_chunks().0) } else { None };
        Ok(PortableView { bytes, descriptions, offsets, run_flags, data: bytes.len() - rest.len(), len: 0 })
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
        let container = if self.is_run(index) {
            Container::Runs(body[2..].as_chunks().0)
        } else if let Ok(bits) = body.try_into()
            && self.cardinality_at(index) > ARRAY_MAX
        {
            Container::Bits(bits)
        } else {
            Container::Array(body.as_chunks().0)
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

    fn is_run(&self, index: usize) -> bool {
        self.run_flags.get(index / 8).is_some_and(|flags| flags >> (index % 8) & 1 == 1)
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

    /// Where the container that starts at `start` ends; None when the bytes end before its number
    /// of runs.
    fn end_of(&self, index: usize, start: usize) -> Option<usize> {
        if self.is_run(index) {
            let [low, high, ..] = *self.bytes.get(start..)? else { return None };
            return Some(start + 2 + 4 * usize::from(u16::from_le_bytes([low, high])));
        }
        let cardinality = self.cardinality_at(index);
        Some(start + if cardinality <= ARRAY_MAX { 2 * cardinality as usize } else { 8192 })
    }
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
