//! The profile store: every app's users, labels and behaviour as immutable, checksummed files on local
//! disk, mapped into memory.
//!
//! ```text
//! <root>/apps/<app>/manifest          which files make up the app's data, replaced atomically
//! <root>/apps/<app>/lock              held by whoever publishes
//! <root>/apps/<app>/{users,label,event,values}-<ulid>.mst
//! <root>/apps/<app>/cohorts/<id>.mst
//! ```
//!
//! Writers go through [`Publication`], readers through [`Snapshot`].

mod cohort;
mod dictionary;
mod directory;
mod error;
mod event_part;
mod event_writer;
mod label_part;
mod manifest;
mod publication;
mod sealed;
mod snapshot;

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use muster_days::Ds;
use roaring::RoaringBitmap;

pub use cohort::{CohortFile, CohortMeta};
pub use dictionary::Dictionary;
pub use directory::{Directory, Place, bucket_of};
pub use error::{Result, StoreError};
pub use event_part::{EventMeta, EventPart, Postings};
pub use label_part::{LabelMeta, LabelPart, TagMeta};
use manifest::UsersEntry;
pub use manifest::{BUCKETS, DictionaryEntry, EventDay, EventEntry, LabelDay, LabelEntry, Manifest};
pub use publication::{EventShape, Publication};
pub use snapshot::Snapshot;

use error::AtPath;

/// The store under one folder. Cheap to share behind an `Arc`.
pub struct Store {
    apps: PathBuf,
    snapshots: Mutex<HashMap<String, (Stamp, Arc<Snapshot>)>>,
}

/// The first bytes of a manifest: the checksum of the rest.
type Stamp = [u8; 16];

impl Store {
    /// Opens the store, making its folders when they are not there.
    pub fn open(root: &Path) -> Result<Store> {
        let apps = root.join("apps");
        fs::create_dir_all(&apps).at(&apps)?;
        Ok(Store { apps, snapshots: Mutex::new(HashMap::new()) })
    }

    /// The app's data as published now; None for an app that never had any.
    pub fn snapshot(&self, app: &str) -> Result<Option<Arc<Snapshot>>> {
        let folder = self.folder(app);
        let path = folder.join("manifest");
        let Some(stamp) = stamp(&path)? else { return Ok(None) };
        let cached = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner).get(app).cloned();
        if let Some((seen, snapshot)) = &cached
            && *seen == stamp
        {
            return Ok(Some(snapshot.clone()));
        }
        // The manifest may be replaced between stamp and read: then the next call reads it again.
        let Some(manifest) = Manifest::read(&path)?.filter(|manifest| manifest.generation > 0) else {
            return Ok(None);
        };
        let previous = cached.as_ref().map(|(_, snapshot)| &**snapshot);
        let snapshot = Arc::new(Snapshot::new(&folder, manifest, previous)?);
        let mut snapshots = self.snapshots.lock().unwrap_or_else(PoisonError::into_inner);
        snapshots.insert(app.to_owned(), (stamp, snapshot.clone()));
        Ok(Some(snapshot))
    }

    /// How many users the app has, from its manifest alone; None for an app that never had any data.
    pub fn users(&self, app: &str) -> Result<Option<u64>> {
        let manifest = Manifest::read(&self.folder(app).join("manifest"))?;
        let shown = manifest.filter(|manifest| manifest.generation > 0);
        Ok(shown.map(|manifest| manifest.users.iter().map(UsersEntry::total).sum()))
    }

    /// Every app with published data, by name. One whose manifest can't be read is named in the log and
    /// left out, so that it does not hide the others.
    pub fn apps(&self) -> Result<Vec<String>> {
        let mut apps = Vec::new();
        for entry in fs::read_dir(&self.apps).at(&self.apps)? {
            let folder = entry.at(&self.apps)?.path();
            if !folder.is_dir() {
                continue;
            }
            let path = folder.join("manifest");
            match Manifest::read(&path) {
                Ok(manifest) => apps.extend(manifest.filter(|it| it.generation > 0).map(|it| it.app)),
                Err(error) => tracing::error!(%error, "an app is left out of the list"),
            }
        }
        apps.sort();
        Ok(apps)
    }

    /// Begins a publication; blocks while another one of the same app is open, in any process.
    pub fn publish(&self, app: &str) -> Result<Publication> {
        Publication::begin(&self.folder(app), app, BUCKETS)
    }

    /// Writes a cohort's members durably; `buckets[b]` holds their ordinals in bucket b.
    pub fn write_cohort(&self, app: &str, id: &str, ds: Ds, buckets: &[RoaringBitmap]) -> Result<()> {
        CohortFile::write(&self.folder(app), id, ds, buckets)
    }

    pub fn remove_cohort(&self, app: &str, id: &str) -> Result<()> {
        CohortFile::remove(&self.folder(app), id)
    }

    /// None when the app has no such cohort.
    pub fn cohort(&self, app: &str, id: &str) -> Result<Option<CohortFile>> {
        CohortFile::open(&self.folder(app), id)
    }

    fn folder(&self, app: &str) -> PathBuf {
        self.apps.join(folder_name(app))
    }
}

fn stamp(path: &Path) -> Result<Option<Stamp>> {
    let mut stamp = [0; 16];
    match File::open(path).and_then(|mut file| file.read_exact(&mut stamp)) {
        Ok(()) => Ok(Some(stamp)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error).at(path),
    }
}

/// A folder name for any app id: letters, digits, `-` and `_` as they are, other bytes as `%XX`. A long
/// one is cut and ends in `~` and a hash, so that two ids never share a folder; the empty one is `%`, for
/// without a name it would be the folder of all apps.
fn folder_name(app: &str) -> String {
    if app.is_empty() {
        return "%".to_owned();
    }
    let mut name = String::new();
    for byte in app.bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' => name.push(byte as char),
            _ => name.push_str(&format!("%{byte:02X}")),
        }
    }
    if name.len() > 150 {
        name.truncate(100);
        name.push_str(&format!("~{:032x}", xxhash_rust::xxh3::xxh3_128(app.as_bytes())));
    }
    name
}
