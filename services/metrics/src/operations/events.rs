//! What events came to, by day.

use std::collections::BTreeSet;

use muster_days::Ds;
use muster_profile_store::{EventEntry, Snapshot};
use muster_rules::nearest;

use super::names::privacy_floor;
use super::trend::{DAYS, check};
use crate::Metrics;
use crate::error::Error;
use crate::event_answers::{EventDay, EventList, EventTotal, EventTrend};
use crate::store;

/// Every event on the newest day that is worked out, or the newest one up to `ds`.
pub async fn events(metrics: &Metrics, snapshot: &Snapshot, ds: Option<Ds>) -> Result<EventList, Error> {
    let app = snapshot.app();
    let (first, newest) = store::newest_event_day(&metrics.db, app, None, ds).await?;
    let first = first.map(store::day).transpose()?;
    let day = store::day(newest.ok_or(Error::NoEventDay { ds, first })?)?;
    let rows = store::events_of(&metrics.db, app, day).await?;
    let there: BTreeSet<&str> = rows.iter().map(|row| row.event.as_str()).collect();
    let known = snapshot.manifest().events.keys();
    let missing = known.filter(|event| !there.contains(event.as_str())).cloned().collect();
    let total = |row: store::TotalRow| {
        let users = visible(snapshot, row.users);
        EventTotal { event: row.event, pv: row.pv as u64, users }
    };
    let events = rows.into_iter().map(total).collect();
    let privacy_floor = privacy_floor(snapshot);
    Ok(EventList { app_id: app.to_owned(), ds: day, missing, privacy_floor, events })
}

/// So many users of a row, if the app lets so few be shown, and so few who have none.
pub fn visible(snapshot: &Snapshot, users: i64) -> Option<u64> {
    snapshot.catalogue().settings.floor().shown(users as u64, snapshot.directory().users())
}

/// An event over days: up to the newest one that is worked out, thirty of them, unless the request says.
pub async fn event_trend(
    metrics: &Metrics,
    snapshot: &Snapshot,
    event: &str,
    (from, to): (Option<Ds>, Option<Ds>),
) -> Result<EventTrend, Error> {
    let app = snapshot.app();
    known(snapshot, event)?;
    let (first, newest) = store::newest_event_day(&metrics.db, app, Some(event), to).await?;
    let first = first.map(store::day).transpose()?;
    let newest = store::day(newest.ok_or(Error::NoEventDay { ds: to, first })?)?;
    let to = to.unwrap_or(newest);
    let from = from.unwrap_or_else(|| newest.plus(1 - DAYS));
    check(from, to)?;
    let mut days = Vec::new();
    for row in store::event_days(&metrics.db, app, event, (from, to)).await? {
        days.push(EventDay {
            ds: store::day(row.ds)?,
            pv: row.pv as u64,
            users: visible(snapshot, row.users),
        });
    }
    let there: BTreeSet<Ds> = days.iter().map(|day| day.ds).collect();
    Ok(EventTrend {
        app_id: app.to_owned(),
        event: event.to_owned(),
        from,
        to,
        days,
        missing_days: from.through(to).filter(|day| !there.contains(day)).collect(),
        privacy_floor: privacy_floor(snapshot),
    })
}

/// Refuses an event that the app has never had.
pub fn known<'s>(snapshot: &'s Snapshot, event: &str) -> Result<&'s EventEntry, Error> {
    let events = &snapshot.manifest().events;
    let unknown = || Error::UnknownEvent { given: event.to_owned(), nearest: nearest(event, events.keys()) };
    events.get(event).ok_or_else(unknown)
}
