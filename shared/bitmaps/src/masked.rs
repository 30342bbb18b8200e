//! Masked containers: which of a block's 8192 bytes are not zero, then only these bytes. Between arrays and
//! bits (about 1.5 to 17 of 100 positions set) they are the smallest, and expand at memory speed.

use crate::block::BYTES;
use crate::kernels::Level;

/// Bytes of the mask: bit b says that byte b of the block is not zero.
pub(crate) const MASK: usize = BYTES / 8;

pub(crate) type Mask = [u8; MASK];

/// Reads a masked container front to back, 64 bytes of the block at a time. Bytes that the mask promises
/// and that are not there count as zeros.
#[derive(Clone, Copy)]
pub(crate) struct Expand<'a> {
    mask: &'a [[u8; 8]],
    bytes: &'a [u8],
}

impl<'a> Expand<'a> {
    pub fn new(mask: &'a Mask, bytes: &'a [u8]) -> Expand<'a> {
        Expand { mask: mask.as_chunks().0, bytes }
    }

    /// The block's next eight words; zeros behind its end. `level` must be one that this machine has.
    #[inline(always)]
    pub fn next(&mut self, level: Level) -> [u64; 8] {
        let Some((mask, left)) = self.mask.split_first() else { return [0; 8] };
        self.mask = left;
        let mask = u64::from_le_bytes(*mask);
        let words = match level {
            // SAFETY: the machine has the level's features.
            #[cfg(target_arch = "x86_64")]
            Level::Avx512 => unsafe { expand_avx512(mask, self.bytes) },
            // SAFETY: as above.
            #[cfg(target_arch = "x86_64")]
            Level::Avx2 => unsafe { expand_bmi2(mask, self.bytes) },
            Level::Plain => expand_plain(mask, self.bytes),
        };
        let taken = (mask.count_ones() as usize).min(self.bytes.len());
        self.bytes = &self.bytes[taken..];
        words
    }
}

#[inline(always)]
fn expand_plain(mask: u64, bytes: &[u8]) -> [u64; 8] {
    let mut block = [0u8; 64];
    let mut rest = mask;
    for byte in bytes {
        if rest == 0 {
            break;
        }
        block[rest.trailing_zeros() as usize] = *byte;
        rest &= rest - 1;
    }
    words_of(block)
}

/// A deposit of eight bytes at a time.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,bmi2,popcnt")]
#[inline]
fn expand_bmi2(mask: u64, bytes: &[u8]) -> [u64; 8] {
    use std::arch::x86_64::_pdep_u64;
    let mut at = 0;
    std::array::from_fn(|i| {
        let eight = mask >> (8 * i) & 0xff;
        let next = match bytes.get(at..at + 8) {
            Some(next) => u64::from_le_bytes(next.try_into().expect("eight bytes")),
            None => last_bytes(bytes.get(at..).unwrap_or_default()),
        };
        at += eight.count_ones() as usize;
        // Each bit of the mask becomes a byte of ones.
        _pdep_u64(next, _pdep_u64(eight, 0x0101_0101_0101_0101) * 0xff)
    })
}

#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn last_bytes(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,bmi2,popcnt")]
#[inline]
fn expand_avx512(mask: u64, bytes: &[u8]) -> [u64; 8] {
    use std::arch::x86_64::{_mm512_loadu_si512, _mm512_maskz_expand_epi8, _mm512_maskz_loadu_epi8};
    // SAFETY: only bytes of the slice are loaded; a vector is 64 bytes of plain memory.
    unsafe {
        let next = match bytes.first_chunk::<64>() {
            Some(bytes) => _mm512_loadu_si512(bytes.as_ptr().cast()),
            None => _mm512_maskz_loadu_epi8((1 << bytes.len()) - 1, bytes.as_ptr().cast()),
        };
        std::mem::transmute(_mm512_maskz_expand_epi8(mask, next))
    }
}

#[inline(always)]
fn words_of(block: [u8; 64]) -> [u64; 8] {
    let words = block.as_chunks::<8>().0;
    std::array::from_fn(|i| u64::from_le_bytes(words[i]))
}
