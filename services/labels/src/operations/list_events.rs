//! The events of an app, and the event that a path means.

use std::ops::Bound;

use muster_http::Page;
use muster_profile_store::{EventEntry, Manifest};
use serde::Serialize;
use utoipa::ToSchema;

use super::paging::Paging;
use super::published::Published;
use crate::error::{Error, Result, What};

/// An event and what is published of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Event {
    pub name: String,
    /// Those that any published day has had, by name.
    pub dimensions: Vec<Dimension>,
    /// Measure columns, such as `m_amount`, by name.
    pub measures: Vec<String>,
    /// Users with a row on the newest day.
    pub users: u64,
    /// Page views, or whatever the event counts, on the newest day.
    pub pv: u64,
    pub published: Published,
    /// When the newest day was published, in milliseconds since 1970.
    #[schema(required)]
    pub published_at: Option<i64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Dimension {
    pub name: String,
    /// How many values its dictionary holds.
    pub values: u32,
}

/// The events by name.
pub fn list_events(manifest: &Manifest, paging: &Paging<String>) -> Page<Event> {
    let start = paging.after.as_ref().map_or(Bound::Unbounded, Bound::Excluded);
    let events = manifest.events.range::<String, _>((start, Bound::Unbounded)).take(paging.fetch());
    paging.page(events.map(|(name, entry)| describe(name, entry)).collect(), |event| event.name.clone())
}

fn describe(name: &str, entry: &EventEntry) -> Event {
    let newest = entry.days.values().next_back();
    let dimensions = entry.dimensions.iter();
    let mut measures = entry.measures.clone();
    measures.sort();
    Event {
        name: name.to_owned(),
        dimensions: dimensions.map(|(name, d)| Dimension { name: name.clone(), values: d.values }).collect(),
        measures,
        users: newest.map_or(0, |day| day.users),
        pv: newest.map_or(0, |day| day.pv),
        published: Published::new(entry.days.keys().copied()),
        published_at: newest.map(|day| day.published_at),
    }
}

/// The event of this name.
pub fn find_event<'a>(manifest: &'a Manifest, given: &str) -> Result<&'a EventEntry> {
    manifest.events.get(given).ok_or_else(|| Error::UnknownName {
        what: What::Event,
        given: given.to_owned(),
        nearest: muster_rules::nearest(given, manifest.events.keys()),
    })
}
