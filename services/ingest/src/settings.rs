//! What the ingest service is told from outside.

use std::collections::BTreeMap;
use std::path::PathBuf;

use muster_days::Tz;

use crate::rejects::RejectLimit;
use crate::retention::Retention;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Where uploads, reject reports and spilled rows lie: one folder per import job.
    pub folder: PathBuf,
    /// Bytes of rows kept in memory by one import before they are spilled.
    pub memory: usize,
    /// For imports that don't say.
    pub reject_limit: RejectLimit,
    /// The zone an app counts its days in, unless `zones` names another.
    pub zone: Tz,
    /// By app.
    pub zones: BTreeMap<String, Tz>,
    /// How long data days are kept, of every app.
    pub retention: Retention,
    /// Imports that run side by side in this process.
    pub concurrency: usize,
    /// Kinds of jobs to have done for every app whose published data changed. They get no payload.
    pub follow_up: Vec<&'static str>,
}

impl Settings {
    pub fn new(folder: PathBuf) -> Settings {
        Settings {
            folder,
            memory: 128 << 20,
            reject_limit: RejectLimit::default(),
            zone: Tz::UTC,
            zones: BTreeMap::new(),
            retention: Retention::default(),
            concurrency: 1,
            follow_up: Vec::new(),
        }
    }

    pub fn zone_of(&self, app: &str) -> Tz {
        self.zones.get(app).copied().unwrap_or(self.zone)
    }

    /// How long the app's days are kept. Whoever wants to know asks here.
    pub fn retention(&self, _app: &str) -> Retention {
        self.retention
    }
}
