//! The bytes of ClickHouse's `AggregateFunction(groupBitmap, UInt32)`.
//!
//! `kind: u8`; kind 0: `n: varuint` (at most 32), then n little-endian u32 in any order; kind 1:
//! `length: varuint`, then a portable roaring bitmap of that length with either cookie.

use roaring::RoaringBitmap;

use crate::view::{BitmapView, Malformed, take, take_array};

const SMALL: u8 = 0;
const ROARING: u8 = 1;
const SMALL_MAX: u64 = 32;

/// Whether the bitmap may be written with run containers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Runs {
    /// Where they are smaller (cookie 12347 when there are any).
    Allowed,
    /// Arrays and bits only (cookie 12346).
    Never,
}

/// The bytes of one value: kind 0 up to 32 positions, kind 1 above.
pub fn encode(bitmap: &RoaringBitmap, runs: Runs) -> Vec<u8> {
    let count = bitmap.len();
    if count <= SMALL_MAX {
        let mut bytes = vec![SMALL, count as u8];
        bitmap.iter().for_each(|position| bytes.extend(position.to_le_bytes()));
        return bytes;
    }
    let mut bitmap = bitmap.clone();
    match runs {
        Runs::Allowed => bitmap.optimize(),
        Runs::Never => bitmap.remove_run_compression(),
    };
    let size = bitmap.serialized_size();
    let mut bytes = Vec::with_capacity(size + 11);
    bytes.push(ROARING);
    write_varuint(&mut bytes, size as u64);
    bitmap.serialize_into(&mut bytes).expect("a vector takes every byte");
    bytes
}

/// The value that `bytes` begin with, and how many bytes it takes.
pub fn decode(bytes: &[u8]) -> Result<(RoaringBitmap, usize), Malformed> {
    let mut rest = bytes;
    let [kind] = take_array(&mut rest)?;
    let count = read_varuint(&mut rest)?;
    let bitmap = match kind {
        SMALL => decode_small(&mut rest, count)?,
        ROARING => {
            let size = usize::try_from(count).map_err(|_| Malformed("a length beyond memory"))?;
            let view = BitmapView::parse(take(&mut rest, size)?)?;
            if view.byte_len() != size {
                return Err(Malformed("bytes behind the roaring bitmap"));
            }
            view.to_roaring()?
        }
        _ => return Err(Malformed("unknown kind of groupBitmap")),
    };
    Ok((bitmap, bytes.len() - rest.len()))
}

fn decode_small(rest: &mut &[u8], count: u64) -> Result<RoaringBitmap, Malformed> {
    if count > SMALL_MAX {
        return Err(Malformed("more than 32 values in a small groupBitmap"));
    }
    let positions = take(rest, count as usize * 4)?.as_chunks().0;
    Ok(positions.iter().map(|position| u32::from_le_bytes(*position)).collect())
}

/// Seven bits a byte, lowest first; the high bit says that more follow.
fn write_varuint(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push(number as u8 | 0x80);
        number >>= 7;
    }
    bytes.push(number as u8);
}

fn read_varuint(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let [byte] = take_array(rest)?;
        let bits = u64::from(byte & 0x7f);
        if bits << shift >> shift != bits {
            break;
        }
        number |= bits << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(Malformed("a varuint beyond 64 bits"))
}
