//! Views of portable bytes against roaring itself, and against bytes that lie.

mod samples;

use muster_bitmaps::{BitmapView, Container, encode};
use rand::{Rng, SeedableRng, rngs::StdRng};
use roaring::RoaringBitmap;

/// Every answer of the view against the bitmap it was written from.
fn check(bitmap: &RoaringBitmap, view: BitmapView<'_>, random: &mut StdRng) {
    assert_eq!(view.len(), bitmap.len());
    assert_eq!(view.is_empty(), bitmap.is_empty());
    assert_eq!(&view.to_roaring().unwrap(), bitmap);
    let mut positions = Vec::new();
    for (key, container) in view.containers() {
        let base = u32::from(key) << 16;
        let before = positions.len();
        container.for_each(|position| positions.push(base | u32::from(position)));
        let count = (positions.len() - before) as u32;
        assert_eq!((container.count(), view.cardinality(key)), (count, count));
        let mut found = 0;
        view.container(key).unwrap().for_each(|_| found += 1);
        assert_eq!(found, count);
    }
    assert!(bitmap.iter().eq(positions.iter().copied()));
    let probes = (0..200).map(|_| random.random_range(0..1_200_000));
    for probe in probes.chain(positions.iter().copied().step_by(97)).chain([0, u32::MAX]) {
        assert_eq!(view.contains(probe), bitmap.contains(probe), "{probe}");
    }
    let keys: Vec<u16> = view.containers().map(|(key, _)| key).collect();
    for key in (0..20).filter(|key| !keys.contains(key)) {
        assert!(view.container(key).is_none());
        assert_eq!(view.cardinality(key), 0);
    }
}

#[test]
fn a_view_says_what_the_bitmap_says() {
    let mut random = StdRng::seed_from_u64(1);
    let mut seen = [false; 4];
    for round in 0..400 {
        let bitmap = samples::bitmap(&mut random);
        let mut bytes = if round % 2 == 0 { samples::portable(&bitmap) } else { encode(&bitmap) };
        let length = bytes.len();
        bytes.extend([0xab; 5]);
        // An odd start, so that nothing relies on alignment.
        bytes.insert(0, 0);
        for view in [BitmapView::parse(&bytes[1..]), BitmapView::parse_trusted(&bytes[1..])] {
            let view = view.unwrap();
            assert_eq!(view.byte_len(), length);
            assert_eq!(view.bytes(), &bytes[1..1 + length]);
            check(&bitmap, view, &mut random);
            for (_, container) in view.containers() {
                match container {
                    Container::Array(_) => seen[0] = true,
                    Container::Bits(_) => seen[1] = true,
                    Container::Runs(_) => seen[2] = true,
                    Container::Masked { .. } => seen[3] = true,
                }
            }
        }
    }
    assert_eq!(seen, [true; 4]);
}

#[test]
fn every_number_of_containers_around_the_offset_rule() {
    let mut random = StdRng::seed_from_u64(2);
    for count in 1..=9 {
        for runs in [false, true] {
            let mut bitmap: RoaringBitmap = (0..count).map(|n| n << 16 | 5).collect();
            if runs {
                bitmap.insert_range(100..5_000);
                bitmap.optimize();
            }
            let bytes = samples::portable(&bitmap);
            check(&bitmap, BitmapView::parse(&bytes).unwrap(), &mut random);
        }
    }
    check(&RoaringBitmap::new(), BitmapView::empty(), &mut random);
    check(&RoaringBitmap::new(), BitmapView::parse(BitmapView::empty().bytes()).unwrap(), &mut random);
    let full = RoaringBitmap::full();
    for bytes in [samples::portable(&full), encode(&full)] {
        let view = BitmapView::parse(&bytes).unwrap();
        assert_eq!((view.len(), view.container_count()), (1 << 32, 65_536));
    }
}

/// Bytes of one masked container in the store's own format.
fn masked(cardinality: u16, mask: [u8; 2], bytes: &[u8]) -> Vec<u8> {
    let mut own = vec![0x3c, 0x30, 0, 0, 3, 0, 0];
    own.extend((cardinality - 1).to_le_bytes());
    let head = own.len() as u32 + 8;
    own.extend(head.to_le_bytes());
    own.extend((head + 1024 + bytes.len() as u32).to_le_bytes());
    own.extend(mask);
    own.extend([0; 1022]);
    own.extend(bytes);
    own
}

#[test]
fn lies_in_the_own_format_are_found() {
    let refused = |bytes: &[u8]| BitmapView::parse(bytes).unwrap_err().0;
    let good = masked(3, [0b10, 1], &[0b101, 0b1]);
    assert_eq!(BitmapView::parse(&good).unwrap().to_roaring().unwrap(), [8, 10, 64].into_iter().collect());
    let mismatch = "the bytes of a masked container are not those of its mask";
    assert_eq!(refused(&masked(3, [0b10, 0], &[0b101, 0b1])), mismatch);
    assert_eq!(refused(&masked(3, [0b110, 1], &[0b101, 0b1])), mismatch);
    assert_eq!(refused(&masked(2, [0b10, 1], &[0b101, 0])), mismatch);
    assert_eq!(refused(&masked(4, [0b10, 1], &[0b101, 0b1])), "a cardinality does not match its container");
    assert_eq!(refused(&good[..good.len() - 1]), "the bytes end too early");
    let with = |at: usize, byte: u8| {
        let mut bytes = good.clone();
        bytes[at] = byte;
        refused(&bytes)
    };
    assert_eq!(with(4, 4), "unknown kind of container");
    assert_eq!(with(9, 18), "an offset does not point behind the container before");
    assert_eq!(with(14, 0), "the bytes end too early");
    assert_eq!(with(4, 0), "the last offset does not point behind the last container");
}

/// Bytes of one container under cookie 12347 as a run container.
fn runs(cardinality: u16, pairs: &[[u16; 2]]) -> Vec<u8> {
    let mut bytes = vec![0x3b, 0x30, 0, 0, 1, 0, 0];
    bytes.extend((cardinality - 1).to_le_bytes());
    bytes.extend((pairs.len() as u16).to_le_bytes());
    pairs.iter().flatten().for_each(|number| bytes.extend(number.to_le_bytes()));
    bytes
}

/// Bytes of one array container under cookie 12346.
fn array(positions: &[u16]) -> Vec<u8> {
    let mut bytes = vec![0x3a, 0x30, 0, 0, 1, 0, 0, 0, 0, 0];
    bytes.extend((positions.len() as u16 - 1).to_le_bytes());
    bytes.extend(16u32.to_le_bytes());
    positions.iter().for_each(|position| bytes.extend(position.to_le_bytes()));
    bytes
}

#[test]
fn lies_are_found() {
    let refused = |bytes: &[u8]| BitmapView::parse(bytes).unwrap_err().0;
    assert!(BitmapView::parse(&runs(6, &[[1, 2], [5, 2]])).is_ok());
    assert!(BitmapView::parse(&array(&[1, 2, 9])).is_ok());

    assert_eq!(refused(&[]), "the bytes end too early");
    assert_eq!(refused(&[1, 2, 3, 4]), "unknown cookie");
    assert_eq!(refused(&[0x3a, 0x30, 0, 0, 1, 0, 1, 0]), "more than 65536 containers");
    assert_eq!(refused(&array(&[1, 2, 9])[..21]), "the bytes end too early");
    assert_eq!(refused(&array(&[1, 9, 2])), "an array does not ascend");
    assert_eq!(refused(&array(&[1, 1])), "an array does not ascend");
    let bad_runs = "runs overlap, touch, do not ascend or leave the block";
    for pairs in [[[5, 2], [1, 2]], [[1, 2], [3, 2]], [[1, 2], [4, 2]], [[1, 2], [65_534, 2]]] {
        assert_eq!(refused(&runs(6, &pairs)), bad_runs, "{pairs:?}");
    }
    assert_eq!(refused(&runs(5, &[[1, 2], [5, 2]])), "a cardinality does not match its container");
    assert_eq!(refused(&runs(5, &[])), "a cardinality does not match its container");
    let mut moved = array(&[1, 2]);
    moved[12] += 1;
    assert_eq!(refused(&moved), "an offset does not point behind the container before");

    let bits: RoaringBitmap = (0..5_000).map(|n| n * 3).collect();
    let mut bytes = samples::portable(&bits);
    *bytes.last_mut().unwrap() ^= 1;
    assert_eq!(refused(&bytes), "a cardinality does not match its container");
    let mut keys = samples::portable(&[1u32, 1 << 16].into_iter().collect());
    keys[12] = 0;
    assert_eq!(refused(&keys), "container keys do not ascend");
}

/// Uses everything a view offers; only a panic or an endless loop can fail here.
fn exercise(view: BitmapView<'_>) -> u64 {
    let mut total = view.len();
    for (key, container) in view.containers() {
        container.for_each(|position| total += u64::from(position));
        total += u64::from(container.count() + view.cardinality(key));
        total += u64::from(container.contains(7)) + u64::from(view.container(key).is_some());
    }
    for position in [0, 1, 65_536, 131_072, u32::MAX] {
        total += u64::from(view.contains(position));
    }
    total + view.to_roaring().map_or(0, |bitmap| bitmap.len())
}

#[test]
fn no_bytes_make_it_panic() {
    let mut random = StdRng::seed_from_u64(3);
    let (mut accepted, mut trusted) = (0, 0);
    for round in 0..40_000 {
        let mut bytes = match round % 4 {
            0 => (0..random.random_range(0..64)).map(|_| random.random()).collect(),
            _ => samples::portable(&samples::small_bitmap(&mut random)),
        };
        if round % 4 == 0 && bytes.len() > 4 {
            bytes[..4].copy_from_slice(&[0x3a + (round / 4 % 2) as u8, 0x30, 0, 0]);
        } else {
            samples::mutate(&mut random, &mut bytes);
        }
        if let Ok(view) = BitmapView::parse_trusted(&bytes) {
            trusted += 1;
            exercise(view);
        }
        if round % 8 == 1 {
            let mut own = encode(&samples::bitmap(&mut random));
            samples::mutate(&mut random, &mut own);
            BitmapView::parse_trusted(&own).into_iter().for_each(|view| _ = exercise(view));
        }
        if let Ok(view) = BitmapView::parse(&bytes) {
            accepted += 1;
            // What passed every check is what roaring reads, position by position.
            let bitmap = view.to_roaring().unwrap();
            assert_eq!(bitmap.len(), view.len());
            assert_eq!(RoaringBitmap::deserialize_from(&bytes[..]).unwrap(), bitmap);
            exercise(view);
        }
    }
    assert!(accepted > 1_000 && trusted > accepted, "{accepted} accepted, {trusted} trusted");
}
