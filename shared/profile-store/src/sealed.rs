//! Sealed files: immutable, checksummed, mapped into memory. Every data file of the store is one.
//!
//! Layout, all numbers little-endian:
//!
//! ```text
//! "MUSTRF" version:u16          version 2; 1 had bitmaps in roaring's portable format only, and
//!                               postings with whole ordinals and a pv for every row
//! sections, each starting at a multiple of 8
//! table: n × { kind:u32 bucket:u32 key:i64 offset:u64 length:u64 xxh3:u64 }, sorted by (kind, bucket, key)
//! footer: table_offset:u64 n:u64 table_xxh3:u64 "MUSTREND"
//! ```
//!
//! All checksums are checked when a file is opened, so that a damaged file is refused by its name
//! and never read as something else.

use std::fs::{self, File};
use std::io::{BufWriter, Read, Write};
use std::ops::Deref;
use std::path::{Path, PathBuf};

use memmap2::Mmap;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{AtPath, Result, StoreError};

const MAGIC: &[u8; 6] = b"MUSTRF";
const VERSION: u16 = 2;
const END: &[u8; 8] = b"MUSTREND";
const ROW: usize = 40;
const FOOTER: usize = 32;

/// What a section holds. The numbers are part of the format: add, never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u32)]
pub enum Kind {
    /// JSON that describes the file; bucket 0, key 0.
    Meta = 1,
    /// Users: `u32 × (n + 1)` offsets into `UserBytes`.
    UserOffsets = 10,
    UserBytes = 11,
    /// Users: `u64 × n` hashes, ascending.
    UserHashes = 12,
    /// Users: `u32 × n` ordinals in the order of `UserHashes`.
    UserOrdinals = 13,
    /// Labels: bitmap of the users of tag `key`.
    Tag = 20,
    /// Labels: bit-sliced weights of tag `key`.
    Weight = 21,
    /// Events: bit-sliced pv of the day per user.
    Pv = 30,
    /// Events: bit-sliced sum of measure number `key` per user.
    Measure = 31,
    /// Events: `u32 × dimensions` per tuple of dimension values: 0 = absent, else dictionary id + 1; bucket 0.
    Tuples = 32,
    /// Version 1. Events: `(tuple:u32, first row:u32)` per tuple that the bucket has rows of, ascending.
    PostingStarts = 33,
    /// Version 1. Events: `u32` ordinal per row, ascending inside a tuple.
    PostingOrdinals = 34,
    /// Events: number column `key`, see `numbers.rs`: 0 = pv of the rows that `PostingGroups` counts as others
    /// (version 1: of every row), 1 + i = measure i of every row.
    PostingNumbers = 35,
    /// Events with dimensions: `(tuple, groups, rows, others)`, u32 each, per tuple that the bucket has rows of,
    /// ascending; how many groups, rows and others there are up to the tuple's last.
    PostingTuples = 36,
    /// Events with dimensions: `u16` place inside the block per row, in the order of `PostingGroups`.
    PostingPlaces = 37,
    /// Events with dimensions: `(block, ones, twos, others)`, u16 each, per tuple and block that have rows,
    /// ascending; a block is 65,536 ordinals. So many rows have a pv of 1, of 2, and any other, and stand in this
    /// order, each of the three by place. A full block has two groups, since 65,536 does not fit.
    PostingGroups = 38,
    /// Dictionary: `u32 × (n + 1)` offsets into `ValueBytes`.
    ValueOffsets = 40,
    ValueBytes = 41,
    /// Dictionary: `u32 × n` ids in the order of their values' bytes.
    ValueOrder = 42,
    /// Cohorts: bitmap of the bucket's members.
    Members = 50,
    /// Reports: text; bucket 0, key 0.
    Report = 51,
    /// Erased users: bitmap of the bucket's ordinals that are nobody's any more.
    Erased = 60,
}

type SectionKey = (u32, u32, i64);

/// Writes a sealed file aside (`<name>.tmp`), synced and renamed by [`Writer::seal`].
pub struct Writer {
    path: PathBuf,
    aside: PathBuf,
    out: BufWriter<File>,
    at: u64,
    table: Vec<(SectionKey, u64, u64, u64)>,
}

impl Writer {
    pub fn create(path: &Path) -> Result<Writer> {
        let mut aside = path.as_os_str().to_owned();
        aside.push(".tmp");
        let aside = PathBuf::from(aside);
        let mut out = BufWriter::with_capacity(1 << 16, File::create(&aside).at(&aside)?);
        out.write_all(MAGIC).and_then(|()| out.write_all(&VERSION.to_le_bytes())).at(&aside)?;
        Ok(Writer { path: path.to_path_buf(), aside, out, at: 8, table: Vec::new() })
    }

    /// Adds a section. Each (kind, bucket, key) may be written once.
    pub fn section(&mut self, kind: Kind, bucket: u32, key: i64, bytes: &[u8]) -> Result<()> {
        let padding = (8 - self.at % 8) % 8;
        self.out
            .write_all(&[0; 8][..padding as usize])
            .and_then(|()| self.out.write_all(bytes))
            .at(&self.aside)?;
        let offset = self.at + padding;
        self.table.push(((kind as u32, bucket, key), offset, bytes.len() as u64, xxh3_64(bytes)));
        self.at = offset + bytes.len() as u64;
        Ok(())
    }

    /// Writes table and footer and renames to the final name. The file is durable only after
    /// [`sync_files`]: a publication of thousands of small files syncs them together.
    pub fn seal(mut self) -> Result<()> {
        self.table.sort_unstable();
        if self.table.windows(2).any(|pair| pair[0].0 == pair[1].0) {
            return Err(StoreError::damaged(&self.path, "a section was written twice"));
        }
        let mut tail = Vec::with_capacity(self.table.len() * ROW + FOOTER);
        for ((kind, bucket, key), offset, length, sum) in &self.table {
            tail.extend_from_slice(&kind.to_le_bytes());
            tail.extend_from_slice(&bucket.to_le_bytes());
            tail.extend_from_slice(&key.to_le_bytes());
            for number in [offset, length, sum] {
                tail.extend_from_slice(&number.to_le_bytes());
            }
        }
        let table_sum = xxh3_64(&tail);
        for number in [self.at, self.table.len() as u64, table_sum] {
            tail.extend_from_slice(&number.to_le_bytes());
        }
        tail.extend_from_slice(END);
        self.out.write_all(&tail).and_then(|()| self.out.flush()).at(&self.aside)?;
        fs::rename(&self.aside, &self.path).at(&self.path)
    }
}

/// Files beyond this number are synced with their whole file system in one call.
const SYNC_ONE_BY_ONE: usize = 64;

/// Makes sealed files and their names durable.
pub(crate) fn sync_files(folder: &Path, names: &[String]) -> Result<()> {
    let opened = File::open(folder).at(folder)?;
    if names.len() > SYNC_ONE_BY_ONE {
        return rustix::fs::syncfs(&opened).map_err(std::io::Error::from).at(folder);
    }
    for name in names {
        let path = folder.join(name);
        File::open(&path).and_then(|file| file.sync_all()).at(&path)?;
    }
    opened.sync_all().at(folder)
}

/// Smaller files are read instead of mapped: a process may map only some 65,000 regions.
const MAP_FROM: u64 = 256 * 1024;

enum Bytes {
    Mapped(Mmap),
    Read(Vec<u8>),
}

impl Bytes {
    fn open(path: &Path) -> std::io::Result<Bytes> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() < MAP_FROM {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            return Ok(Bytes::Read(bytes));
        }
        // SAFETY: files of the store are immutable: written aside, renamed into place, only ever unlinked.
        unsafe { Mmap::map(&file) }.map(Bytes::Mapped)
    }
}

impl Deref for Bytes {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Bytes::Mapped(map) => map,
            Bytes::Read(bytes) => bytes,
        }
    }
}

/// A sealed file, mapped and checked.
pub struct Sealed {
    path: PathBuf,
    map: Bytes,
    /// Sorted by key; (key, offset, length).
    table: Vec<(SectionKey, usize, usize)>,
}

impl Sealed {
    /// Maps the file and checks every byte of it that is ever read.
    pub fn open(path: &Path) -> Result<Sealed> {
        let map = Bytes::open(path).at(path)?;
        let table = read_table(&map).map_err(|broken| broken.at(path))?;
        Ok(Sealed { path: path.to_path_buf(), map, table })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn section(&self, kind: Kind, bucket: u32, key: i64) -> Option<&[u8]> {
        let wanted = (kind as u32, bucket, key);
        let row = self.table.binary_search_by_key(&wanted, |row| row.0).ok()?;
        let (_, offset, length) = self.table[row];
        Some(&self.map[offset..offset + length])
    }

    /// The section, or an error that names what is missing.
    pub fn need(&self, kind: Kind, bucket: u32, key: i64) -> Result<&[u8]> {
        let missing = || StoreError::damaged(&self.path, format!("no section {kind:?} {bucket} {key}"));
        self.section(kind, bucket, key).ok_or_else(missing)
    }

    /// The JSON of the meta section.
    pub fn meta<T: serde::de::DeserializeOwned>(&self) -> Result<T> {
        serde_json::from_slice(self.need(Kind::Meta, 0, 0)?)
            .map_err(|error| StoreError::damaged(&self.path, format!("meta section: {error}")))
    }
}

enum Broken {
    What(&'static str),
    Version(u16),
}

impl Broken {
    fn at(self, path: &Path) -> StoreError {
        match self {
            Broken::What(what) => StoreError::damaged(path, what),
            Broken::Version(found) => {
                StoreError::Newer { path: path.to_path_buf(), found: found.into(), known: VERSION.into() }
            }
        }
    }
}

fn read_table(map: &[u8]) -> std::result::Result<Vec<(SectionKey, usize, usize)>, Broken> {
    if map.len() < 8 + FOOTER || &map[..6] != MAGIC {
        return Err(Broken::What("too short or no file of the store"));
    }
    let version = u16::from_le_bytes([map[6], map[7]]);
    if version > VERSION {
        return Err(Broken::Version(version));
    }
    if version == 0 {
        return Err(Broken::What("format version 0"));
    }
    let footer = &map[map.len() - FOOTER..];
    if &footer[24..] != END {
        return Err(Broken::What("the end is missing"));
    }
    let body = &map[..map.len() - FOOTER];
    let (start, rows) = (u64_at(footer, 0), u64_at(footer, 1));
    let length = rows.checked_mul(ROW as u64).ok_or(Broken::What("bad footer"))?;
    if start < 8 || start.checked_add(length) != Some(body.len() as u64) {
        return Err(Broken::What("the footer does not fit the file's length"));
    }
    let table_bytes = &body[start as usize..];
    if xxh3_64(table_bytes) != u64_at(footer, 2) {
        return Err(Broken::What("checksum of the section table"));
    }
    let mut table = Vec::with_capacity(rows as usize);
    for row in table_bytes.chunks_exact(ROW) {
        let key = (u32_at(row, 0), u32_at(row, 1), u64_at(row, 1) as i64);
        let (offset, length, sum) = (u64_at(row, 2), u64_at(row, 3), u64_at(row, 4));
        if offset < 8 || offset.checked_add(length).is_none_or(|end| end > start) {
            return Err(Broken::What("a section lies outside the file"));
        }
        let (offset, length) = (offset as usize, length as usize);
        if xxh3_64(&map[offset..offset + length]) != sum {
            return Err(Broken::What("checksum of a section"));
        }
        table.push((key, offset, length));
    }
    Ok(table)
}

/// Number `index` of an array of little-endian u32.
pub(crate) fn u32_at(bytes: &[u8], index: usize) -> u32 {
    u32::from_le_bytes(bytes[index * 4..index * 4 + 4].try_into().expect("four bytes"))
}

/// Number `index` of an array of little-endian u64.
pub(crate) fn u64_at(bytes: &[u8], index: usize) -> u64 {
    u64::from_le_bytes(bytes[index * 8..index * 8 + 8].try_into().expect("eight bytes"))
}

/// Little-endian bytes of the numbers.
pub(crate) fn u32_bytes(numbers: impl IntoIterator<Item = u32>) -> Vec<u8> {
    numbers.into_iter().flat_map(u32::to_le_bytes).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(path: &Path) {
        let mut writer = Writer::create(path).unwrap();
        writer.section(Kind::Meta, 0, 0, br#"{"a":1}"#).unwrap();
        writer.section(Kind::Tag, 3, -5, b"hello").unwrap();
        writer.section(Kind::Tag, 1, 9, b"").unwrap();
        writer.seal().unwrap()
    }

    #[test]
    fn sections_come_back() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        sample(&path);
        let sealed = Sealed::open(&path).unwrap();
        assert_eq!(sealed.map.len() as u64, fs::metadata(&path).unwrap().len());
        assert_eq!(sealed.section(Kind::Tag, 3, -5), Some(&b"hello"[..]));
        assert_eq!(sealed.section(Kind::Tag, 1, 9), Some(&b""[..]));
        assert_eq!(sealed.section(Kind::Tag, 1, 8), None);
        assert!(!dir.path().join("a.tmp").exists());
    }

    #[test]
    fn every_flipped_bit_and_every_cut_is_refused_or_harmless() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        sample(&path);
        let good = fs::read(&path).unwrap();
        for cut in 0..good.len() {
            fs::write(&path, &good[..cut]).unwrap();
            assert!(Sealed::open(&path).is_err(), "cut at {cut}");
        }
        for bit in 0..good.len() * 8 {
            let mut bad = good.clone();
            bad[bit / 8] ^= 1 << (bit % 8);
            fs::write(&path, &bad).unwrap();
            // Only padding between sections may change unnoticed: it is never read.
            if let Ok(sealed) = Sealed::open(&path) {
                assert_eq!(sealed.section(Kind::Meta, 0, 0), Some(&br#"{"a":1}"#[..]));
                assert_eq!(sealed.section(Kind::Tag, 3, -5), Some(&b"hello"[..]));
            }
        }
    }
}
