//! Every variant this machine can run gives the plain one's answer, and the plain one a bit-by-bit one's.

use rand::{Rng, SeedableRng, rngs::StdRng};

use super::*;
use crate::block::Block;

/// The variants beyond the plain one that this machine can run.
fn variants() -> Vec<Level> {
    match level() {
        #[cfg(target_arch = "x86_64")]
        Level::Avx512 => vec![Level::Avx2, Level::Avx512],
        best => vec![best],
    }
}

/// Random blocks of several densities, including empty and full ones.
fn random(random: &mut StdRng) -> Block {
    let mut block = Block::zero();
    let style = random.random_range(0..5);
    for word in &mut block.words {
        *word = match style {
            0 => 0,
            1 => u64::MAX,
            2 => 1u64 << random.random_range(0..64),
            _ => random.random(),
        };
    }
    block
}

#[test]
fn two_block_kernels_agree() {
    let mut seed = StdRng::seed_from_u64(1);
    for _ in 0..50 {
        let (a, b) = (random(&mut seed), random(&mut seed));
        for level in variants().into_iter().chain([Level::Plain]) {
            let check = |kernel: fn(Level, &mut Words, &Bytes), expected: fn(u64, u64) -> u64| {
                let mut out = a.clone();
                kernel(level, &mut out.words, b.as_bytes());
                let wanted = std::array::from_fn(|i| expected(a.words[i], b.words[i]));
                assert!(out.words == wanted);
            };
            check(or::at, |a, b| a | b);
            check(and::at, |a, b| a & b);
            check(and_not::at, |a, b| a & !b);
            check(|level, words, _| not::at(level, words), |a, _| !a);
            let ones = |words: &mut dyn Iterator<Item = u64>| words.map(u64::count_ones).sum::<u32>();
            assert_eq!(count::at(level, a.as_bytes()), ones(&mut a.words.iter().copied()));
            let both = &mut a.words.iter().zip(&b.words).map(|(a, b)| a & b);
            assert_eq!(and_count::at(level, &a.words, b.as_bytes()), ones(both));
        }
    }
}

#[test]
fn plane_kernels_agree() {
    let mut seed = StdRng::seed_from_u64(2);
    for round in 0..60 {
        let depth = round % 9;
        let width = 1 + round % 7;
        let mut planes: Vec<Plane> = vec![Plane::zero(); depth.max(width) + 1];
        planes[..depth].iter_mut().for_each(|plane| plane.block = random(&mut seed));
        let inputs: Vec<Block> = (0..width).map(|_| random(&mut seed)).collect();
        let bytes: Vec<_> =
            inputs.iter().enumerate().map(|(k, b)| (k % 3 != 1).then_some(b.as_bytes())).collect();

        let mut sums = planes.clone();
        let carried = add::at(Level::Plain, &mut sums, &bytes);
        assert_eq!(carried, sums.last().unwrap().block.words.iter().any(|word| *word != 0));
        for level in variants() {
            let mut other = planes.clone();
            assert_eq!(add::at(level, &mut other, &bytes), carried);
            assert!(other.iter().zip(&sums).all(|(a, b)| a.block == b.block));
            for threshold in [0, 1, seed.random_range(0..300), 1 << 100] {
                let [mut plain, mut fast] = [Block::zero(), Block::zero()];
                at_least::at(Level::Plain, &sums, threshold, &mut plain.words);
                at_least::at(level, &sums, threshold, &mut fast.words);
                assert!(plain == fast);
                equal::at(Level::Plain, &sums, threshold, &mut plain.words);
                equal::at(level, &sums, threshold, &mut fast.words);
                assert!(plain == fast);
                let [mut plain_same, mut fast_same] = [Block::zero(), Block::zero()];
                let (a, b) = (&mut plain.words, &mut plain_same.words);
                compare::at(Level::Plain, &sums, &planes, threshold, 12, a, b);
                let (a, b) = (&mut fast.words, &mut fast_same.words);
                compare::at(level, &sums, &planes, threshold, 12, a, b);
                assert!(plain == fast && plain_same == fast_same);
            }
        }
    }
}

#[test]
fn masked_kernels_agree() {
    let mut seed = StdRng::seed_from_u64(3);
    for round in 0..60 {
        let a = random(&mut seed);
        let mut mask: Mask = std::array::from_fn(|_| seed.random());
        if round % 3 == 0 {
            mask = std::array::from_fn(|_| u8::from(seed.random_bool(0.2)));
        }
        let promised: u32 = mask.iter().map(|mask| mask.count_ones()).sum();
        // Sometimes fewer bytes than the mask promises: they count as zeros.
        let there = if round % 4 == 0 { seed.random_range(0..=promised) } else { promised };
        let bytes: Vec<u8> = (0..there).map(|_| seed.random()).collect();
        let mut expected = Block::zero();
        unmask::at(Level::Plain, &mut expected.words, &mask, &bytes);
        let set = (0..8192).filter(|byte| mask[byte / 8] >> (byte % 8) & 1 == 1);
        for (byte, value) in set.zip(bytes.iter().copied().chain(std::iter::repeat(0))) {
            assert_eq!(expected.as_bytes()[byte], value);
        }
        for level in variants().into_iter().chain([Level::Plain]) {
            let check = |kernel: fn(Level, &mut Words, &Mask, &[u8]), wanted: fn(u64, u64) -> u64| {
                let mut out = a.clone();
                kernel(level, &mut out.words, &mask, &bytes);
                assert!(out.words == std::array::from_fn(|i| wanted(a.words[i], expected.words[i])));
            };
            check(unmask::at, |_, b| b);
            check(or_masked::at, |a, b| a | b);
            check(and_masked::at, |a, b| a & b);
            check(and_not_masked::at, |a, b| a & !b);
            let both = a.words.iter().zip(&expected.words).map(|(a, b)| (a & b).count_ones());
            assert_eq!(and_count_masked::at(level, &a.words, &mask, &bytes), both.sum::<u32>());
        }
    }
}

#[test]
fn byte_kernels_agree() {
    let mut seed = StdRng::seed_from_u64(4);
    for _ in 0..200 {
        let bytes: [u8; 64] = std::array::from_fn(|_| seed.random());
        let (low, high) = (seed.random(), seed.random());
        let between = |at: &[u8; 64]| {
            at.iter().rev().fold(0, |word, byte| word << 1 | u64::from(low <= *byte && *byte <= high))
        };
        for level in variants().into_iter().chain([Level::Plain]) {
            assert_eq!(bytes_between(level, &bytes, low, high), between(&bytes));
            for k in 0..8 {
                let bits = bytes.iter().rev().fold(0, |word, byte| word << 1 | u64::from(byte >> k & 1));
                assert_eq!(bytes_with_bit(level, &bytes, k), bits);
            }
        }
    }
}
