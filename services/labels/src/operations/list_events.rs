//! The events of an app, and the event that a path means.

use std::collections::{BTreeMap, BTreeSet};

use muster_catalogue::{DisplayNames, EventCard, Floor};
use muster_http::Page;
use muster_profile_store::{EventEntry, Manifest, Snapshot};
use muster_rules::crowds::Counted;
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
    /// Users with a row on the newest day. Null where they are fewer than the app's privacy floor.
    #[schema(required)]
    pub users: Option<u64>,
    /// Page views, or whatever the event counts, on the newest day.
    pub pv: u64,
    pub published: Published,
    /// When the newest day was published, in milliseconds since 1970.
    #[schema(required)]
    pub published_at: Option<i64>,
    /// Whether it makes a user active, and so a member of `active_7d` and the like.
    pub active: bool,
    /// Whether it counts as trade, for `trade_7d` and the like.
    pub trade: bool,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub display_names: DisplayNames,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Dimension {
    pub name: String,
    /// How many values its dictionary holds.
    pub values: u32,
}

/// The events by name.
pub fn list_events(snapshot: &Snapshot, paging: &Paging<String>) -> Page<Event> {
    let (published, declared) = (&snapshot.manifest().events, &snapshot.catalogue().events);
    let names: BTreeSet<&String> = published.keys().chain(declared.keys()).collect();
    let after = |name: &&String| paging.after.as_ref().is_none_or(|after| *name > after);
    let names = names.into_iter().filter(after);
    let none = EventEntry::default();
    let floor = (snapshot.catalogue().settings.floor(), snapshot.directory().users());
    let describe = |name: &String| {
        describe(
            name,
            published.get(name).unwrap_or(&none),
            declared.get(name).cloned().unwrap_or_default(),
            floor,
        )
    };
    paging.page(names.take(paging.fetch()).map(describe).collect(), |event| event.name.clone())
}

fn describe(name: &str, entry: &EventEntry, card: EventCard, (floor, everybody): (Floor, u64)) -> Event {
    let Counted { active, trade, .. } = Counted::new(name, card.active, card.trade);
    let newest = entry.days.values().next_back();
    let users = newest.map_or(0, |day| day.users);
    let dimensions = entry.dimensions.iter();
    let mut measures = entry.measures.clone();
    measures.sort();
    Event {
        name: name.to_owned(),
        dimensions: dimensions.map(|(name, d)| Dimension { name: name.clone(), values: d.values }).collect(),
        measures,
        users: floor.shown(users, everybody),
        pv: newest.map_or(0, |day| day.pv),
        published: Published::new(entry.days.keys().copied()),
        published_at: newest.map(|day| day.published_at),
        active,
        trade,
        display_names: card.display_names,
        owner: card.owner,
        description: card.description,
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
