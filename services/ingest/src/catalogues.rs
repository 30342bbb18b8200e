//! What the teams of the apps in a file have said that matters to its rows. Each app is looked up once per
//! import, so that the rows of one file are all treated alike.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use chrono::{DateTime, Utc};
use muster_catalogue::{AppCatalogue, UnknownLabels};
use muster_days::{Ds, Tz};
use muster_profile_store::{Store, StoreError};

use crate::aside;
use crate::settings::Settings;

pub struct Catalogues<'a> {
    store: &'a Store,
    settings: &'a Settings,
    began: DateTime<Utc>,
    known: Mutex<HashMap<String, Arc<AppCatalogue>>>,
    waiting: Mutex<HashMap<String, bool>>,
    /// The first that could not be read: what was asked of it since was answered by default.
    failed: OnceLock<StoreError>,
}

impl<'a> Catalogues<'a> {
    /// For an import that began at `began`.
    pub fn new(store: &'a Store, settings: &'a Settings, began: DateTime<Utc>) -> Catalogues<'a> {
        let (known, waiting) = (Mutex::default(), Mutex::default());
        Catalogues { store, settings, began, known, waiting, failed: OnceLock::new() }
    }

    /// The zone that the app counts its days in.
    pub fn zone_of(&self, app: &str) -> Tz {
        self.settings.zone(app, &self.of(app).settings)
    }

    /// Whether anything is built for the app.
    pub fn builds(&self, app: &str) -> bool {
        self.settings.builds(&self.of(app).settings)
    }

    /// The last day that rows of the app may have.
    pub fn last_day(&self, app: &str) -> Option<Ds> {
        self.settings.last_day(app, &self.of(app).settings, self.began)
    }

    /// Whether older files of the app are not taken in yet.
    pub fn waits(&self, app: &str) -> bool {
        let mut waiting = self.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(waits) = waiting.get(app) {
            return *waits;
        }
        let waits = aside::waits(self.settings, app).unwrap_or_else(|source| {
            let _ = self.failed.set(StoreError::Io { path: PathBuf::from(".aside"), source });
            true
        });
        waiting.insert(app.to_owned(), waits);
        waits
    }

    /// Whether rows of the label may come in.
    pub fn takes_label(&self, app: &str, label: i64) -> bool {
        let catalogue = self.of(app);
        match catalogue.settings.unknown_labels.unwrap_or_default() {
            UnknownLabels::Declare => true,
            UnknownLabels::Refuse => catalogue.labels.get(&label).is_some_and(|card| !card.retired),
        }
    }

    /// Nothing that was answered counts when there was an error.
    pub fn finish(self) -> Result<(), StoreError> {
        self.failed.into_inner().map_or(Ok(()), Err)
    }

    fn of(&self, app: &str) -> Arc<AppCatalogue> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(catalogue) = known.get(app) {
            return catalogue.clone();
        }
        let catalogue = self.store.catalogue(app).unwrap_or_else(|error| {
            let _ = self.failed.set(error);
            AppCatalogue::default()
        });
        let catalogue = Arc::new(catalogue);
        known.insert(app.to_owned(), catalogue.clone());
        catalogue
    }
}
