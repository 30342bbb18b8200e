//! Base crowds: the predefined universes, and how one becomes the events and days of a plan.

use muster_days::Ds;

use crate::check::{Dating, Names};
use crate::codes;
use crate::freshness::{Freshness, Part, missing};
use crate::plan::Universe;
use crate::pointer::At;
use crate::problem::shown;
use crate::rule::EVERYONE;

/// Events that count as trade until an app says otherwise.
pub const TRADE_EVENTS: [&str; 3] = ["trade", "order", "purchase"];

/// The predefined base crowds with the days they look back; `all` has no days.
pub const PREDEFINED: [(&str, u32); 7] = [
    ("active_1d", 1),
    ("active_7d", 7),
    ("active_30d", 30),
    ("active_180d", 180),
    ("trade_1d", 1),
    ("trade_7d", 7),
    ("trade_30d", 30),
];

/// Users with a row of any of `events` in the `days` days that end on `as_of`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crowd {
    pub events: Vec<String>,
    pub days: u32,
}

/// The predefined crowd of this name in an app with these events.
pub fn predefined(name: &str, events: &[String]) -> Option<Crowd> {
    let (_, days) = PREDEFINED.into_iter().find(|(known, _)| *known == name)?;
    let counts = |event: &&String| name.starts_with("active_") || TRADE_EVENTS.contains(&event.as_str());
    Some(Crowd { events: events.iter().filter(counts).cloned().collect(), days })
}

/// A universe whose name is known, before the rule has a day.
pub(crate) enum Resolved {
    All,
    Crowd { name: String, days: u32, events: Vec<(String, Vec<Ds>)> },
}

pub(crate) fn resolve(names: &mut Names, name: &str) -> Option<Resolved> {
    if name == EVERYONE {
        return Some(Resolved::All);
    }
    let Some(crowd) = names.catalogue.crowd(name) else {
        let detail = format!("no universe is called `{}`: use `all` or a base crowd", shown(name));
        let mut known = names.catalogue.crowd_names();
        known.push(EVERYONE.to_owned());
        names.unknown(&At::root().key("universe"), codes::UNKNOWN_UNIVERSE, detail, name, known);
        return None;
    };
    let days_of = |event: String| {
        let published = names.catalogue.event(&event)?.published;
        Some((event, published))
    };
    let events = crowd.events.into_iter().filter_map(days_of).collect();
    Some(Resolved::Crowd { name: name.to_owned(), days: crowd.days.max(1), events })
}

impl Resolved {
    pub fn published(&self) -> impl Iterator<Item = &[Ds]> {
        let events = match self {
            Resolved::All => &[][..],
            Resolved::Crowd { events, .. } => events,
        };
        events.iter().map(|(_, days)| &days[..])
    }

    /// A day counts as missing when none of the crowd's events is published for it.
    pub fn date(self, dating: &mut Dating) -> Universe {
        let Resolved::Crowd { name, days, mut events } = self else { return Universe::All };
        let (from, to) = (dating.as_of.plus(1 - i64::from(days)), dating.as_of);
        for (_, published) in &mut events {
            published.retain(|day| (from..=to).contains(day));
        }
        events.retain(|(_, days)| !days.is_empty());
        let mut covered: Vec<Ds> = events.iter().flat_map(|(_, days)| days).copied().collect();
        covered.sort_unstable();
        covered.dedup();
        if covered.is_empty() {
            let detail =
                format!("`{name}` holds nobody: none of its events is published from {from} to {to}");
            dating.warn("/universe", codes::UNIVERSE_EMPTY, detail);
        }
        dating.freshness.push(Freshness {
            pointer: "/universe".to_owned(),
            kind: Part::Universe,
            name: name.clone(),
            ds: covered.last().copied(),
            from: Some(from),
            to: Some(to),
            missing_days: missing(&covered, from, to),
        });
        Universe::Crowd { name, events }
    }
}
