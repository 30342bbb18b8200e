//! The label and the crowd that a request means.

use std::sync::Arc;

use muster_evaluator::SnapshotCatalogue;
use muster_profile_store::{LabelEntry, Snapshot};
use muster_rules::{Catalogue, nearest};

use super::plan::EVERYONE;
use crate::Metrics;
use crate::error::Error;

/// The app's data as published now.
pub async fn snapshot(metrics: &Metrics, app: &str) -> Result<Arc<Snapshot>, Error> {
    // Handing a look at two files to another thread costs more than the look.
    if let Some(snapshot) = metrics.profiles.opened(app) {
        return Ok(snapshot);
    }
    let (store, name) = (metrics.profiles.clone(), app.to_owned());
    let opened = tokio::task::spawn_blocking(move || store.snapshot(&name)).await;
    let opened = opened.map_err(|error| Error::Inside(error.to_string()))??;
    opened.ok_or_else(|| Error::NoApp(app.to_owned()))
}

/// The app's privacy floor, if it has one.
pub fn privacy_floor(snapshot: &Snapshot) -> Option<u64> {
    snapshot.catalogue().settings.floor().named()
}

/// The whole app and the base crowds.
pub fn crowd_names(snapshot: &Snapshot) -> Vec<String> {
    let mut names = SnapshotCatalogue::new(snapshot).crowd_names();
    names.push(EVERYONE.to_owned());
    names
}

/// Those of them that are in use.
pub fn current_crowds(snapshot: &Snapshot) -> Vec<String> {
    let cards = &snapshot.catalogue().base_crowds;
    let mut names = crowd_names(snapshot);
    names.retain(|name| !cards.get(name).is_some_and(|card| card.retired));
    names
}

/// Refuses what is not the whole app or a base crowd, retired ones included.
pub fn known_crowd(snapshot: &Snapshot, crowd: &str) -> Result<(), Error> {
    let known = crowd_names(snapshot);
    if known.iter().any(|name| name == crowd) {
        return Ok(());
    }
    Err(Error::UnknownCrowd { given: crowd.to_owned(), nearest: nearest(crowd, known) })
}

/// A label and a crowd of an app.
pub struct Asked<'a> {
    pub app: &'a str,
    pub snapshot: &'a Snapshot,
    pub label: i64,
    pub entry: &'a LabelEntry,
    pub crowd: &'a str,
}

impl<'a> Asked<'a> {
    /// The label by its id, else by its name; the whole app when no crowd is named.
    pub fn new(
        app: &'a str,
        snapshot: &'a Snapshot,
        label: &str,
        crowd: Option<&'a str>,
    ) -> Result<Asked<'a>, Error> {
        let labels = &snapshot.manifest().labels;
        let by_id = label.parse::<i64>().ok().and_then(|id| labels.get_key_value(&id));
        let found = by_id.or_else(|| labels.iter().find(|(_, entry)| entry.name == label));
        let (&label, entry) = found.ok_or_else(|| Error::UnknownLabel {
            given: label.to_owned(),
            nearest: nearest(label, labels.values().map(|entry| &entry.name)),
        })?;
        let crowd = crowd.unwrap_or(EVERYONE);
        known_crowd(snapshot, crowd)?;
        Ok(Asked { app, snapshot, label, entry, crowd })
    }

    /// The app's privacy floor, if it has one.
    pub fn floor(&self) -> Option<u64> {
        privacy_floor(self.snapshot)
    }

    /// The name of a tag, empty when it has none.
    pub fn tag_name(&self, tag: i64) -> String {
        self.entry.tags.get(&tag).cloned().unwrap_or_default()
    }
}
