//! A snapshot: one app's data as one manifest shows it. Parts are opened, checked and mapped when they
//! are first asked for, and kept as long as a snapshot names them.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use muster_catalogue::AppCatalogue;
use muster_days::Ds;

use crate::cohort::CohortFile;
use crate::dictionary::Dictionary;
use crate::directory::{Directory, ErasedFile, UsersFile};
use crate::error::{AtPath, Result, StoreError};
use crate::event_part::EventPart;
use crate::event_week::EventWeek;
use crate::label_part::LabelPart;
use crate::manifest::Manifest;
use crate::sealed::Sealed;
use crate::shelf::Shelf;
use crate::sizes::Sizes;

#[derive(Clone)]
enum Part {
    Users(Arc<Sealed>),
    Label(Arc<LabelPart>),
    Event(Arc<EventPart>),
    Week(Arc<EventWeek>),
    Dictionary(Arc<Dictionary>),
}

pub struct Snapshot {
    shelf: Shelf,
    manifest: Manifest,
    catalogue: AppCatalogue,
    directory: Directory,
    parts: Mutex<HashMap<String, Part>>,
    sizes: OnceLock<Sizes>,
}

impl Snapshot {
    /// Parts that `previous` has open and this manifest still names are taken over.
    pub(crate) fn new(
        shelf: Shelf,
        manifest: Manifest,
        catalogue: AppCatalogue,
        previous: Option<&Snapshot>,
    ) -> Result<Snapshot> {
        let mut parts = HashMap::new();
        if let Some(previous) = previous {
            let named: HashSet<&str> = manifest.files().collect();
            let open = previous.parts.lock().unwrap_or_else(PoisonError::into_inner);
            parts.extend(
                open.iter()
                    .filter(|(file, _)| named.contains(file.as_str()))
                    .map(|(file, part)| (file.clone(), part.clone())),
            );
        }
        let mut users = Vec::new();
        for entry in &manifest.users {
            let sealed = match parts.get(&entry.file) {
                Some(Part::Users(sealed)) => sealed.clone(),
                _ => Arc::new(shelf.open(&entry.file)?),
            };
            parts.insert(entry.file.clone(), Part::Users(sealed.clone()));
            users.push(UsersFile::new(sealed, entry.clone())?);
        }
        let mut erased = None;
        if let Some(entry) = &manifest.erased {
            let sealed = match parts.get(&entry.file) {
                Some(Part::Users(sealed)) => sealed.clone(),
                _ => Arc::new(shelf.open(&entry.file)?),
            };
            parts.insert(entry.file.clone(), Part::Users(sealed.clone()));
            erased = Some(ErasedFile::new(sealed, manifest.buckets)?);
        }
        let directory = Directory::new(manifest.buckets, users).with_erased(erased);
        let (parts, sizes) = (Mutex::new(parts), OnceLock::new());
        Ok(Snapshot { shelf, manifest, catalogue, directory, parts, sizes })
    }

    pub fn app(&self) -> &str {
        &self.manifest.app
    }

    /// What is published: labels, tags, events, dimensions and their days.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What the app's team has said of it.
    pub fn catalogue(&self) -> &AppCatalogue {
        &self.catalogue
    }

    pub fn directory(&self) -> &Directory {
        &self.directory
    }

    /// None when the label is not published for that day.
    pub fn label(&self, label: i64, ds: Ds) -> Result<Option<Arc<LabelPart>>> {
        let Some(day) = self.manifest.labels.get(&label).and_then(|entry| entry.days.get(&ds)) else {
            return Ok(None);
        };
        let part = self.part(&day.file, |file| {
            let path = file.path().to_path_buf();
            let part = LabelPart::new(file)?;
            let found = (part.meta().label, part.meta().ds);
            if found != (label, ds) {
                let what = format!("it holds label {} of {}, not {label} of {ds}", found.0, found.1);
                return Err(StoreError::damaged(&path, what));
            }
            Ok(Part::Label(Arc::new(part)))
        })?;
        Ok(if let Part::Label(part) = part { Some(part) } else { None })
    }

    /// None when the event is not published for that day.
    pub fn event(&self, event: &str, ds: Ds) -> Result<Option<Arc<EventPart>>> {
        let Some(day) = self.manifest.events.get(event).and_then(|entry| entry.days.get(&ds)) else {
            return Ok(None);
        };
        let part = self.part(&day.file, |file| {
            let path = file.path().to_path_buf();
            let part = EventPart::new(file)?;
            let found = (part.meta().event.as_str(), part.meta().ds);
            if found != (event, ds) {
                let what = format!("it holds `{}` of {}, not `{event}` of {ds}", found.0, found.1);
                return Err(StoreError::damaged(&path, what));
            }
            Ok(Part::Event(Arc::new(part)))
        })?;
        Ok(if let Part::Event(part) = part { Some(part) } else { None })
    }

    /// None when the sums of the event's week from Monday `first` on are not there.
    pub fn week(&self, event: &str, first: Ds) -> Result<Option<Arc<EventWeek>>> {
        let Some(week) = self.manifest.events.get(event).and_then(|entry| entry.weeks.get(&first)) else {
            return Ok(None);
        };
        let part = self.part(&week.file, |file| {
            let path = file.path().to_path_buf();
            let part = EventWeek::new(file)?;
            let meta = part.meta();
            if (meta.event.as_str(), meta.first, &meta.of) != (event, first, &week.of) {
                let what = format!("it does not hold the days of `{event}` from {first} on");
                return Err(StoreError::damaged(&path, what));
            }
            Ok(Part::Week(Arc::new(part)))
        })?;
        Ok(if let Part::Week(part) = part { Some(part) } else { None })
    }

    /// None when no published day of the event ever had the dimension.
    pub fn dictionary(&self, event: &str, dimension: &str) -> Result<Option<Arc<Dictionary>>> {
        let event = self.manifest.events.get(event);
        let Some(entry) = event.and_then(|event| event.dimensions.get(dimension)) else { return Ok(None) };
        let part = self.part(&entry.file, |file| {
            Dictionary::new(file, entry).map(|part| Part::Dictionary(Arc::new(part)))
        })?;
        Ok(if let Part::Dictionary(part) = part { Some(part) } else { None })
    }

    /// Bytes of the files that the published data consist of. Files never change, so one look is enough.
    ///
    /// # Errors
    /// The storage can't be reached.
    pub fn sizes(&self) -> Result<Sizes> {
        if let Some(sizes) = self.sizes.get() {
            return Ok(*sizes);
        }
        let sizes = Sizes::of(&self.manifest, &self.shelf)?;
        Ok(*self.sizes.get_or_init(|| sizes))
    }

    /// Length in bytes of one of the manifest's files.
    pub fn file_len(&self, file: &str) -> Result<u64> {
        let path = self.shelf.folder().join(file);
        Ok(std::fs::metadata(&path).at(&path)?.len())
    }

    /// None when the app has no such cohort. Without users that are erased, also where its file has them still.
    pub fn cohort(&self, id: &str) -> Result<Option<CohortFile>> {
        let file = CohortFile::open(&self.shelf, id)?;
        file.map(|file| file.without_erased(&self.directory)).transpose()
    }

    fn part(&self, file: &str, open: impl FnOnce(Arc<Sealed>) -> Result<Part>) -> Result<Part> {
        let parts = || self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(part) = parts().get(file) {
            return Ok(part.clone());
        }
        // Opened outside the lock: checking a large file takes a while, and doing it twice harms nobody.
        let part = open(Arc::new(self.shelf.open(file)?))?;
        Ok(parts().entry(file.to_owned()).or_insert(part).clone())
    }
}
