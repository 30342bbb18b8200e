//! Random bitmaps of every shape that containers come in, and mutated bytes. Seeded, so that a
//! failure repeats.
#![allow(dead_code, reason = "each test file uses its part")]

use rand::{Rng, rngs::StdRng};
use roaring::RoaringBitmap;

/// Up to eight blocks, each an array, bits or runs; half of the bitmaps with run containers.
pub fn bitmap(random: &mut StdRng) -> RoaringBitmap {
    let mut bitmap = RoaringBitmap::new();
    let mut key = 0;
    for _ in 0..random.random_range(0..8) {
        key += random.random_range(0..3);
        fill_block(random, &mut bitmap, key << 16);
        key += 1;
    }
    if random.random_bool(0.1) {
        fill_block(random, &mut bitmap, 0xffff << 16);
    }
    if random.random() {
        bitmap.optimize();
    } else {
        bitmap.remove_run_compression();
    }
    bitmap
}

fn fill_block(random: &mut StdRng, bitmap: &mut RoaringBitmap, base: u32) {
    match random.random_range(0..6) {
        0 => {
            bitmap.insert_range(base..=base | 0xffff);
        }
        1 => {
            for _ in 0..random.random_range(1..20) {
                let first = random.random_range(0..65_536);
                let last = (first + random.random_range(0..3_000)).min(65_535);
                bitmap.insert_range(base + first..=base + last);
            }
        }
        2 => bitmap.extend([base, base + 63, base + 64, base + 65_535]),
        // Around the 4,096 positions where arrays become bits.
        3 => bitmap.extend((0..random.random_range(4_095..4_098)).map(|n| base + n * 15)),
        _ => {
            let count = random.random_range(1..12_000);
            bitmap.extend((0..count).map(|_| base + random.random_range(0..65_536)));
        }
    }
}

pub fn portable(bitmap: &RoaringBitmap) -> Vec<u8> {
    let mut bytes = Vec::new();
    bitmap.serialize_into(&mut bytes).unwrap();
    bytes
}

/// A bitmap of few bytes, so that mutations hit its header often.
pub fn small_bitmap(random: &mut StdRng) -> RoaringBitmap {
    let mut bitmap = RoaringBitmap::new();
    for _ in 0..random.random_range(0..8) {
        let first = random.random_range(0..400_000);
        bitmap.insert_range(first..first + random.random_range(1..12));
    }
    bitmap.optimize();
    bitmap
}

/// Changes, inserts, removes or cuts a few bytes.
pub fn mutate(random: &mut StdRng, bytes: &mut Vec<u8>) {
    for _ in 0..random.random_range(1..4) {
        if bytes.is_empty() {
            return;
        }
        let at = random.random_range(0..bytes.len());
        match random.random_range(0..8) {
            0 => bytes.truncate(at),
            1 => bytes.insert(at, random.random()),
            2 => {
                bytes.remove(at);
            }
            3 => bytes[at] = 0xff,
            4 => bytes[at] ^= 1 << random.random_range(0..8),
            5 => bytes[at] = bytes[at].wrapping_add(1),
            _ => bytes[at] = random.random(),
        }
    }
}
