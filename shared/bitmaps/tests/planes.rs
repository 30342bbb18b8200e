//! Bit-plane sums and comparisons against plain 128-bit arithmetic.

mod samples;

use muster_bitmaps::{BitmapView, Block, Planes, compare_difference, compare_planes};
use rand::{Rng, SeedableRng, rngs::StdRng};

const POSITIONS: usize = 65_536;

fn check(planes: &Planes, expected: &[u128]) {
    for (position, expected) in expected.iter().enumerate() {
        assert_eq!(planes.value_at(position as u16), *expected, "position {position}");
    }
}

fn check_set(block: &Block, expected: impl Fn(usize) -> bool) {
    for position in 0..POSITIONS {
        assert_eq!(block.contains(position as u16), expected(position), "position {position}");
    }
}

/// Adds a random number of random bitmaps per bit to both.
fn add_random(random: &mut StdRng, planes: &mut Planes, expected: &mut [u128], width: usize) {
    let bitmaps: Vec<_> = (0..width).map(|_| samples::portable(&samples::bitmap(random))).collect();
    let views: Vec<_> = bitmaps.iter().map(|bytes| BitmapView::parse(bytes).unwrap()).collect();
    let bits: Vec<_> = views.iter().map(|view| view.container(0)).collect();
    planes.add_planes(&bits);
    for (k, bits) in bits.iter().enumerate() {
        if let Some(bits) = bits {
            bits.for_each(|position| expected[usize::from(position)] += 1 << k);
        }
    }
}

/// Sums of everything that can be added, in random order.
fn random_sums(random: &mut StdRng, planes: &mut Planes) -> Vec<u128> {
    let mut expected = vec![0u128; POSITIONS];
    planes.clear();
    for _ in 0..random.random_range(1..10) {
        let width = random.random_range(0..8);
        add_random(random, planes, &mut expected, width);
        if random.random_bool(0.3) {
            let constant = random.random_range(0..1_000);
            planes.add_constant(constant);
            expected.iter_mut().for_each(|number| *number += constant);
        }
        for _ in 0..random.random_range(0..5) {
            let (position, value) = (random.random_range(0..65_535), random.random_range(0..100_000));
            planes.add_at(position, value);
            expected[usize::from(position)] += u128::from(value);
        }
        let one = samples::portable(&samples::bitmap(random));
        if let Some(container) = BitmapView::parse(&one).unwrap().container(0) {
            planes.add_one(&container);
            container.for_each(|position| expected[usize::from(position)] += 1);
        }
    }
    expected
}

#[test]
fn sums_and_thresholds() {
    let mut random = StdRng::seed_from_u64(1);
    let mut planes = Planes::new();
    let mut out = Block::boxed();
    for _ in 0..20 {
        let expected = random_sums(&mut random, &mut planes);
        check(&planes, &expected);
        let largest = expected.iter().max().copied().unwrap_or(0);
        assert!(planes.depth() == 0 || largest < 1 << planes.depth());
        for _ in 0..8 {
            let threshold = expected[random.random_range(0..POSITIONS)] + random.random_range(0..2);
            planes.at_least(threshold, &mut out);
            check_set(&out, |position| expected[position] >= threshold);
            planes.equal(threshold, &mut out);
            check_set(&out, |position| expected[position] == threshold);
        }
        for threshold in [0, largest, largest + 1, u128::MAX] {
            planes.at_least(threshold, &mut out);
            check_set(&out, |position| expected[position] >= threshold);
            planes.equal(threshold, &mut out);
            check_set(&out, |position| expected[position] == threshold);
        }
    }
}

#[test]
fn signed_sums_against_constants() {
    let mut random = StdRng::seed_from_u64(2);
    let (mut positive, mut negative) = (Planes::new(), Planes::new());
    let (mut greater, mut equal) = (Block::boxed(), Block::boxed());
    for _ in 0..8 {
        let above = random_sums(&mut random, &mut positive);
        let below = random_sums(&mut random, &mut negative);
        compare_planes(&positive, &negative, &mut greater, &mut equal);
        check_set(&greater, |position| above[position] > below[position]);
        check_set(&equal, |position| above[position] == below[position]);
        let difference = |position: usize| above[position] as i128 - below[position] as i128;
        let mut constants = vec![0, 1, -1, i128::MAX, i128::MIN, i64::MIN.into(), i64::MAX.into()];
        constants.extend((0..6).map(|_| difference(random.random_range(0..POSITIONS))));
        for constant in constants {
            compare_difference(&positive, &negative, constant, &mut greater, &mut equal);
            check_set(&greater, |position| difference(position) > constant);
            check_set(&equal, |position| difference(position) == constant);
        }
    }
}

#[test]
fn extremes() {
    let mut planes = Planes::new();
    let mut out = Block::boxed();
    check(&planes, &[0; POSITIONS]);
    planes.at_least(0, &mut out);
    assert_eq!(out.count(), Block::BITS);
    planes.equal(0, &mut out);
    assert_eq!(out.count(), Block::BITS);
    planes.at_least(1, &mut out);
    assert!(out.is_empty());

    for _ in 0..1_000 {
        planes.add_at(65_535, u64::MAX);
    }
    assert_eq!(planes.value_at(65_535), 1_000 * u128::from(u64::MAX));
    planes.at_least(1_000 * u128::from(u64::MAX), &mut out);
    assert_eq!(out.iter().collect::<Vec<_>>(), [65_535]);

    // Past 128 bits the sums still compare exactly; only reading one saturates.
    planes.clear();
    planes.add_constant(u128::MAX);
    planes.add_at(3, 1);
    assert_eq!(planes.depth(), 129);
    assert_eq!((planes.value_at(3), planes.value_at(4)), (u128::MAX, u128::MAX));
    planes.equal(u128::MAX, &mut out);
    assert_eq!((out.count(), out.contains(3)), (65_535, false));
    planes.at_least(u128::MAX, &mut out);
    assert_eq!(out.count(), Block::BITS);
    let mut equal = Block::boxed();
    compare_difference(&Planes::new(), &planes, i128::MIN, &mut out, &mut equal);
    assert!(out.is_empty() && equal.is_empty());

    // What was left behind by wider sums is not seen after `clear`.
    planes.clear();
    planes.add_constant(1);
    planes.add_constant(1);
    check(&planes, &[2; POSITIONS]);
    planes.add_constant(0);
    planes.add_planes(&[]);
    planes.add_planes(&[None, None]);
    check(&planes, &[2; POSITIONS]);
}
