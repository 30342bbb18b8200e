//! A publication: everything one import changes in one app, built aside and shown all at once.
//!
//! The app's lock is held from [`Publication::begin`] on, so that ordinals are given out by one
//! writer at a time, whatever the number of processes.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::fs::{self, File};
use std::path::PathBuf;
use std::sync::Arc;

use muster_days::Ds;
use ulid::Ulid;

use crate::dictionary::{Dictionary, Interner};
use crate::directory::{Directory, ErasedFile, UsersFile};
use crate::enrolment::{BucketUsers, Enrolment};
use crate::error::{AtPath, Result, StoreError};
use crate::event_part::{EventMeta, EventPart};
use crate::event_week::{WeekMeta, write_week};
use crate::event_writer::{EventBucket, EventPartWriter};
use crate::expiry::{Expired, Kept};
use crate::label_part::{LabelBucket, LabelMeta, LabelPartWriter};
use crate::manifest::{
    ErasedEntry, EventDay, EventWeekEntry, FORMAT, LabelDay, LabelEntry, Manifest, UsersEntry,
};
use crate::open_part::OpenPart;
use crate::shelf::{Before, Shelf};
use crate::sizes::Sizes;

/// A file that no manifest names any more is kept this long for readers of an older one.
const RETIRED_KEPT_MS: i64 = 10 * 60 * 1000;

pub struct Publication {
    pub(crate) shelf: Shelf,
    pub(crate) manifest: Manifest,
    /// The version of the manifest that this publication will replace.
    before: Before,
    pub(crate) enrolment: Enrolment,
    pub(crate) part: Option<OpenPart>,
    /// Weeks of events, by Monday, of which a day was published.
    pub(crate) weeks: BTreeSet<(String, Ds)>,
    /// Shown until this publication is: their grace begins with its end.
    retired: Vec<String>,
    /// Written by this publication, to be synced before the manifest.
    pub(crate) written: Vec<String>,
    _lock: File,
}

/// What identifies a label part, and the names of its tags.
pub struct LabelShape<'a> {
    pub label: i64,
    pub name: &'a str,
    pub ds: Ds,
    pub tag_names: &'a HashMap<i64, String>,
}

/// What identifies an event part: name, day, and the columns its rows come with.
pub struct EventShape<'a> {
    pub event: &'a str,
    pub ds: Ds,
    pub dimensions: &'a [String],
    pub measures: &'a [String],
}

impl Publication {
    /// Waits for the app's lock, then reads what is published. An app that has no data yet gets `buckets`.
    pub(crate) fn begin(shelf: Shelf, app: &str, buckets: u32) -> Result<Publication> {
        let folder = shelf.folder();
        fs::create_dir_all(folder).at(folder)?;
        let lock_path = folder.join("lock");
        let lock = File::options().create(true).append(true).open(&lock_path).at(&lock_path)?;
        lock.lock().at(&lock_path)?;
        let (manifest, before) = read_or_begin(&shelf, app, buckets)?;
        remove_strays(&shelf, &manifest)?;
        let files: Result<Vec<UsersFile>> = manifest
            .users
            .iter()
            .map(|entry| UsersFile::new(Arc::new(shelf.open(&entry.file)?), entry.clone()))
            .collect();
        let directory = Directory::new(manifest.buckets, files?);
        let enrolment = Enrolment::new(directory.with_erased(open_erased(&shelf, &manifest)?));
        Ok(Publication {
            shelf,
            manifest,
            before,
            enrolment,
            part: None,
            weeks: BTreeSet::new(),
            retired: Vec::new(),
            written: Vec::new(),
            _lock: lock,
        })
    }

    pub fn buckets(&self) -> u32 {
        self.manifest.buckets
    }

    /// What is published so far; parts finished here show up in it at once.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn new_file(&mut self, prefix: &str) -> (String, PathBuf) {
        let name = file_name(prefix);
        let path = self.shelf.folder().join(&name);
        (name, path)
    }

    /// Builds the part (label, ds), which takes the place of the one published for its day, if any. `fill`
    /// hands over a bucket's rows; it is called once per bucket, for several of them at once, on the
    /// threads of the rayon pool that it is called in. The result does not depend on their number.
    pub fn label<E: From<StoreError> + Send>(
        &mut self,
        shape: &LabelShape<'_>,
        now_ms: i64,
        fill: impl Fn(u32, &mut LabelBucket<'_>) -> std::result::Result<(), E> + Sync,
    ) -> std::result::Result<(), E> {
        let (file, path) = self.new_file("label");
        let mut writer = LabelPartWriter::create(&path, shape.label, shape.ds)?;
        let make = |bucket, users: BucketUsers<'_>| {
            let mut rows = LabelBucket::new(users);
            fill(bucket, &mut rows)?;
            Ok::<_, E>(rows.finish()?)
        };
        self.build(make, |bucket, sections| writer.bucket(bucket, sections))?;
        self.place_label(shape.name, file, writer.finish(shape.tag_names)?, now_ms);
        Ok(())
    }

    /// As [`Publication::label`], for the part (event, ds).
    pub fn event<E: From<StoreError> + Send>(
        &mut self,
        shape: &EventShape<'_>,
        now_ms: i64,
        fill: impl Fn(u32, &mut EventBucket<'_>) -> std::result::Result<(), E> + Sync,
    ) -> std::result::Result<(), E> {
        let (file, path) = self.new_file("event");
        let mut writer = EventPartWriter::create(&path, shape)?;
        let mut ids = self.interners(shape)?;
        let make = |bucket, users: BucketUsers<'_>| {
            let mut rows = EventBucket::new(users, shape);
            fill(bucket, &mut rows)?;
            Ok::<_, E>(rows.finish()?)
        };
        self.build(make, |bucket, sections| writer.bucket(bucket, sections, &mut ids))?;
        self.place_event(file, writer.finish()?, &ids, now_ms)?;
        Ok(())
    }

    /// Makes buckets side by side and takes them in their order.
    fn build<T: Send, E: From<StoreError> + Send>(
        &mut self,
        make: impl Fn(u32, BucketUsers<'_>) -> std::result::Result<T, E> + Sync,
        mut take: impl FnMut(u32, T) -> Result<()>,
    ) -> std::result::Result<(), E> {
        for wave in self.enrolment.waves() {
            let made = self.enrolment.each(wave.clone(), &make);
            for (bucket, made) in wave.zip(made) {
                take(bucket, made?)?;
            }
            if self.enrolment.is_full() {
                self.flush_users()?;
            }
        }
        Ok(())
    }

    /// The values that the event's dimensions have had so far.
    fn interners(&self, shape: &EventShape<'_>) -> Result<Vec<Interner>> {
        let known = self.manifest.events.get(shape.event);
        let interner = |dimension: &String| match known.and_then(|event| event.dimensions.get(dimension)) {
            Some(entry) => {
                let file = Arc::new(self.shelf.open(&entry.file)?);
                Ok(Interner::from(&Dictionary::new(file, entry)?))
            }
            None => Ok(Interner::default()),
        };
        shape.dimensions.iter().map(interner).collect()
    }

    /// Moves the new users to a file and merges small ones.
    fn flush_users(&mut self) -> Result<()> {
        let (name, path) = self.new_file("users");
        if let Some(entry) = self.enrolment.flush(&path, &name)? {
            self.manifest.users.push(entry);
            self.written.push(name);
        }
        let before = std::mem::take(&mut self.manifest.users);
        self.manifest.users = self.enrolment.compact(self.shelf.folder(), || file_name("users"))?;
        let has = |users: &[UsersEntry], file: &str| users.iter().any(|entry| entry.file == file);
        let merged = self.manifest.users.iter().filter(|entry| !has(&before, &entry.file));
        self.written.extend(merged.map(|entry| entry.file.clone()));
        for entry in before {
            if !has(&self.manifest.users, &entry.file) {
                self.retire(Some(entry.file));
            }
        }
        Ok(())
    }

    fn place_label(&mut self, name: &str, file: String, meta: LabelMeta, now_ms: i64) {
        self.written.push(file.clone());
        let entry = self.manifest.labels.entry(meta.label).or_insert_with(|| LabelEntry {
            name: String::new(),
            tags: BTreeMap::new(),
            days: BTreeMap::new(),
        });
        entry.name = name.to_owned();
        let pairs = meta.tags.values().map(|tag| tag.users).sum();
        entry.tags.extend(meta.tags.into_iter().map(|(code, tag)| (code, tag.name)));
        let old = entry.days.insert(meta.ds, LabelDay { file, pairs, published_at: now_ms });
        self.retire(old.map(|day| day.file));
    }

    fn place_event(&mut self, file: String, meta: EventMeta, ids: &[Interner], now_ms: i64) -> Result<()> {
        self.written.push(file.clone());
        let mut entry = self.manifest.events.remove(&meta.event).unwrap_or_default();
        for (dimension, interner) in meta.dimensions.iter().zip(ids) {
            if !interner.has_new() && entry.dimensions.contains_key(dimension) {
                continue;
            }
            let name = file_name("values");
            let written = interner.write(self.shelf.folder(), &name)?;
            self.written.push(name);
            let old = entry.dimensions.insert(dimension.clone(), written);
            self.retire(old.map(|dictionary| dictionary.file));
        }
        for measure in &meta.measures {
            if !entry.measures.contains(measure) {
                entry.measures.push(measure.clone());
            }
        }
        let day = EventDay { file, users: meta.users, pv: meta.pv, published_at: now_ms };
        let old = entry.days.insert(meta.ds, day);
        self.retire(old.map(|day| day.file));
        self.weeks.insert((meta.event.clone(), meta.ds.monday()));
        self.manifest.events.insert(meta.event, entry);
        Ok(())
    }

    /// Makes the sums of the weeks that days were published of. Part of [`Publication::commit`]; before it for
    /// those who want to be asked once more when the long work is done.
    pub fn sum_weeks(&mut self) -> Result<()> {
        while let Some((event, first)) = self.weeks.pop_first() {
            let week = self.sum_week(&event, first)?;
            let Some(entry) = self.manifest.events.get_mut(&event) else { continue };
            let old = match week {
                Some(week) => entry.weeks.insert(first, week),
                None => entry.weeks.remove(&first),
            };
            self.retire(old.map(|week| week.file));
        }
        Ok(())
    }

    /// None when a day is missing, or a sum does not fit.
    fn sum_week(&mut self, event: &str, first: Ds) -> Result<Option<EventWeekEntry>> {
        let entry = self.manifest.events.get(event);
        let Some(of) = entry.and_then(|entry| entry.week_files(first)) else { return Ok(None) };
        let open = |file: &String| EventPart::new(Arc::new(self.shelf.open(file)?));
        let days = match of.iter().map(open).collect::<Result<Vec<_>>>() {
            Ok(days) => days,
            // It must not stand in the way of the days that are published now, itself among them perhaps.
            Err(error) if error.is_missing() || error.is_unreadable() => {
                tracing::warn!(%error, event, week = %first, "a week is left without sums");
                return Ok(None);
            }
            Err(error) => return Err(error),
        };
        let meta = WeekMeta { event: event.into(), first, of: of.clone(), measures: Vec::new(), users: 0 };
        let (file, path) = self.new_file("week");
        if !write_week(&path, meta, &days, self.manifest.buckets)? {
            return Ok(None);
        }
        self.written.push(file.clone());
        Ok(Some(EventWeekEntry { file, of }))
    }

    /// Leaves out the days before those that are kept.
    pub fn expire(&mut self, kept: Kept) -> Expired {
        let (expired, files) = self.manifest.expire(kept);
        files.into_iter().for_each(|file| self.retire(Some(file)));
        expired
    }

    /// Bytes of the files that are shown once this is committed, as far as they are written.
    ///
    /// # Errors
    /// The storage can't be reached.
    pub fn bytes(&self) -> Result<u64> {
        Ok(Sizes::of(&self.manifest, &self.shelf)?.total())
    }

    /// Whether files wait to be removed whose readers have had their time.
    pub fn is_overdue(&self, now_ms: i64) -> bool {
        self.manifest.retired.values().any(|since| *since < now_ms - RETIRED_KEPT_MS)
    }

    pub(crate) fn retire(&mut self, file: Option<String>) {
        let Some(file) = file else { return };
        // Replaced before it was ever shown: nobody can be reading it.
        if let Some(at) = self.written.iter().position(|name| *name == file) {
            self.written.swap_remove(at);
            let _ = fs::remove_file(self.shelf.folder().join(file));
            return;
        }
        self.retired.push(file);
    }

    /// Shows everything at once and returns the new generation. Without it nothing of this publication
    /// is ever seen.
    pub fn commit(mut self, now_ms: i64) -> Result<u64> {
        if self.part.is_some() {
            return Err(StoreError::Full("a part was left open".into()));
        }
        self.sum_weeks()?;
        self.flush_users()?;
        self.shelf.keep(&self.written)?;
        let gone: Vec<String> = self
            .manifest
            .retired
            .extract_if(.., |_, &mut since| since < now_ms - RETIRED_KEPT_MS)
            .map(|(file, _)| file)
            .collect();
        for file in std::mem::take(&mut self.retired) {
            self.manifest.retired.insert(file, now_ms);
        }
        self.manifest.format = if self.manifest.erased.is_some() { FORMAT } else { 2 };
        self.manifest.generation += 1;
        self.shelf.replace_manifest(&self.manifest, &self.before)?;
        for file in gone {
            self.shelf.forget(&file);
        }
        Ok(self.manifest.generation)
    }
}

/// An app gets its manifest, of generation 0 and not yet shown, before its first data file: a folder with
/// data and no manifest has lost it, and tidying it would lose the data as well.
fn read_or_begin(shelf: &Shelf, app: &str, buckets: u32) -> Result<(Manifest, Before)> {
    if let (Some(manifest), before) = shelf.newest_manifest()? {
        return Ok((manifest, before));
    }
    if shelf.data_files()?.iter().any(|file| file.name.ends_with(".mst")) {
        return Err(StoreError::NoManifest { path: shelf.folder().join("manifest") });
    }
    let manifest = Manifest::new(app, buckets);
    let before = shelf.replace_manifest(&manifest, &None)?;
    Ok((manifest, before))
}

/// None where nobody is erased.
pub(crate) fn open_erased(shelf: &Shelf, manifest: &Manifest) -> Result<Option<ErasedFile>> {
    let open = |entry: &ErasedEntry| ErasedFile::new(Arc::new(shelf.open(&entry.file)?), manifest.buckets);
    manifest.erased.as_ref().map(open).transpose()
}

pub(crate) fn file_name(prefix: &str) -> String {
    format!("{prefix}-{}.mst", Ulid::generate())
}

/// Removes what a publication that never ended left behind. Called under the lock.
fn remove_strays(shelf: &Shelf, manifest: &Manifest) -> Result<()> {
    let known: HashSet<&str> = manifest.files().chain(manifest.retired.keys().map(String::as_str)).collect();
    for file in shelf.data_files()? {
        if file.may_go && !known.contains(file.name.as_str()) {
            shelf.remove(&file.name)?;
        }
    }
    Ok(())
}
