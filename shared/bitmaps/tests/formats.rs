//! ClickHouse bytes and bit-sliced columns: round trips, golden files, and bytes that lie.

mod samples;

use std::collections::BTreeMap;

use muster_bitmaps::clickhouse::{self, Runs};
use muster_bitmaps::{BitmapView, Planes, SlicesView, encode, slices};
use rand::{Rng, SeedableRng, rngs::StdRng};
use roaring::RoaringBitmap;

fn golden(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/golden/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

#[test]
fn clickhouse_round_trips() {
    let mut random = StdRng::seed_from_u64(1);
    let few = (0..70).map(|count| (0..count).map(|n| n * 70_001).collect());
    let many = (0..100).map(|_| samples::bitmap(&mut random));
    for bitmap in few.chain(many).collect::<Vec<RoaringBitmap>>() {
        for runs in [Runs::Allowed, Runs::Never] {
            let mut bytes = clickhouse::encode(&bitmap, runs);
            let length = bytes.len();
            assert_eq!(bytes[0], u8::from(bitmap.len() > 32));
            bytes.extend([1, 2, 3]);
            assert_eq!(clickhouse::decode(&bytes).unwrap(), (bitmap.clone(), length));
        }
    }
    let run: RoaringBitmap = (5..100_000).collect();
    let size = |runs| clickhouse::encode(&run, runs).len();
    assert!(size(Runs::Allowed) < 40 && size(Runs::Never) > 16_000);
}

#[test]
fn clickhouse_golden_files_still_read() {
    let read = |name: &str| {
        let bytes = golden(name);
        let (bitmap, length) = clickhouse::decode(&bytes).unwrap();
        assert_eq!(length, bytes.len());
        bitmap
    };
    let thirds = |base: u32| (0..65_536).step_by(3).map(move |n| base + n);
    assert_eq!(read("clickhouse-small.bin"), [1, 5, 70_000, u32::MAX].into_iter().collect());
    let plain = [1, 5, 65_535].into_iter().chain(thirds(3 << 16)).collect();
    assert_eq!(read("clickhouse-plain.bin"), plain);
    let runs = (10..=20).chain(30..=65_535).chain([(3 << 16) + 7]).collect();
    assert_eq!(read("clickhouse-runs.bin"), runs);
    let offsets = (0..=65_535).chain([(1 << 16) + 7]).chain(thirds(2 << 16)).chain([9 << 16]);
    assert_eq!(read("clickhouse-runs-offsets.bin"), offsets.chain(u32::MAX - 535..=u32::MAX).collect());
}

#[test]
fn clickhouse_refuses() {
    for bytes in
        [&[][..], &[2, 0], &[0], &[0, 33], &[0, 1, 1, 2, 3], &[1, 9, 0x3a, 0x30, 0, 0, 0, 0, 0, 0, 0]]
    {
        assert!(clickhouse::decode(bytes).is_err(), "{bytes:?}");
    }
    assert!(clickhouse::decode(&[[0].as_slice(), &[0xff; 9], &[2]].concat()).is_err());
    assert!(clickhouse::decode(&[[1].as_slice(), &[0xff; 9], &[1]].concat()).is_err());
    assert_eq!(clickhouse::decode(&[0, 0]).unwrap(), (RoaringBitmap::new(), 2));
}

/// Sorted pairs over a few blocks, of all sizes of values.
fn pairs(random: &mut StdRng) -> BTreeMap<u32, i64> {
    let bitmap = samples::bitmap(random);
    let bits = random.random_range(0..=64);
    let signs = random.random_range(0..3);
    let value = |random: &mut StdRng| {
        let value = random.random::<u64>().checked_shr(64 - bits).unwrap_or(0) as i64;
        match signs {
            0 => value.saturating_abs(),
            1 => value.wrapping_neg(),
            _ => value.wrapping_mul(random.random_range(-1..=1)),
        }
    };
    let mut pairs: BTreeMap<u32, i64> = bitmap.iter().step_by(7).map(|p| (p, value(random))).collect();
    pairs.extend([(8, i64::MIN), (9, i64::MAX), (10, 0), (11, -1)].into_iter().filter(|_| random.random()));
    pairs
}

#[test]
fn slices_say_what_was_written() {
    let mut random = StdRng::seed_from_u64(2);
    let (mut positive, mut negative) = (Planes::new(), Planes::new());
    for _ in 0..40 {
        let (first, second) = (pairs(&mut random), pairs(&mut random));
        let encoded = [&first, &second].map(|pairs| slices::encode(pairs.clone()).unwrap());
        let views = encoded.each_ref().map(|bytes| SlicesView::parse(bytes).unwrap());
        for (view, pairs) in views.iter().zip([&first, &second]) {
            assert_eq!(view.len(), pairs.len() as u64);
            assert_eq!(view.exists().to_roaring().unwrap(), pairs.keys().copied().collect());
            pairs.iter().for_each(|(position, value)| assert_eq!(view.value_at(*position), Some(*value)));
            let absent = (0..2_000).map(|n| n * 301).filter(|position| !pairs.contains_key(position));
            absent.for_each(|position| assert_eq!(view.value_at(position), None));
        }
        for key in [0, 1, 2, 3, 65_535] {
            positive.clear();
            negative.clear();
            views.iter().for_each(|view| view.add_block(key, &mut positive, &mut negative));
            for position in 0..=65_535u16 {
                let at = u32::from(key) << 16 | u32::from(position);
                let value = |pairs: &BTreeMap<u32, i64>| i128::from(pairs.get(&at).copied().unwrap_or(0));
                let sum = positive.value_at(position) as i128 - negative.value_at(position) as i128;
                assert_eq!(sum, value(&first) + value(&second), "position {at}");
            }
        }
    }
}

#[test]
fn slices_golden_file_still_reads() {
    let bytes = golden("slices.bin");
    let expected = [
        (0, 0),
        (1, 1),
        (2, -1),
        (3, i64::MAX),
        (4, i64::MIN),
        (65_535, 300),
        (65_536, -300),
        (200_000, 7),
        (u32::MAX, -5),
    ];
    for view in [SlicesView::parse(&bytes), SlicesView::parse_trusted(&bytes)] {
        let view = view.unwrap();
        assert_eq!((view.len(), view.positive_planes().len(), view.negative_planes().len()), (9, 63, 64));
        expected.iter().for_each(|(position, value)| assert_eq!(view.value_at(*position), Some(*value)));
        assert_eq!(view.value_at(5), None);
    }
}

#[test]
fn slices_refuse() {
    assert_eq!(slices::encode([(3, 1), (3, 2)]).unwrap_err().0, 3);
    assert_eq!(slices::encode([(3, 1), (2, 2)]).unwrap_err().0, 2);
    let empty = slices::encode([]).unwrap();
    assert!(SlicesView::parse(&empty).unwrap().is_empty());
    assert!(SlicesView::parse(&[empty, vec![0]].concat()).is_err());

    let check = |reason: &str, count: u64, signs: [u8; 2], bitmaps: &[&[u32]]| {
        let bitmaps: Vec<_> =
            bitmaps.iter().map(|positions| samples::portable(&positions.iter().copied().collect())).collect();
        let mut bytes = [b"MSL1".as_slice(), &signs, &[0, 0], &count.to_le_bytes()].concat();
        bitmaps.iter().for_each(|bitmap| bytes.extend((bitmap.len() as u32).to_le_bytes()));
        bytes.extend(bitmaps.concat());
        assert_eq!(SlicesView::parse(&bytes).err().map_or("", |malformed| malformed.0), reason);
    };
    check("", 2, [1, 1], &[&[1, 2], &[1], &[2]]);
    check("a column's count is wrong", 3, [1, 1], &[&[1, 2], &[1], &[2]]);
    check("a plane has a position without a value", 2, [1, 1], &[&[1, 2], &[1], &[3]]);
    check("a plane has a position without a value", 2, [1, 1], &[&[1, 2], &[1], &[1 << 20]]);
    check("a position has both signs", 2, [1, 1], &[&[1, 2], &[1], &[1]]);
    let mut planes: Vec<&[u32]> = vec![&[]; 65];
    (planes[0], planes[64]) = (&[1], &[1]);
    check("", 1, [0, 64], &planes);
    planes[7] = &[1];
    check("a value lies below the smallest 64-bit integer", 1, [0, 64], &planes);
}

#[test]
fn no_bytes_make_a_format_panic() {
    let mut random = StdRng::seed_from_u64(3);
    let (mut positive, mut negative) = (Planes::new(), Planes::new());
    let mut accepted = [0; 3];
    let mut answered = 0;
    for _ in 0..5_000 {
        let bitmap = samples::small_bitmap(&mut random);
        let values = bitmap.iter().map(|position| (position, random.random_range(-9..9)));
        let column = slices::encode(values.collect::<Vec<_>>()).unwrap();
        let aggregate = clickhouse::encode(&bitmap, Runs::Allowed);
        for _ in 0..20 {
            let mut bytes = aggregate.clone();
            samples::mutate(&mut random, &mut bytes);
            if let Ok((_, length)) = clickhouse::decode(&bytes) {
                assert!(length <= bytes.len());
                accepted[0] += 1;
            }
            let mut bytes = column.clone();
            samples::mutate(&mut random, &mut bytes);
            accepted[1] += usize::from(SlicesView::parse(&bytes).is_ok());
            if let Ok(view) = SlicesView::parse_trusted(&bytes) {
                accepted[2] += 1;
                positive.clear();
                negative.clear();
                view.add_block(0, &mut positive, &mut negative);
                answered += (0..50).filter(|position| view.value_at(*position).is_some()).count();
            }
        }
    }
    assert!(accepted.iter().all(|count| *count > 100), "{accepted:?}");
    assert!(answered > 0);
}

#[test]
fn own_format_golden_file_still_reads() {
    let bitmap = own_golden();
    for view in [BitmapView::parse(&golden("own.bin")), BitmapView::parse_trusted(&golden("own.bin"))] {
        assert_eq!(view.unwrap().to_roaring().unwrap(), bitmap);
    }
}

/// A container of each kind.
fn own_golden() -> RoaringBitmap {
    let array = (0..300).map(|n| n * 200);
    let bits = (0..65_536).step_by(3).map(|n| (1 << 16) + n);
    let runs = (2 << 16)..(2 << 16) + 30_000;
    let masked = (0..65_536).step_by(40).map(|n| (5 << 16) + n);
    array.chain(bits).chain(runs).chain(masked).collect()
}

#[test]
#[ignore = "rewrites the golden file"]
fn regold() {
    if std::env::var_os("MUSTER_REGOLD").is_some() {
        let path = format!("{}/tests/golden/own.bin", env!("CARGO_MANIFEST_DIR"));
        std::fs::write(path, encode(&own_golden())).unwrap();
    }
}
