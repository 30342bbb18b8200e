//! Damage to plain bytes.

use rand::Rng;
use rand::rngs::StdRng;

/// Half of all damage goes here: headers, counts and lengths come first in most formats.
const HEAD: usize = 64;

/// What disks, crashes and copies do to a file: other bytes than the whole one has.
pub fn torn(rng: &mut StdRng, whole: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    for _ in 0..rng.random_range(1..=3) {
        let at = place(rng, bytes.len());
        match rng.random_range(0..12) {
            0 => bytes.truncate(at),
            1 => bytes[at..].fill(0),
            // A block that never reached the disk, and one that belongs to another file.
            2 => {
                let page = page(rng, bytes.len());
                bytes[page].fill(0);
            }
            3 => {
                let page = page(rng, bytes.len().min(other.len()));
                bytes[page.clone()].copy_from_slice(&other[page]);
            }
            4 => bytes.splice(at.., other[at.min(other.len())..].iter().copied()).for_each(drop),
            5 => header(rng, &mut bytes),
            _ => change(rng, &mut bytes),
        }
        if bytes.is_empty() {
            return bytes;
        }
    }
    if bytes == whole {
        bytes.push(0);
    }
    bytes
}

/// One change anywhere: a bit, a number, a stretch, the length.
pub fn change(rng: &mut StdRng, bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return bytes.extend((0..rng.random_range(1..40)).map(|_| rng.random::<u8>()));
    }
    let at = place(rng, bytes.len());
    let stretch = at..bytes.len().min(at + rng.random_range(1..64));
    match rng.random_range(0..12) {
        0..3 => bytes[at] ^= 1 << rng.random_range(0..8),
        3 => bytes[at] = rng.random(),
        4..7 => number(rng, bytes, at),
        7 => bytes[stretch].fill(*[0, 0xff].get(rng.random_range(0..2)).unwrap_or(&1)),
        8 => {
            let to = rng.random_range(0..=bytes.len() - stretch.len());
            bytes.copy_within(stretch, to);
        }
        9 => drop(bytes.drain(stretch)),
        10 => {
            let more = bytes[stretch].to_vec();
            bytes.splice(at..at, more).for_each(drop);
        }
        _ => match rng.random_bool(0.5) {
            true => bytes.truncate(at),
            false => bytes.extend((0..rng.random_range(1..20)).map(|_| rng.random::<u8>())),
        },
    }
}

/// A number that something may trust too much, written over what is there.
fn number(rng: &mut StdRng, bytes: &mut [u8], at: usize) {
    let width = [1, 2, 4, 8][rng.random_range(0..4)];
    let length = bytes.len() as u64;
    let edges = [
        0,
        1,
        2,
        0x7f,
        0x80,
        0xffff,
        0x1_0000,
        1 << 31,
        u64::MAX,
        u64::MAX >> 1,
        length,
        length - 1,
        length / 4,
    ];
    let number = match rng.random_range(0..3) {
        0 => rng.random(),
        1 => rng.random_range(0..300),
        _ => edges[rng.random_range(0..edges.len())],
    };
    // Fields are mostly aligned.
    let at = if rng.random_bool(0.7) { at - at % width } else { at };
    let end = bytes.len().min(at + width);
    bytes[at..end].copy_from_slice(&number.to_le_bytes()[..end - at]);
}

/// Magic, version, or a field of the footer.
fn header(rng: &mut StdRng, bytes: &mut [u8]) {
    let foot = bytes.len().saturating_sub(32);
    let at = match rng.random_bool(0.3) {
        true => rng.random_range(0..bytes.len().min(8)),
        false => rng.random_range(foot..bytes.len()),
    };
    number(rng, bytes, at);
}

fn place(rng: &mut StdRng, length: usize) -> usize {
    let within = if rng.random_bool(0.5) { length.min(HEAD) } else { length };
    rng.random_range(0..within)
}

fn page(rng: &mut StdRng, length: usize) -> std::ops::Range<usize> {
    let size = [512, 4096][rng.random_range(0..2)];
    let start = rng.random_range(0..=length / size) * size;
    start.min(length)..length.min(start + size)
}
