//! Segments that are refreshed daily: every one of an app in few passes over its users, a cohort of each
//! for each data day.

mod due;
mod expire;
mod order;
mod pass;
mod run;

pub use due::OnMissing;
pub use run::run;

use std::collections::BTreeMap;

use chrono::{DateTime, NaiveTime, Utc};
use muster_catalogue::AppSettings;
use muster_days::{Ds, Tz, time_of_day};
use serde::Serialize;

use crate::Segments;
use crate::error::Error;
use crate::store::Outcome;

/// What the deployment says of daily segments.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The time of the day after, in the app's zone, from which on a data day is made.
    pub at: NaiveTime,
    pub zone: Tz,
    /// By app, where it differs.
    pub zones: BTreeMap<String, Tz>,
    /// Data days before the newest one that are made when they were missed.
    pub catch_up_days: usize,
    /// Days before the newest one that daily cohorts are kept; 0: all are.
    pub kept_days: u32,
}

impl Settings {
    /// An app's own time and zone go before.
    fn of(&self, app: &str, own: &AppSettings) -> (NaiveTime, Tz) {
        let at = own.routine_at.as_deref().and_then(time_of_day);
        let zone = own.time_zone.as_ref().and_then(|zone| zone.parse().ok());
        (at.unwrap_or(self.at), zone.or_else(|| self.zones.get(app).copied()).unwrap_or(self.zone))
    }
}

/// What a run rests on: the newest data day whose time has come in the app, and the generation of its data.
pub async fn state(segments: &Segments, app: &str, now: DateTime<Utc>) -> Result<Option<(Ds, u64)>, Error> {
    let (segments, app) = (segments.clone(), app.to_owned());
    let read = tokio::task::spawn_blocking(move || -> Result<Option<(Ds, u64)>, Error> {
        let Some(snapshot) = segments.profiles.snapshot(&app)? else { return Ok(None) };
        if !snapshot.catalogue().settings.is_enabled(!segments.start_disabled) {
            return Ok(None);
        }
        let newest = due::newest(now, segments.routine.of(&app, &snapshot.catalogue().settings));
        Ok(newest.map(|ds| (ds, snapshot.manifest().generation)))
    });
    read.await.map_err(|error| Error::Inside(error.to_string()))?
}

/// What a job came to: by day, how many segments had which outcome.
#[derive(Debug, Default, Serialize)]
pub struct Done {
    pub days: BTreeMap<Ds, BTreeMap<Outcome, usize>>,
    /// Daily cohorts that were too old to be kept.
    pub dropped: usize,
}
