//! The loops over whole blocks, each compiled plain, for AVX2 and for AVX-512; the machine's best
//! is chosen at run time, because one binary serves every x86-64 machine.

use crate::block::{BYTES, WORDS};
use crate::masked::{Expand, Mask};
use crate::planes::Plane;
use crate::tally::Counts;

pub(crate) type Words = [u64; WORDS];
pub(crate) type Bytes = [u8; BYTES];

/// Words that an addition carries along together: what stays in registers. Measured, as `WIDE`.
const STRIPE: usize = 8;
/// Words that a comparison works on together: it stores nothing between planes.
const WIDE: usize = 32;

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Level {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

/// The best level of this machine; the standard library remembers what it detected.
#[inline]
pub(crate) fn level() -> Level {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected as has;
        if !(has!("avx2") && has!("bmi2") && has!("popcnt")) {
            return Level::Plain;
        }
        if has!("avx512f")
            && has!("avx512bw")
            && has!("avx512vl")
            && has!("avx512vbmi2")
            && has!("avx512vpopcntdq")
        {
            return Level::Avx512;
        }
        Level::Avx2
    }
    #[cfg(not(target_arch = "x86_64"))]
    Level::Plain
}

/// Each kernel's first argument is the level that its body is compiled for, a constant there; callers
/// leave it out.
macro_rules! kernels {
    ($($(#[$doc:meta])* fn $name:ident($level:pat_param, $($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? $body:block)*) => {$(
        $(#[$doc])*
        #[inline]
        pub(crate) fn $name($($arg: $type),*) $(-> $out)? {
            $name::at(level(), $($arg),*)
        }

        pub(crate) mod $name {
            use super::*;

            /// Runs the variant for `level`, which the machine must have.
            #[inline]
            pub(crate) fn at(level: Level, $($arg: $type),*) $(-> $out)? {
                match level {
                    Level::Plain => body(level, $($arg),*),
                    // SAFETY: `level` comes from `level()`, which detected these features.
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx2 => unsafe { avx2($($arg),*) },
                    // SAFETY: as above.
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx512 => unsafe { avx512($($arg),*) },
                }
            }

            /// Inlined into each variant, where `level` is a constant.
            #[inline(always)]
            fn body($level: Level, $($arg: $type),*) $(-> $out)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,bmi2,popcnt")]
            fn avx2($($arg: $type),*) $(-> $out)? {
                body(Level::Avx2, $($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,avx512vpopcntdq,bmi2,popcnt")]
            fn avx512($($arg: $type),*) $(-> $out)? {
                body(Level::Avx512, $($arg),*)
            }
        }
    )*};
}

kernels! {
    fn or(_, words: &mut Words, other: &Bytes) {
        for (word, other) in words.iter_mut().zip(other.as_chunks().0) {
            *word |= u64::from_le_bytes(*other);
        }
    }

    fn and(_, words: &mut Words, other: &Bytes) {
        for (word, other) in words.iter_mut().zip(other.as_chunks().0) {
            *word &= u64::from_le_bytes(*other);
        }
    }

    fn and_not(_, words: &mut Words, other: &Bytes) {
        for (word, other) in words.iter_mut().zip(other.as_chunks().0) {
            *word &= !u64::from_le_bytes(*other);
        }
    }

    fn not(_, words: &mut Words) {
        for word in words {
            *word = !*word;
        }
    }

    /// Sets `words` to a masked container's.
    fn unmask(level, words: &mut Words, mask: &Mask, bytes: &[u8]) {
        let mut expand = Expand::new(mask, bytes);
        for words in words.as_chunks_mut().0 {
            *words = expand.next(level);
        }
    }

    fn or_masked(level, words: &mut Words, mask: &Mask, bytes: &[u8]) {
        let mut expand = Expand::new(mask, bytes);
        for words in words.as_chunks_mut::<8>().0 {
            words.iter_mut().zip(expand.next(level)).for_each(|(word, other)| *word |= other);
        }
    }

    fn and_masked(level, words: &mut Words, mask: &Mask, bytes: &[u8]) {
        let mut expand = Expand::new(mask, bytes);
        for words in words.as_chunks_mut::<8>().0 {
            words.iter_mut().zip(expand.next(level)).for_each(|(word, other)| *word &= other);
        }
    }

    fn and_not_masked(level, words: &mut Words, mask: &Mask, bytes: &[u8]) {
        let mut expand = Expand::new(mask, bytes);
        for words in words.as_chunks_mut::<8>().0 {
            words.iter_mut().zip(expand.next(level)).for_each(|(word, other)| *word &= !other);
        }
    }

    fn and_count_masked(level, words: &Words, mask: &Mask, bytes: &[u8]) -> u32 {
        let mut expand = Expand::new(mask, bytes);
        let mut count = 0;
        for words in words.as_chunks::<8>().0 {
            let both = words.iter().zip(expand.next(level)).map(|(word, other)| word & other);
            count += both.map(|both| u64::from(both.count_ones())).sum::<u64>();
        }
        count as u32
    }

    /// Positions of a whole block, or of a masked container's bytes.
    fn count(_, bytes: &[u8]) -> u32 {
        // Summed as u64, the width of the vector's lanes.
        let (words, rest) = bytes.as_chunks();
        let rest: u32 = rest.iter().map(|byte| byte.count_ones()).sum();
        rest + words.iter().map(|word| u64::from(u64::from_le_bytes(*word).count_ones())).sum::<u64>() as u32
    }

    fn and_count(_, words: &Words, other: &Bytes) -> u32 {
        let pairs = words.iter().zip(other.as_chunks().0);
        pairs.map(|(word, other)| u64::from((word & u64::from_le_bytes(*other)).count_ones())).sum::<u64>() as u32
    }

    /// Adds the numbers whose bit k is set in `inputs[k]` (None: in no position). The last plane
    /// must be empty and beyond `inputs`, so that nothing is carried out of it; whether it was
    /// needed is the answer.
    fn add(_, planes: &mut [Plane], inputs: &[Option<&Bytes>]) -> bool {
        let last = planes.len() - 1;
        let mut carried_out = 0;
        for at in (0..WORDS).step_by(STRIPE) {
            let mut carry = [0u64; STRIPE];
            for (k, plane) in planes.iter_mut().enumerate() {
                let words: &mut [u64; STRIPE] = stripe_mut(&mut plane.block.words, at);
                match inputs.get(k) {
                    Some(Some(input)) => {
                        let input = byte_stripe(input, at);
                        for i in 0..STRIPE {
                            let (a, b, c) = (words[i], u64::from_le_bytes(input[i]), carry[i]);
                            words[i] = a ^ b ^ c;
                            carry[i] = (a & b) | (c & (a ^ b));
                        }
                    }
                    Some(None) => half_add(words, &mut carry),
                    None => {
                        let any = carry.iter().fold(0, |any, c| any | c);
                        if any == 0 {
                            break;
                        }
                        half_add(words, &mut carry);
                        if k == last {
                            carried_out |= any;
                        }
                    }
                }
            }
        }
        carried_out != 0
    }

    /// Adds four planes to the bits `sum` and what is carried to the bits `next`, of the next weight;
    /// `carry` becomes what is carried from there. Whether there is any.
    fn add_four(_, planes: [&Bytes; 4], sum: &mut Words, next: &mut Words, carry: &mut Words) -> bool {
        let [a, b, c, d] = planes.map(|plane| plane.as_chunks::<8>().0);
        let mut any = 0;
        for i in 0..WORDS {
            let [a, b, c, d] = [a, b, c, d].map(|plane| u64::from_le_bytes(plane[i]));
            let (first, low) = full_add(sum[i], a, b);
            let (second, low) = full_add(low, c, d);
            (carry[i], next[i]) = full_add(next[i], first, second);
            sum[i] = low;
            any |= carry[i];
        }
        any != 0
    }

    /// Sets `out` where bit `k` of the count is set.
    fn counts_with_bit(level, counts: &Counts, k: u32, out: &mut Words) {
        for (word, counts) in out.iter_mut().zip(counts.as_chunks().0) {
            *word = bytes_with_bit(level, counts, k);
        }
    }

    /// Sets `out` where the count lies from `low` to `high`.
    fn counts_between(level, counts: &Counts, low: u8, high: u8, out: &mut Words) {
        for (word, counts) in out.iter_mut().zip(counts.as_chunks().0) {
            *word = bytes_between(level, counts, low, high);
        }
    }

    /// Sets `out` where the count lies from `low` to `high`, and every count to 0.
    fn take_counts_between(level, counts: &mut Counts, low: u8, high: u8, out: &mut Words) {
        for (word, counts) in out.iter_mut().zip(counts.as_chunks_mut().0) {
            *word = bytes_between(level, counts, low, high);
            *counts = [0; 64];
        }
    }

    /// Sets `out` where the number is at least `threshold`: from low to high, a plane decides
    /// alone where it differs from the threshold's bit, and leaves what lower planes said where not.
    fn at_least(_, planes: &[Plane], threshold: u128, out: &mut Words) {
        for at in (0..WORDS).step_by(WIDE) {
            let mut holds = [u64::MAX; WIDE];
            for (k, plane) in planes.iter().enumerate() {
                let words: &[u64; WIDE] = stripe(&plane.block.words, at);
                if bit(threshold, k) {
                    for i in 0..WIDE {
                        holds[i] &= words[i];
                    }
                } else {
                    for i in 0..WIDE {
                        holds[i] |= words[i];
                    }
                }
            }
            *stripe_mut(out, at) = holds;
        }
    }

    /// Sets `out` where the number is exactly `value`.
    fn equal(_, planes: &[Plane], value: u128, out: &mut Words) {
        for at in (0..WORDS).step_by(WIDE) {
            let mut holds = [u64::MAX; WIDE];
            for (k, plane) in planes.iter().enumerate() {
                let words: &[u64; WIDE] = stripe(&plane.block.words, at);
                let flip = if bit(value, k) { 0 } else { u64::MAX };
                for i in 0..WIDE {
                    holds[i] &= words[i] ^ flip;
                }
            }
            *stripe_mut(out, at) = holds;
        }
    }

    /// Compares `a` with `b + constant` at every position. `depth` planes are looked at and must
    /// hold both; planes that are missing count as empty.
    fn compare(_, a: &[Plane], b: &[Plane], constant: u128, depth: usize, greater: &mut Words, equal: &mut Words) {
        for at in (0..WORDS).step_by(WIDE) {
            let mut more = [0u64; WIDE];
            let mut same = [u64::MAX; WIDE];
            let mut carry = [0u64; WIDE];
            for k in 0..depth {
                let a = a.get(k).map_or(&[0; WIDE], |plane| stripe(&plane.block.words, at));
                let b = b.get(k).map_or(&[0; WIDE], |plane| stripe(&plane.block.words, at));
                let c = if bit(constant, k) { u64::MAX } else { 0 };
                for i in 0..WIDE {
                    let sum = b[i] ^ c ^ carry[i];
                    carry[i] = (b[i] & c) | (carry[i] & (b[i] ^ c));
                    let differs = a[i] ^ sum;
                    more[i] = (a[i] & differs) | (more[i] & !differs);
                    same[i] &= !differs;
                }
            }
            *stripe_mut(greater, at) = more;
            *stripe_mut(equal, at) = same;
        }
    }
}

/// Bit i of the answer is bit `k` of byte i.
#[inline(always)]
pub(crate) fn bytes_with_bit(level: Level, bytes: &[u8; 64], k: u32) -> u64 {
    match level {
        // SAFETY: the machine has the level's features.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { x86::with_bit_512(bytes, k) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { x86::with_bit_256(bytes, k) },
        Level::Plain => bytes.iter().rev().fold(0, |word, byte| word << 1 | u64::from(byte >> k & 1)),
    }
}

/// Bit i of the answer says whether byte i lies from `low` to `high`.
#[inline(always)]
pub(crate) fn bytes_between(level: Level, bytes: &[u8; 64], low: u8, high: u8) -> u64 {
    match level {
        // SAFETY: the machine has the level's features.
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => unsafe { x86::between_512(bytes, low, high) },
        // SAFETY: as above.
        #[cfg(target_arch = "x86_64")]
        Level::Avx2 => unsafe { x86::between_256(bytes, low, high) },
        Level::Plain => {
            bytes.iter().rev().fold(0, |word, byte| word << 1 | u64::from((low..=high).contains(byte)))
        }
    }
}

/// What the compiler does not find by itself.
#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub fn with_bit_512(bytes: &[u8; 64], k: u32) -> u64 {
        // SAFETY: both are 64 bytes, and the load needs no alignment.
        let bytes = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
        _mm512_test_epi8_mask(bytes, _mm512_set1_epi8(1 << k))
    }

    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub fn between_512(bytes: &[u8; 64], low: u8, high: u8) -> u64 {
        // SAFETY: as above.
        let bytes = unsafe { _mm512_loadu_si512(bytes.as_ptr().cast()) };
        let above = _mm512_cmpge_epu8_mask(bytes, _mm512_set1_epi8(low as i8));
        above & _mm512_cmple_epu8_mask(bytes, _mm512_set1_epi8(high as i8))
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn with_bit_256(bytes: &[u8; 64], k: u32) -> u64 {
        halves(bytes, |half| {
            let bit = _mm256_set1_epi8((1u8 << k) as i8);
            _mm256_cmpeq_epi8(_mm256_and_si256(half, bit), bit)
        })
    }

    #[target_feature(enable = "avx2")]
    #[inline]
    pub fn between_256(bytes: &[u8; 64], low: u8, high: u8) -> u64 {
        halves(bytes, |half| {
            let above = _mm256_cmpeq_epi8(_mm256_max_epu8(half, _mm256_set1_epi8(low as i8)), half);
            let below = _mm256_cmpeq_epi8(_mm256_min_epu8(half, _mm256_set1_epi8(high as i8)), half);
            _mm256_and_si256(above, below)
        })
    }

    /// The top bits of what `test` makes of each half.
    #[target_feature(enable = "avx2")]
    #[inline]
    fn halves(bytes: &[u8; 64], test: impl Fn(__m256i) -> __m256i) -> u64 {
        let (low, high) = bytes.split_at(32);
        let half = |half: &[u8]| {
            // SAFETY: each half has 32 bytes, and the load needs no alignment.
            let half = unsafe { _mm256_loadu_si256(half.as_ptr().cast()) };
            u64::from(_mm256_movemask_epi8(test(half)) as u32)
        };
        half(low) | half(high) << 32
    }
}

/// The higher and the lower bit of the sum of three.
#[inline(always)]
fn full_add(a: u64, b: u64, c: u64) -> (u64, u64) {
    ((a & b) | (c & (a ^ b)), a ^ b ^ c)
}

/// Bit `k` of `number`; zero beyond its width.
#[inline(always)]
fn bit(number: u128, k: usize) -> bool {
    k < 128 && number >> k & 1 == 1
}

#[inline(always)]
fn half_add(words: &mut [u64; STRIPE], carry: &mut [u64; STRIPE]) {
    for i in 0..STRIPE {
        let (a, c) = (words[i], carry[i]);
        words[i] = a ^ c;
        carry[i] = a & c;
    }
}

#[inline(always)]
fn stripe<const N: usize>(words: &Words, at: usize) -> &[u64; N] {
    &words.as_chunks().0[at / N]
}

#[inline(always)]
fn stripe_mut<const N: usize>(words: &mut Words, at: usize) -> &mut [u64; N] {
    &mut words.as_chunks_mut().0[at / N]
}

#[inline(always)]
fn byte_stripe(bytes: &Bytes, at: usize) -> &[[u8; 8]; STRIPE] {
    &bytes.as_chunks().0.as_chunks().0[at / STRIPE]
}

#[cfg(test)]
mod tests;
