//! The profile store: every app's users, labels and behaviour as immutable, checksummed files on local
//! disk, mapped into memory.
//!
//! ```text
//! <root>/apps/<app>/manifest          which files make up the app's data, replaced atomically
//! <root>/apps/<app>/catalogue         what the app's team has said of them, replaced atomically
//! <root>/apps/<app>/lock              held by whoever publishes
//! <root>/apps/<app>/{users,label,event,values}-<ulid>.mst
//! <root>/apps/<app>/cohorts/<id>.mst
//! ```
//!
//! The same lies in a bucket of S3-compatible storage, where the root is a folder of local copies.
//!
//! Writers go through [`Publication`], readers through [`Snapshot`].

mod bucket;
mod cohort;
mod dictionary;
mod directory;
mod document;
mod enrolment;
mod erasure;
mod error;
mod event_part;
mod event_rows;
mod event_week;
mod event_writer;
mod expiry;
mod label_part;
mod manifest;
mod numbers;
mod open_part;
mod posting_writer;
mod postings;
mod publication;
mod row_group;
mod sealed;
mod shelf;
mod sizes;
mod snapshot;

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use muster_catalogue::AppCatalogue;
use muster_days::Ds;
use roaring::RoaringBitmap;

pub use bucket::BucketAt;
pub use cohort::{CohortFile, CohortMeta};
pub use dictionary::Dictionary;
pub use directory::{BucketIds, Directory, Place, User, bucket_of};
pub use erasure::Erased;
pub use error::{Result, StoreError};
pub use event_part::{EventMeta, EventPart};
pub use event_week::{EventWeek, WeekMeta};
pub use event_writer::{EventBucket, EventRow, Tuple};
pub use expiry::{Expired, Kept};
pub use label_part::{LabelBucket, LabelMeta, LabelPart, LabelRow, TagMeta};
pub use manifest::{
    BUCKETS, DictionaryEntry, ErasedEntry, EventDay, EventEntry, EventWeekEntry, LabelDay, LabelEntry,
    Manifest,
};
pub use postings::{Postings, TupleRows};
pub use publication::{EventShape, LabelShape, Publication};
pub use row_group::RowGroup;
pub use sizes::Sizes;
pub use snapshot::Snapshot;

use bucket::Bucket;
use document::Document;
use error::AtPath;
use shelf::{Changes, Shelf, Stamp};

/// Of the manifest and of the catalogue.
type Stamps = (Stamp, Option<Stamp>);

/// The store under one folder. Cheap to share behind an `Arc`.
pub struct Store {
    apps: PathBuf,
    bucket: Option<Arc<Bucket>>,
    snapshots: Mutex<HashMap<String, Opened>>,
    changes: Changes,
}

/// The snapshot of an app that was opened last.
#[derive(Clone)]
struct Opened {
    stamps: Stamps,
    snapshot: Arc<Snapshot>,
    /// When the stamps were looked at last, and which change of this process was the newest then.
    looked: (Instant, u64),
}

/// Stamps that were looked at so short a time ago are not looked at again, if this process has changed nothing.
const JUST_LOOKED: Duration = Duration::from_millis(1);

impl Store {
    /// Opens the store, making its folders when they are not there.
    pub fn open(root: &Path) -> Result<Store> {
        let apps = root.join("apps");
        fs::create_dir_all(&apps).at(&apps)?;
        Ok(Store { apps, bucket: None, snapshots: Mutex::default(), changes: Changes::default() })
    }

    /// Opens a store in a bucket; `cache` is a folder for local copies of its files.
    pub fn open_bucket(at: &BucketAt, cache: &Path) -> Result<Store> {
        let bucket = Arc::new(Bucket::open(at)?);
        Ok(Store { bucket: Some(bucket), ..Store::open(cache)? })
    }

    /// Whether the storage can be reached.
    pub fn ping(&self) -> Result<()> {
        match &self.bucket {
            Some(bucket) => bucket.document("", Document::Manifest, true).map(drop),
            None => fs::read_dir(&self.apps).at(&self.apps).map(drop),
        }
    }

    /// The app's data as published now; None for an app that never had any.
    pub fn snapshot(&self, app: &str) -> Result<Option<Arc<Snapshot>>> {
        let shelf = self.shelf(app);
        let looked = self.now();
        let Some(stamps) = stamps(&shelf)? else { return Ok(None) };
        let cached = self.cached(app);
        if let Some(opened) = cached.as_ref().filter(|opened| opened.stamps == stamps) {
            return Ok(Some(opened.snapshot.clone()));
        }
        // The manifest may be replaced between stamp and read: then the next call reads it again.
        let Some(manifest) = shelf.manifest()?.filter(|manifest| manifest.generation > 0) else {
            return Ok(None);
        };
        shelf.tidy_copies(&manifest);
        let previous = cached.as_ref().map(|opened| &*opened.snapshot);
        let catalogue = shelf.catalogue()?;
        let snapshot = Arc::new(Snapshot::new(shelf, manifest, catalogue, previous)?);
        self.snapshots().insert(app.to_owned(), Opened { stamps, snapshot: snapshot.clone(), looked });
        Ok(Some(snapshot))
    }

    /// Has the next snapshot show what is published by now, also where a bucket's documents are known for a
    /// moment: for work that nobody does again.
    pub fn refresh(&self, app: &str) -> Result<()> {
        self.shelf(app).refresh()
    }

    /// The snapshot that was opened last, if it is still the app's data as published now: by this process, and by
    /// others up to a millisecond ago. Nothing but the first bytes of two small files are read for it, so that
    /// a thread which must not wait can ask; None where [`Store::snapshot`] has to be asked, with a bucket
    /// always.
    pub fn opened(&self, app: &str) -> Option<Arc<Snapshot>> {
        if self.bucket.is_some() {
            return None;
        }
        let opened = self.cached(app)?;
        let (now, (then, change)) = (self.now(), opened.looked);
        if change == now.1 && now.0.duration_since(then) < JUST_LOOKED {
            return Some(opened.snapshot);
        }
        if opened.stamps != stamps(&self.shelf(app)).ok()?? {
            return None;
        }
        if let Some(kept) = self.snapshots().get_mut(app).filter(|kept| kept.stamps == opened.stamps) {
            kept.looked = now;
        }
        Some(opened.snapshot)
    }

    fn cached(&self, app: &str) -> Option<Opened> {
        self.snapshots().get(app).cloned()
    }

    fn snapshots(&self) -> MutexGuard<'_, HashMap<String, Opened>> {
        self.snapshots.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// To be taken before stamps are looked at.
    fn now(&self) -> (Instant, u64) {
        (Instant::now(), self.changes.load(Ordering::Acquire))
    }

    /// How many users the app has, from its manifest alone; None for an app that never had any data.
    pub fn users(&self, app: &str) -> Result<Option<u64>> {
        let manifest = self.shelf(app).manifest()?;
        let shown = manifest.filter(|manifest| manifest.generation > 0);
        Ok(shown.map(|manifest| manifest.user_count()))
    }

    /// Every app with published data, by name. One whose manifest can't be read is named in the log and
    /// left out, so that it does not hide the others.
    pub fn apps(&self) -> Result<Vec<String>> {
        let mut apps = Vec::new();
        for name in self.folders()? {
            let shelf = Shelf::new(&self.apps, name, self.bucket.clone(), self.changes.clone());
            match shelf.manifest() {
                Ok(manifest) => apps.extend(manifest.filter(|it| it.generation > 0).map(|it| it.app)),
                Err(error) => tracing::error!(%error, "an app is left out of the list"),
            }
        }
        apps.sort();
        Ok(apps)
    }

    /// Begins a publication; blocks while another one of the same app is open, in any process. The first
    /// one settles the number of buckets, which the app's catalogue may name.
    pub fn publish(&self, app: &str) -> Result<Publication> {
        let buckets = self.buckets_to_be(app)?;
        Publication::begin(self.shelf(app), app, buckets)
    }

    /// Hash buckets that the app has, or will have from its first publication on.
    pub fn buckets(&self, app: &str) -> Result<u32> {
        match self.shelf(app).manifest()? {
            Some(manifest) => Ok(manifest.buckets),
            None => self.buckets_to_be(app),
        }
    }

    fn buckets_to_be(&self, app: &str) -> Result<u32> {
        Ok(self.catalogue(app)?.settings.buckets.unwrap_or(BUCKETS))
    }

    /// What the app's team has said of its data: an empty document where that is nothing.
    pub fn catalogue(&self, app: &str) -> Result<AppCatalogue> {
        self.shelf(app).catalogue()
    }

    /// The app's data as published now with another catalogue in place of its own; without data it is the
    /// catalogue alone.
    pub fn snapshot_as(&self, app: &str, catalogue: AppCatalogue) -> Result<Snapshot> {
        let shelf = self.shelf(app);
        let previous = self.snapshot(app)?;
        let buckets = catalogue.settings.buckets.unwrap_or(BUCKETS);
        let manifest = shelf.manifest()?.unwrap_or_else(|| Manifest::new(app, buckets));
        Snapshot::new(shelf, manifest, catalogue, previous.as_deref())
    }

    /// Shows a catalogue to every reader, unless a newer version is shown already.
    pub fn show_catalogue(&self, app: &str, catalogue: &AppCatalogue) -> Result<()> {
        self.shelf(app).replace_catalogue(catalogue)
    }

    /// Writes a cohort's members durably; `buckets[b]` holds their ordinals in bucket b.
    pub fn write_cohort(&self, app: &str, id: &str, ds: Ds, buckets: &[RoaringBitmap]) -> Result<()> {
        CohortFile::write(&self.shelf(app), id, ds, buckets)
    }

    /// Writes what is to be said of how a cohort came about; before the cohort, with which it goes.
    pub fn write_cohort_report(&self, app: &str, id: &str, text: &[u8]) -> Result<()> {
        cohort::write_report(&self.shelf(app), id, text)
    }

    /// None when the cohort has none.
    pub fn cohort_report(&self, app: &str, id: &str) -> Result<Option<Vec<u8>>> {
        cohort::report(&self.shelf(app), id)
    }

    pub fn remove_cohort(&self, app: &str, id: &str) -> Result<()> {
        CohortFile::remove(&self.shelf(app), id)
    }

    /// The cohorts whose files were written an hour ago or earlier.
    pub fn old_cohorts(&self, app: &str) -> Result<BTreeSet<String>> {
        cohort::old(&self.shelf(app))
    }

    /// Removes the files of a cohort that was never shown, whole ones and those that a writer has left aside.
    pub fn sweep_cohort(&self, app: &str, id: &str) -> Result<()> {
        CohortFile::remove_aside(&self.shelf(app), id)?;
        self.remove_cohort(app, id)
    }

    /// None when the app has no such cohort.
    pub fn cohort(&self, app: &str, id: &str) -> Result<Option<CohortFile>> {
        CohortFile::open(&self.shelf(app), id)
    }

    /// The folder names of all apps.
    fn folders(&self) -> Result<Vec<String>> {
        if let Some(bucket) = &self.bucket {
            return bucket.apps();
        }
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.apps).at(&self.apps)? {
            let entry = entry.at(&self.apps)?;
            if entry.path().is_dir() {
                names.extend(entry.file_name().into_string().ok());
            }
        }
        Ok(names)
    }

    fn shelf(&self, app: &str) -> Shelf {
        Shelf::new(&self.apps, folder_name(app), self.bucket.clone(), self.changes.clone())
    }
}

/// None for an app without a manifest.
fn stamps(shelf: &Shelf) -> Result<Option<Stamps>> {
    let Some(data) = shelf.stamp(Document::Manifest)? else { return Ok(None) };
    Ok(Some((data, shelf.stamp(Document::Catalogue)?)))
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
