//! Who of a window's users was there before it.

use muster_days::Ds;
use muster_rules::crowds::Crowd;
use muster_rules::{Catalogue, Universe};

use crate::catalogue::SnapshotCatalogue;

/// Days before a window in which its users are looked for: whoever has none of the crowd's events there is
/// new. As long as the longest window; a bound, so that a day costs the same however long an app has lived.
pub const LOOKS_BACK: i64 = 180;

/// The days before a window.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Earlier {
    /// The oldest of them that anything is published for.
    pub from: Ds,
    /// Users with a row of any of the crowd's events on any of them.
    pub users: Universe,
}

/// None for a crowd that is no window, and where nothing is published of the days before it: nobody can
/// tell then who is new.
pub fn earlier(catalogue: &SnapshotCatalogue<'_>, crowd: &str, as_of: Ds) -> Option<Earlier> {
    let Crowd::Window { events, days } = catalogue.crowd(crowd)? else { return None };
    let window = as_of.plus(1 - i64::from(days.max(1)));
    let (first, last) = (window.plus(-LOOKS_BACK), window.plus(-1));
    let published = |event: String| {
        let mut days = catalogue.event(&event)?.published;
        days.retain(|day| (first..=last).contains(day));
        (!days.is_empty()).then_some((event, days))
    };
    let events: Vec<(String, Vec<Ds>)> = events.into_iter().filter_map(published).collect();
    let from = events.iter().filter_map(|(_, days)| days.first().copied()).min()?;
    Some(Earlier { from, users: Universe::Crowd { name: crowd.to_owned(), events } })
}
