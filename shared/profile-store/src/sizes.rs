//! How much of the storage an app's published data take.

use std::collections::HashMap;

use crate::error::Result;
use crate::manifest::Manifest;
use crate::shelf::Shelf;

/// Bytes of the files that a manifest names, by what they hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sizes {
    pub labels: u64,
    pub events: u64,
    pub weeks: u64,
    /// The values of dimensions.
    pub dictionaries: u64,
    /// The ids of users.
    pub directory: u64,
}

impl Sizes {
    /// A file that is not there (yet) counts as nothing.
    pub(crate) fn of(manifest: &Manifest, shelf: &Shelf) -> Result<Sizes> {
        let files = shelf.data_files()?.into_iter();
        let there: HashMap<String, u64> = files.map(|file| (file.name, file.bytes)).collect();
        let bytes = |file: &String| there.get(file).copied().unwrap_or(0);
        let users = manifest.users.iter().map(|entry| &entry.file);
        let directory = users.chain(manifest.erased.iter().map(|entry| &entry.file)).map(bytes).sum();
        let mut sizes = Sizes { directory, ..Sizes::default() };
        for label in manifest.labels.values() {
            sizes.labels += label.days.values().map(|day| bytes(&day.file)).sum::<u64>();
        }
        for event in manifest.events.values() {
            sizes.events += event.days.values().map(|day| bytes(&day.file)).sum::<u64>();
            sizes.weeks += event.weeks.values().map(|week| bytes(&week.file)).sum::<u64>();
            sizes.dictionaries += event.dimensions.values().map(|entry| bytes(&entry.file)).sum::<u64>();
        }
        Ok(sizes)
    }

    pub fn total(&self) -> u64 {
        let Sizes { labels, events, weeks, dictionaries, directory } = self;
        labels + events + weeks + dictionaries + directory
    }
}
