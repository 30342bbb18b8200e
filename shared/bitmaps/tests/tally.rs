//! Sums of planes that are never written down, against plain arithmetic.

mod samples;

use muster_bitmaps::{BitmapView, Block, Tally, TallyScratch, encode};
use rand::{Rng, SeedableRng, rngs::StdRng};
use roaring::RoaringBitmap;

/// The planes of block 0 with their weights, in both formats.
fn planes(random: &mut StdRng) -> Vec<(u8, Vec<u8>)> {
    let count = random.random_range(0..40);
    let heaviest = random.random_range(0..20);
    // Few positions often, so that some blocks have nothing but arrays.
    let sparse = random.random_range(0..4);
    let mut planes = Vec::new();
    for _ in 0..count {
        let weight = random.random_range(0..=heaviest);
        let mut bitmap = match random.random_range(0..4) < sparse {
            true => (0..random.random_range(1..400)).map(|_| random.random_range(0..65_536)).collect(),
            false => samples::bitmap(random),
        };
        bitmap.remove_range(65_536..);
        let portable = random.random();
        planes.push((weight, if portable { samples::portable(&bitmap) } else { encode(&bitmap) }));
    }
    planes
}

#[test]
fn sums_and_their_comparisons() {
    let mut random = StdRng::seed_from_u64(1);
    let mut scratch = TallyScratch::default();
    let mut out = Block::boxed();
    for _ in 0..150 {
        let planes = planes(&mut random);
        let views: Vec<(u8, BitmapView<'_>)> =
            planes.iter().map(|(weight, bytes)| (*weight, BitmapView::parse(bytes).unwrap())).collect();
        let mut sums = vec![0u128; 65_536];
        for (weight, view) in &views {
            let bitmap: RoaringBitmap = view.to_roaring().unwrap();
            bitmap.iter().for_each(|position| sums[position as usize] += 1 << weight);
        }
        let tallied = |low, high, scratch: &mut TallyScratch, out: &mut Block| {
            let mut tally = Tally::new(scratch);
            for (weight, view) in &views {
                view.container(0).into_iter().for_each(|container| tally.add(*weight, container));
            }
            tally.between(low, high, out);
        };
        let some = sums[random.random_range(0..65_536)];
        for (low, high) in [
            (0, None),
            (1, None),
            (0, Some(0)),
            (some, None),
            (some, Some(some)),
            (some / 2 + 1, Some(some)),
            (some + 1, Some(some)),
            (300, Some(u128::MAX)),
            (u128::MAX, None),
        ] {
            tallied(low, high, &mut scratch, &mut out);
            for (position, sum) in sums.iter().enumerate() {
                let holds = *sum >= low && high.is_none_or(|high| *sum <= high);
                assert_eq!(out.contains(position as u16), holds, "{position}: {sum} in {low}..={high:?}");
            }
        }
    }
}
