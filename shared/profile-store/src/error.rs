//! What can go wrong with the store's files. Every error names the file.

use std::io;
use std::path::{Path, PathBuf};

use muster_days::Ds;

#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    #[error("{path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    /// The bytes are not what was written: torn, truncated, flipped or made by something else.
    #[error("{path} is damaged: {what}")]
    Damaged { path: PathBuf, what: String },
    #[error("{path} has format version {found}; this program reads up to {known}")]
    Newer { path: PathBuf, found: u32, known: u32 },
    #[error("`{event}` of {ds}: the rows of one user add up past 64 bits; nothing of this app is published")]
    TooLarge { event: String, ds: Ds },
    /// The app's list of files is gone while its data are there: writing on would lose them.
    #[error("{path} is missing while data files lie beside it: restore it from a backup")]
    NoManifest { path: PathBuf },
    /// Another publisher was faster: done again from its start, it may do better.
    #[error("{path} was replaced by another publication meanwhile")]
    Conflict { path: PathBuf },
    /// The storage that holds the files could not be reached.
    #[error("{path} can't be reached: {why}")]
    Away { path: PathBuf, why: String },
    /// A bound of the format was met, e.g. more than 2^32 users in one bucket.
    #[error("the store can't hold this: {0}")]
    Full(String),
}

pub type Result<T> = std::result::Result<T, StoreError>;

impl StoreError {
    pub(crate) fn damaged(path: &Path, what: impl Into<String>) -> StoreError {
        StoreError::Damaged { path: path.to_path_buf(), what: what.into() }
    }

    /// Whether the storage could not be reached: a moment later the same may hold.
    pub fn is_away(&self) -> bool {
        matches!(self, StoreError::Away { .. })
    }

    /// The file is there, and this program can make nothing of it.
    /// The file is there, and what is in it can't be read.
    pub fn is_unreadable(&self) -> bool {
        matches!(self, StoreError::Damaged { .. } | StoreError::Newer { .. })
    }

    /// The file was not there: a reader with an old manifest opens a new snapshot and tries again.
    pub fn is_missing(&self) -> bool {
        matches!(self, StoreError::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// Puts the path into an I/O error.
pub(crate) trait AtPath<T> {
    fn at(self, path: &Path) -> Result<T>;
}

impl<T> AtPath<T> for io::Result<T> {
    fn at(self, path: &Path) -> Result<T> {
        self.map_err(|source| StoreError::Io { path: path.to_path_buf(), source })
    }
}
