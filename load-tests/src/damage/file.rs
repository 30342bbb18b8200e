//! Damage behind the checksums: a file of the store is taken apart, changed, and put together so that
//! every checksum holds. Knows the layouts of sealed files and of the manifest by itself, so that a change
//! of the format shows here.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedMutRandom, IndexedRandom};
use xxhash_rust::xxh3::xxh3_64;

use super::bytes::change;
use super::json;

const HEAD: usize = 8;
const ROW: usize = 40;
const FOOTER: usize = 32;
/// Hex digits of the manifest's checksum, and a newline.
const SUM: usize = 17;
/// The kind of the section that holds JSON.
const META: u32 = 1;

#[derive(Clone)]
struct Section {
    kind: u32,
    bucket: u32,
    key: i64,
    bytes: Vec<u8>,
}

/// The file with other contents and right checksums. `other` is some file of the store, to take from.
pub fn hostile(rng: &mut StdRng, whole: &[u8], other: &[u8]) -> Vec<u8> {
    if !whole.starts_with(b"MUSTRF") {
        return hostile_manifest(rng, &whole[SUM..]);
    }
    let mut parts = sections(whole);
    let others = if other.starts_with(b"MUSTRF") { sections(other) } else { parts.clone() };
    for _ in 0..rng.random_range(1..=3) {
        change_sections(rng, &mut parts, &others);
    }
    assemble(rng, parts)
}

fn hostile_manifest(rng: &mut StdRng, text: &[u8]) -> Vec<u8> {
    let text = json::changed(rng, text);
    let mut bytes = format!("{:016x}\n", xxh3_64(&text)).into_bytes();
    bytes.extend(text);
    bytes
}

fn change_sections(rng: &mut StdRng, parts: &mut Vec<Section>, others: &[Section]) {
    let donor = others.get(rng.random_range(0..others.len().max(1))).cloned();
    let Some(section) = parts.choose_mut(rng) else { return };
    match rng.random_range(0..20) {
        0 => section.key = *[0, 1, -1, i64::MIN, 2].get(rng.random_range(0..5)).unwrap_or(&0),
        1 => section.bucket = rng.random_range(0..4),
        2 => {
            let kinds = [1, 10, 11, 12, 13, 20, 21, 30, 31, 32, 33, 34, 35, 36, 37, 38, 40, 41, 42, 50];
            section.kind = *kinds.choose(rng).unwrap_or(&META);
        }
        3 => section.bytes = donor.map(|donor| donor.bytes).unwrap_or_default(),
        4 => parts.extend(donor),
        5 => {
            let at = rng.random_range(0..parts.len());
            parts.swap_remove(at);
        }
        6 => {
            let at = rng.random_range(0..parts.len());
            let bytes = parts[at].bytes.clone();
            let to = rng.random_range(0..parts.len());
            parts[to].bytes = bytes;
        }
        _ => match section.kind {
            META => section.bytes = json::changed(rng, &section.bytes),
            _ => (0..rng.random_range(1..=4)).for_each(|_| change(rng, &mut section.bytes)),
        },
    }
}

fn u64_at(bytes: &[u8], index: usize) -> u64 {
    bytes[index * 8..].first_chunk().map_or(0, |number| u64::from_le_bytes(*number))
}

/// The sections of a whole file.
fn sections(file: &[u8]) -> Vec<Section> {
    let (body, footer) = file.split_at(file.len() - FOOTER);
    let rows = body[u64_at(footer, 0) as usize..].chunks_exact(ROW);
    let section = |row: &[u8]| {
        let (name, key) = (u64_at(row, 0), u64_at(row, 1) as i64);
        let (offset, length) = (u64_at(row, 2) as usize, u64_at(row, 3) as usize);
        Section {
            kind: name as u32,
            bucket: (name >> 32) as u32,
            key,
            bytes: file[offset..offset + length].to_vec(),
        }
    };
    rows.map(section).collect()
}

/// A file of the sections; at times with rows that point elsewhere, come twice or are out of order.
fn assemble(rng: &mut StdRng, mut parts: Vec<Section>) -> Vec<u8> {
    let mut file = b"MUSTRF\x01\0".to_vec();
    if rng.random_bool(0.95) {
        parts.sort_by_key(|part| (part.kind, part.bucket, part.key));
    }
    let mut rows = Vec::with_capacity(parts.len());
    for part in &parts {
        file.resize(file.len().next_multiple_of(8), 0);
        rows.push((part, file.len(), part.bytes.len()));
        file.extend(&part.bytes);
    }
    if rng.random_bool(0.1)
        && let Some((_, offset, length)) = rows.choose_mut(rng)
    {
        *offset = rng.random_range(HEAD..=file.len());
        *length = rng.random_range(0..=file.len() - *offset);
    }
    let start = file.len();
    for (part, offset, length) in rows {
        file.extend(part.kind.to_le_bytes());
        file.extend(part.bucket.to_le_bytes());
        file.extend(part.key.to_le_bytes());
        let sum = xxh3_64(&file[offset..offset + length]);
        [offset as u64, length as u64, sum].iter().for_each(|number| file.extend(number.to_le_bytes()));
    }
    let sum = xxh3_64(&file[start..]);
    [start as u64, parts.len() as u64, sum].iter().for_each(|number| file.extend(number.to_le_bytes()));
    file.extend(b"MUSTREND");
    file
}
