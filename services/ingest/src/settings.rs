//! What the ingest service is told from outside.

use std::collections::BTreeMap;
use std::path::PathBuf;

use chrono::{DateTime, Utc};
use muster_catalogue::AppSettings;
use muster_days::{Ds, Tz};
use muster_profile_store::{Kept, Manifest};

use crate::rejects::RejectLimit;
use crate::retention::{Retention, basics, stricter};

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
    /// Whether apps that don't say are disabled.
    pub start_disabled: bool,
    /// Whether files of disabled apps are taken in for the sake of their profile of the newest day.
    pub basics_when_disabled: bool,
    /// Days for which files of disabled apps are kept aside.
    pub aside_days: u32,
    /// So many days after its app's own day, when the file came, may a row lie.
    pub days_ahead: u32,
    /// Imports that run side by side in this process.
    pub concurrency: usize,
    /// Kinds of jobs to have done for every app whose published data changed. They get no payload.
    pub follow_up: Vec<&'static str>,
    /// Kinds of jobs that clear what rests on the data of users who were erased, in this order. They get no payload.
    pub erase_elsewhere: Vec<&'static str>,
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
            start_disabled: false,
            basics_when_disabled: false,
            aside_days: 30,
            days_ahead: 2,
            concurrency: 1,
            follow_up: Vec::new(),
            erase_elsewhere: Vec::new(),
        }
    }

    /// The zone that the app counts its days in; `own` is what its catalogue says.
    pub fn zone(&self, app: &str, own: &AppSettings) -> Tz {
        let own = own.time_zone.as_ref().and_then(|zone| zone.parse().ok());
        own.or_else(|| self.zones.get(app).copied()).unwrap_or(self.zone)
    }

    /// The last day that rows of the app may have in an import that began at `began`.
    pub fn last_day(&self, app: &str, own: &AppSettings, began: DateTime<Utc>) -> Option<Ds> {
        Some(Ds::of(began, self.zone(app, own))?.plus(i64::from(self.days_ahead)))
    }

    /// How long an app's days are kept.
    pub fn retention(&self, own: &AppSettings) -> Retention {
        let Retention { label_days, event_days } = self.retention;
        Retention {
            label_days: own.label_days.unwrap_or(label_days),
            event_days: own.event_days.unwrap_or(event_days),
        }
    }

    pub fn enabled(&self, own: &AppSettings) -> bool {
        own.is_enabled(!self.start_disabled)
    }

    /// Whether anything is built for an app.
    pub fn builds(&self, own: &AppSettings) -> bool {
        self.basics_when_disabled || self.enabled(own)
    }

    /// What is kept of an app on `today`, its own day.
    pub fn kept(&self, own: &AppSettings, manifest: &Manifest, today: Ds) -> Kept {
        let retained = self.retention(own).on(today);
        match (self.enabled(own), self.basics_when_disabled) {
            (true, _) => retained,
            (false, true) => stricter(retained, basics(manifest, today)),
            (false, false) => Kept { nothing: true, ..Kept::default() },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn the_last_day_is_counted_from_the_apps_own() {
        let mut settings = Settings::new(PathBuf::new());
        let began = "2026-11-01T16:00:00Z".parse().unwrap();
        let last =
            |settings: &Settings, own: &AppSettings| settings.last_day("shop", own, began).unwrap().number();
        assert_eq!(last(&settings, &AppSettings::default()), 20261103);
        let tokyo = AppSettings { time_zone: Some("Asia/Tokyo".into()), ..AppSettings::default() };
        assert_eq!(last(&settings, &tokyo), 20261104);
        settings.days_ahead = 0;
        assert_eq!(last(&settings, &tokyo), 20261102);
    }

    #[test]
    fn what_an_app_says_comes_before_what_the_deployment_says() {
        let mut settings = Settings::new(PathBuf::new());
        settings.zones.insert("shop".into(), Tz::Asia__Tokyo);
        settings.retention = Retention { label_days: 5, event_days: 9 };
        let silent = AppSettings::default();
        assert_eq!(
            (settings.zone("shop", &silent), settings.zone("other", &silent)),
            (Tz::Asia__Tokyo, Tz::UTC)
        );
        assert_eq!(settings.retention(&silent), settings.retention);
        assert!(settings.enabled(&silent));
        settings.start_disabled = true;
        assert!(!settings.enabled(&silent) && !settings.builds(&silent));
        settings.basics_when_disabled = true;
        assert!(!settings.enabled(&silent) && settings.builds(&silent));
        settings.basics_when_disabled = false;

        let own = AppSettings {
            time_zone: Some("Asia/Kolkata".into()),
            event_days: Some(0),
            enabled: Some(true),
            ..AppSettings::default()
        };
        assert_eq!(settings.zone("shop", &own), Tz::Asia__Kolkata);
        assert_eq!(settings.retention(&own), Retention { label_days: 5, event_days: 0 });
        assert!(settings.enabled(&own) && settings.builds(&own));
    }

    #[test]
    fn of_a_disabled_app_the_less_of_retention_and_basics_is_kept() {
        let mut settings = Settings::new(PathBuf::new());
        let today = Ds::from_number(20261101).unwrap();
        let own = |enabled, event_days| AppSettings {
            enabled: Some(enabled),
            event_days: Some(event_days),
            ..AppSettings::default()
        };
        // Nothing is published: there is no newest day, and nothing that basics would drop.
        let empty = Manifest::new("shop", 16);
        let kept = |settings: &Settings, own: &AppSettings| settings.kept(own, &empty, today);
        assert_eq!(kept(&settings, &own(true, 0)), Kept::default());
        assert!(kept(&settings, &own(false, 0)).nothing);
        settings.basics_when_disabled = true;
        assert_eq!(kept(&settings, &own(false, 0)), Kept::default());
        let month = Kept { events_from: Some(today.plus(-30)), ..Kept::default() };
        assert_eq!((kept(&settings, &own(true, 30)), kept(&settings, &own(false, 30))), (month, month));
    }
}
