//! Where the files of one app are: in a folder, or in a bucket of which the folder holds copies.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use muster_catalogue::AppCatalogue;

use crate::bucket::{self, Bucket, Versioned};
use crate::document::{self, Document};
use crate::error::{AtPath, Result, StoreError};
use crate::manifest::Manifest;
use crate::sealed::{Sealed, sync_files};

/// A local copy that the newest manifest does not name is kept this long for readers of an older one.
const COPY_KEPT: Duration = Duration::from_secs(10 * 60);

/// The first bytes of a document: the checksum of the rest.
pub(crate) type Stamp = [u8; 16];

#[derive(Clone)]
pub(crate) struct Shelf {
    folder: PathBuf,
    /// The app's folder name in the bucket.
    name: String,
    bucket: Option<Arc<Bucket>>,
    changes: Changes,
}

/// Goes up when this process has replaced a document of any app.
pub(crate) type Changes = Arc<AtomicU64>;

/// A data file as it lies there.
pub(crate) struct DataFile {
    pub name: String,
    pub bytes: u64,
    /// Whether it may be a stray when no manifest names it.
    pub may_go: bool,
}

/// What a manifest is replaced by: the version that was read. None where there was none, and in a folder,
/// where the lock keeps others out.
pub(crate) type Before = Option<Versioned>;

impl Shelf {
    pub fn new(apps: &Path, name: String, bucket: Option<Arc<Bucket>>, changes: Changes) -> Shelf {
        Shelf { folder: apps.join(&name), name, bucket, changes }
    }

    /// The local folder; new files are written into it.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    fn path(&self, document: Document) -> PathBuf {
        self.folder.join(document.name())
    }

    /// The document's bytes, of a bucket as they were at most a second ago.
    fn bytes(&self, document: Document) -> Result<Option<Arc<[u8]>>> {
        let Some(bucket) = &self.bucket else {
            let path = self.path(document);
            return match fs::read(&path) {
                Ok(bytes) => Ok(Some(bytes.into())),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
                Err(error) => Err(error).at(&path),
            };
        };
        Ok(bucket.document(&self.name, document, false)?.map(|content| content.bytes))
    }

    /// Has a bucket's documents be asked for now.
    pub fn refresh(&self) -> Result<()> {
        let Some(bucket) = &self.bucket else { return Ok(()) };
        for document in [Document::Manifest, Document::Catalogue] {
            bucket.document(&self.name, document, true)?;
        }
        Ok(())
    }

    /// What tells one state of a document from another.
    pub fn stamp(&self, document: Document) -> Result<Option<Stamp>> {
        let mut stamp = [0; 16];
        if self.bucket.is_some() {
            let bytes = self.bytes(document)?;
            return Ok(bytes.and_then(|bytes| bytes.first_chunk().copied()));
        }
        let path = self.path(document);
        match fs::File::open(&path).and_then(|mut file| file.read_exact(&mut stamp)) {
            Ok(()) => Ok(Some(stamp)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error).at(&path),
        }
    }

    pub fn manifest(&self) -> Result<Option<Manifest>> {
        let bytes = self.bytes(Document::Manifest)?;
        bytes.map(|bytes| Manifest::parse(&bytes, &self.path(Document::Manifest))).transpose()
    }

    /// What the app's team has said of its data; an empty document where that is nothing.
    pub fn catalogue(&self) -> Result<AppCatalogue> {
        let bytes = self.bytes(Document::Catalogue)?;
        let parsed = bytes.map(|bytes| document::parse(&bytes, &self.path(Document::Catalogue)));
        Ok(parsed.transpose()?.unwrap_or_default())
    }

    /// Shows a catalogue, unless a newer one is shown already. After this returns it is there to stay.
    pub fn replace_catalogue(&self, catalogue: &AppCatalogue) -> Result<()> {
        fs::create_dir_all(&self.folder).at(&self.folder)?;
        // Writers are few and quick; of those on other machines with a bucket, the slower one looks again.
        let path = self.folder.join("catalogue.lock");
        let lock = File::options().create(true).append(true).open(&path).at(&path)?;
        lock.lock().at(&path)?;
        let path = self.path(Document::Catalogue);
        let Some(bucket) = &self.bucket else {
            if self.catalogue()?.version < catalogue.version {
                document::replace(&path, &document::to_bytes(catalogue, &path)?)?;
                self.changes.fetch_add(1, Ordering::Release);
            }
            return Ok(());
        };
        loop {
            let before = bucket.document(&self.name, Document::Catalogue, true)?;
            let shown = before.as_ref().map(|it| document::parse::<AppCatalogue>(&it.bytes, &path));
            if shown.transpose()?.is_some_and(|shown| shown.version >= catalogue.version) {
                return Ok(());
            }
            let bytes = document::to_bytes(catalogue, &path)?;
            match bucket.replace(&self.name, Document::Catalogue, bytes, before.as_ref()) {
                Err(StoreError::Conflict { .. }) => {}
                done => return done.map(drop),
            }
        }
    }

    /// The manifest as it is now, to be replaced.
    pub fn newest_manifest(&self) -> Result<(Option<Manifest>, Before)> {
        let Some(bucket) = &self.bucket else { return Ok((self.manifest()?, None)) };
        let content = bucket.document(&self.name, Document::Manifest, true)?;
        let manifest = content
            .as_ref()
            .map(|content| Manifest::parse(&content.bytes, &self.path(Document::Manifest)))
            .transpose()?;
        Ok((manifest, content))
    }

    /// Shows a manifest. After this returns it is there to stay.
    pub fn replace_manifest(&self, manifest: &Manifest, before: &Before) -> Result<Before> {
        let path = self.path(Document::Manifest);
        let bytes = document::to_bytes(manifest, &path)?;
        let Some(bucket) = &self.bucket else {
            document::replace(&path, &bytes)?;
            self.changes.fetch_add(1, Ordering::Release);
            return Ok(None);
        };
        bucket.replace(&self.name, Document::Manifest, bytes, before.as_ref()).map(Some)
    }

    /// Makes files that were written into the folder durable.
    pub fn keep(&self, files: &[String]) -> Result<()> {
        match &self.bucket {
            Some(bucket) => bucket.put(&self.name, &self.folder, files),
            None => sync_files(&self.folder, files),
        }
    }

    /// Opens a file, which is fetched when there is no copy of it. A damaged copy is fetched once more: it
    /// is not the truth.
    pub fn open(&self, file: &str) -> Result<Sealed> {
        let path = self.folder.join(file);
        let Some(bucket) = &self.bucket else { return Sealed::open(&path) };
        match Sealed::open(&path) {
            Err(error) if error.is_missing() => {}
            Err(StoreError::Damaged { .. }) => tracing::warn!(file, "a damaged local copy is fetched anew"),
            opened => return opened,
        }
        bucket.fetch(&self.name, &self.folder, file)?;
        Sealed::open(&path)
    }

    /// Removes a file that no manifest names any more. What can't be removed now is a stray later.
    pub fn forget(&self, file: &str) {
        if let Some(bucket) = &self.bucket
            && let Err(error) = bucket.remove(&self.name, file)
        {
            tracing::warn!(%error, "a file that is no longer used could not be removed");
        }
        let _ = fs::remove_file(self.folder.join(file));
    }

    /// Removes a file that was shown to nobody but its owner; one that is not there is no error.
    pub fn remove(&self, file: &str) -> Result<()> {
        if let Some(bucket) = &self.bucket {
            bucket.remove(&self.name, file)?;
        }
        let path = self.folder.join(file);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error).at(&path),
            _ => Ok(()),
        }
    }

    /// The data files that are there. In a folder, which only the holder of its lock writes to, every one
    /// may be a stray; in a bucket those that are old enough.
    pub fn data_files(&self) -> Result<Vec<DataFile>> {
        if let Some(bucket) = &self.bucket {
            return bucket.files(&self.name, "");
        }
        let file = |name: String| {
            let path = self.folder.join(&name);
            match fs::metadata(&path) {
                Ok(meta) => Some(Ok(DataFile { name, bytes: meta.len(), may_go: true })),
                // Who looks without the lock may see it go.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
                Err(error) => Some(Err(error).at(&path)),
            }
        };
        self.local_files()?.into_iter().filter_map(file).collect()
    }

    /// The names of the files in a folder of the app's, written longer ago than a bucket's strays are let be.
    pub fn old_files(&self, folder: &str) -> Result<Vec<String>> {
        if let Some(bucket) = &self.bucket {
            let files = bucket.files(&self.name, folder)?;
            return Ok(files.into_iter().filter(|file| file.may_go).map(|file| file.name).collect());
        }
        let path = self.folder.join(folder);
        let entries = match fs::read_dir(&path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.at(&path)?,
        };
        let mut old = Vec::new();
        for entry in entries {
            let entry = entry.at(&path)?;
            // Who looks may see it go.
            let Ok(written) = entry.metadata().and_then(|meta| meta.modified()) else { continue };
            if SystemTime::now().duration_since(written).is_ok_and(|age| age > bucket::STRAY_AFTER) {
                old.push(entry.file_name().to_string_lossy().into_owned());
            }
        }
        Ok(old)
    }

    fn local_files(&self) -> Result<Vec<String>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.folder).at(&self.folder)? {
            let name = entry.at(&self.folder)?.file_name();
            let name = name.to_string_lossy();
            if name.ends_with(".mst") || name.ends_with(".tmp") {
                files.push(name.into_owned());
            }
        }
        Ok(files)
    }

    /// Whether somebody works on new files in the folder: they may be older than copies are kept.
    fn is_publishing(&self) -> bool {
        File::open(self.folder.join("lock")).is_ok_and(|lock| lock.try_lock().is_err())
    }

    /// Removes local copies that the manifest does not name and that nobody has needed for a while.
    pub fn tidy_copies(&self, manifest: &Manifest) {
        if self.bucket.is_none() || self.is_publishing() {
            return;
        }
        let named: HashSet<&str> =
            manifest.files().chain(manifest.retired.keys().map(String::as_str)).collect();
        for name in self.local_files().unwrap_or_default() {
            let path = self.folder.join(&name);
            let changed = fs::metadata(&path).and_then(|meta| meta.modified()).ok();
            let old = changed
                .and_then(|at| SystemTime::now().duration_since(at).ok())
                .is_some_and(|age| age > COPY_KEPT);
            if old && !named.contains(name.as_str()) {
                let _ = fs::remove_file(path);
            }
        }
    }
}
