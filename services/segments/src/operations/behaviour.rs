//! What the members of a cohort did, beside the whole app: by event, by day, and by the values of a dimension.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Instant;

use muster_catalogue::hidden::Counts;
use muster_days::Ds;
use muster_evaluator::{Behaviour, ByValue, Control, Did, EventCounts, UsersAndPv};
use muster_profile_store::Snapshot;
use muster_rules::{Universe, nearest};

use super::in_app::InApp;
use super::profile::members_of;
use super::served::snapshot;
use crate::Segments;
use crate::answers::Cohort;
use crate::behaviour_answers::{
    Beside, CohortBehaviour, CohortValues, DayBehaviour, EventBehaviour, ValueBehaviour,
};
use crate::error::Error;

/// A cohort that may be shown, and the days that are asked about.
pub struct OverDays {
    pub cohort: Cohort,
    pub days: RangeInclusive<Ds>,
}

impl OverDays {
    fn crowds(&self) -> [Universe; 2] {
        [members_of(&self.cohort.id, *self.days.end()), Universe::All]
    }
}

/// Of these events, of all when there are none. Blocks.
pub fn behaviour(
    segments: &Segments,
    of: &OverDays,
    events: &[String],
    (control, began): (&Control<'_>, Instant),
) -> Result<CohortBehaviour, Error> {
    super::on_newest_data(|| {
        let snapshot = snapshot(segments, &of.cohort.app_id)?;
        let names: Vec<&str> = match events.is_empty() {
            true => snapshot.manifest().events.keys().map(String::as_str).collect(),
            false => events.iter().map(String::as_str).collect(),
        };
        names.iter().try_for_each(|name| known_event(&snapshot, name))?;
        let counts = Behaviour::new(&of.crowds(), &names, &of.days, snapshot.clone())?;
        let counts = counts.counts(control)?;
        let view = InApp::new(&snapshot, counts.crowds[0], counts.crowds[1]);
        let told = names.iter().zip(&counts.events);
        Ok(CohortBehaviour {
            cohort_id: of.cohort.id.clone(),
            from: *of.days.start(),
            to: *of.days.end(),
            users: view.users,
            app_users: view.sizes().app,
            events: told.map(|(name, counts)| view.event(name, counts)).collect(),
            privacy_floor: view.floor.named(),
            took_ms: super::millis(began),
        })
    })
}

/// At most `top` values. Blocks.
pub fn behaviour_by_value(
    segments: &Segments,
    of: &OverDays,
    (event, dimension): (&str, &str),
    top: usize,
    (control, began): (&Control<'_>, Instant),
) -> Result<CohortValues, Error> {
    super::on_newest_data(|| {
        let snapshot = snapshot(segments, &of.cohort.app_id)?;
        known_event(&snapshot, event)?;
        let known = snapshot.manifest().events[event].dimensions.keys();
        if !known.clone().any(|name| name == dimension) {
            let nearest = nearest(dimension, known);
            return Err(Error::Unknown { what: "dimension", given: dimension.to_owned(), nearest });
        }
        let counts = ByValue::new(&of.crowds(), (event, dimension), &of.days, snapshot.clone())?;
        let counts = counts.counts(top, control)?;
        let size = of.cohort.size.unwrap_or_default();
        let view = InApp::new(&snapshot, size, snapshot.directory().users());
        let values = counts.values.iter().filter_map(|value| view.value(&value.value, &value.crowds));
        Ok(CohortValues {
            cohort_id: of.cohort.id.clone(),
            event: event.to_owned(),
            dimension: dimension.to_owned(),
            from: *of.days.start(),
            to: *of.days.end(),
            users: view.users,
            app_users: view.sizes().app,
            values: values.collect(),
            values_total: counts.crowds[0].values,
            privacy_floor: view.floor.named(),
            took_ms: super::millis(began),
        })
    })
}

pub fn known_event(snapshot: &Arc<Snapshot>, event: &str) -> Result<(), Error> {
    let events = &snapshot.manifest().events;
    if events.contains_key(event) {
        return Ok(());
    }
    Err(Error::Unknown { what: "event", given: event.to_owned(), nearest: nearest(event, events.keys()) })
}

impl InApp {
    fn index(self, in_crowd: Option<u64>, in_app: Option<u64>) -> Option<f64> {
        self.tagged(Counts { in_crowd: in_crowd?, in_app: in_app? }).index()
    }

    fn event(&self, name: &str, counts: &EventCounts) -> EventBehaviour {
        let (crowd, app) = (&counts.crowds[0], &counts.crowds[1]);
        let days = || crowd.days.iter().zip(&app.days);
        let told =
            |(crowd, app): (&Did, &Did)| self.shown(Counts { in_crowd: crowd.users, in_app: app.users });
        let mut range = self.beside(counts, &crowd.range, &app.range);
        // What the range comes to, less what its days do, is that of the days that are hidden; users of these may
        // be the same on all. And who is there in the range, but not on a day, is there on the others alone.
        let beyond = |range: &Did, day: &Did| self.floor.is_few(range.users.saturating_sub(day.users));
        if days().any(|day| told(day).0.is_none()) || crowd.days.iter().any(|day| beyond(&crowd.range, day)) {
            range = Beside { users: None, pv: None, sums: None, index: None, ..range };
        }
        if days().any(|day| told(day).1.is_none()) || app.days.iter().any(|day| beyond(&app.range, day)) {
            range = Beside { app_users: None, app_pv: None, app_sums: None, index: None, ..range };
        }
        let days = counts.days.iter().zip(days());
        let days =
            days.map(|(ds, (crowd, app))| DayBehaviour { ds: *ds, did: self.beside(counts, crowd, app) });
        EventBehaviour { event: name.to_owned(), range, days: days.collect() }
    }

    fn beside(&self, counts: &EventCounts, crowd: &Did, app: &Did) -> Beside {
        let (users, app_users) = self.shown(Counts { in_crowd: crowd.users, in_app: app.users });
        let sums = |did: &Did| {
            let sums = did.sums.iter().map(|sum| i64::try_from(*sum).ok());
            counts.measures.iter().cloned().zip(sums).collect()
        };
        Beside {
            users,
            pv: users.and_then(|_| i64::try_from(crowd.pv).ok()),
            sums: users.map(|_| sums(crowd)),
            app_users,
            app_pv: app_users.and_then(|_| i64::try_from(app.pv).ok()),
            app_sums: app_users.map(|_| sums(app)),
            index: self.index(users, app_users),
        }
    }

    /// None where too few members have the value.
    fn value(&self, value: &str, crowds: &[UsersAndPv]) -> Option<ValueBehaviour> {
        let (crowd, app) = (crowds[0], crowds[1]);
        let (users, app_users) = self.shown(Counts { in_crowd: crowd.users, in_app: app.users });
        Some(ValueBehaviour {
            value: value.to_owned(),
            users: users?,
            pv: i64::try_from(crowd.pv).ok()?,
            app_users,
            app_pv: app_users.and_then(|_| i64::try_from(app.pv).ok()),
            index: self.index(users, app_users),
        })
    }
}
