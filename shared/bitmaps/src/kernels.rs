//! The loops over whole blocks, each compiled plain, for AVX2 and for AVX-512; the machine's best
//! is chosen at run time, because one binary serves every x86-64 machine.

use crate::block::{BYTES, WORDS};
use crate::planes::Plane;

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
        if !(has!("avx2") && has!("popcnt")) {
            return Level::Plain;
        }
        if has!("avx512f") && has!("avx512bw") && has!("avx512vl") && has!("avx512vpopcntdq") {
            return Level::Avx512;
        }
        Level::Avx2
    }
    #[cfg(not(target_arch = "x86_64"))]
    Level::Plain
}

macro_rules! kernels {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),* $(,)?) $(-> $out:ty)? $body:block)*) => {$(
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
                    Level::Plain => body($($arg),*),
                    // SAFETY: `level` comes from `level()`, which detected these features.
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx2 => unsafe { avx2($($arg),*) },
                    // SAFETY: as above.
                    #[cfg(target_arch = "x86_64")]
                    Level::Avx512 => unsafe { avx512($($arg),*) },
                }
            }

            #[inline(always)]
            fn body($($arg: $type),*) $(-> $out)? $body

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,popcnt")]
            fn avx2($($arg: $type),*) $(-> $out)? {
                body($($arg),*)
            }

            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,popcnt")]
            fn avx512($($arg: $type),*) $(-> $out)? {
                body($($arg),*)
            }
        }
    )*};
}

kernels! {
    fn or(words: &mut Words, other: &Bytes) {
        for (word, other) in words.iter_mut().zip(other.as_chunks().0) {
            *word |= u64::from_le_bytes(*other);
        }
    }

    fn and(words: &mut Words, other: &Bytes) {
        for (word, other) in words.iter_mut().zip(other.as_chunks().0) {
            *word &= u64::from_le_bytes(*other);
        }
    }

    fn and_not(words: &mut Words, other: &Bytes) {
        for (word, other) in words.iter_mut().zip(other.as_chunks().0) {
            *word &= !u64::from_le_bytes(*other);
        }
    }

    fn not(words: &mut Words) {
        for word in words {
            *word = !*word;
        }
    }

    fn count(bytes: &Bytes) -> u32 {
        // Summed as u64, the width of the vector's lanes.
        bytes.as_chunks().0.iter().map(|word| u64::from(u64::from_le_bytes(*word).count_ones())).sum::<u64>() as u32
    }

    fn and_count(words: &Words, other: &Bytes) -> u32 {
        let pairs = words.iter().zip(other.as_chunks().0);
        pairs.map(|(word, other)| u64::from((word & u64::from_le_bytes(*other)).count_ones())).sum::<u64>() as u32
    }

    /// Adds the numbers whose bit k is set in `inputs[k]` (None: in no position). The last plane
    /// must be empty and beyond `inputs`, so that nothing is carried out of it; whether it was
    /// needed is the answer.
    fn add(planes: &mut [Plane], inputs: &[Option<&Bytes>]) -> bool {
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

    /// Sets `out` where the number is at least `threshold`: from low to high, a plane decides
    /// alone where it differs from the threshold's bit, and leaves what lower planes said where not.
    fn at_least(planes: &[Plane], threshold: u128, out: &mut Words) {
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
    fn equal(planes: &[Plane], value: u128, out: &mut Words) {
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
    fn compare(a: &[Plane], b: &[Plane], constant: u128, depth: usize, greater: &mut Words, equal: &mut Words) {
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
