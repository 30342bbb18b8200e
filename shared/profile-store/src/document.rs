//! The documents of an app: small, named the same for ever, and replaced whole, so that a reader sees one
//! state or the other.
//!
//! File: 16 hex digits (xxh3 of the JSON), a newline, the JSON.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;
use xxhash_rust::xxh3::xxh3_64;

use crate::error::{AtPath, Result, StoreError};

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Document {
    /// Which files make up the data; written by publications.
    Manifest,
    /// What the team has said of the data; written for the labels service.
    Catalogue,
}

impl Document {
    pub fn name(self) -> &'static str {
        match self {
            Document::Manifest => "manifest",
            Document::Catalogue => "catalogue",
        }
    }
}

/// `path` is for errors.
pub(crate) fn parse<T: DeserializeOwned>(bytes: &[u8], path: &Path) -> Result<T> {
    let (sum, json) = bytes.split_at_checked(17).ok_or_else(|| StoreError::damaged(path, "too short"))?;
    if sum != format!("{:016x}\n", xxh3_64(json)).as_bytes() {
        return Err(StoreError::damaged(path, "its checksum does not hold"));
    }
    serde_json::from_slice(json).map_err(|error| StoreError::damaged(path, error.to_string()))
}

/// `path` is for errors.
pub(crate) fn to_bytes(content: &impl Serialize, path: &Path) -> Result<Vec<u8>> {
    let json = serde_json::to_vec(content);
    let json = json.map_err(|error| StoreError::Full(format!("{}: {error}", path.display())))?;
    let mut bytes = format!("{:016x}\n", xxh3_64(&json)).into_bytes();
    bytes.extend_from_slice(&json);
    Ok(bytes)
}

/// Written aside, synced, renamed, and the folder synced: after this returns it is there to stay. Of two
/// that do this at once, one is kept; the caller holds a lock if that matters.
pub(crate) fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    // Not `.tmp`: those are strays of publications.
    let aside = path.with_extension("new");
    let mut file = File::create(&aside).at(&aside)?;
    file.write_all(bytes).and_then(|()| file.sync_all()).at(&aside)?;
    fs::rename(&aside, path).at(path)?;
    sync_folder(path.parent().unwrap_or(Path::new(".")))
}

/// Makes renames inside the folder durable.
pub(crate) fn sync_folder(folder: &Path) -> Result<()> {
    File::open(folder).and_then(|file| file.sync_all()).at(folder)
}
