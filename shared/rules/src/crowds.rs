//! Base crowds: the predefined universes and those of an app's own, and how one becomes the events and days
//! of a plan.

use muster_days::Ds;

use crate::check::{Dating, Names, Part, newest_of};
use crate::codes;
use crate::freshness::{self, Freshness, missing};
use crate::normalise::normalise;
use crate::plan::{Node, Plan, Universe};
use crate::pointer::At;
use crate::problem::shown;
use crate::rule::{EVERYONE, Rule};

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

/// Who is in a base crowd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Crowd {
    /// Users with a row of any of `events` in the `days` days that end on `as_of`.
    Window { events: Vec<String>, days: u32 },
    /// Those who satisfy a rule of the app's, which has no `as_of` of its own and names `all` or a window.
    Defined { rule: Rule, retired: bool },
}

/// What an event counts as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    pub event: String,
    pub active: bool,
    pub trade: bool,
}

impl Counted {
    /// Of an event of which the app says nothing, or not all.
    pub fn new(event: &str, active: Option<bool>, trade: Option<bool>) -> Counted {
        let trade = trade.unwrap_or_else(|| TRADE_EVENTS.contains(&event));
        Counted { event: event.to_owned(), active: active.unwrap_or(true), trade }
    }
}

/// The predefined crowd of this name in an app with these events.
pub fn predefined(name: &str, events: impl IntoIterator<Item = Counted>) -> Option<Crowd> {
    let (_, days) = PREDEFINED.into_iter().find(|(known, _)| *known == name)?;
    let trade = name.starts_with("trade_");
    let counts = events.into_iter().filter(|event| if trade { event.trade } else { event.active });
    Some(Crowd::Window { events: counts.map(|event| event.event).collect(), days })
}

/// A universe whose name is known, before the rule has a day.
pub(crate) enum Resolved<'r> {
    All,
    Window { name: String, days: u32, events: Vec<(String, Vec<Ds>)> },
    Defined { name: &'r str, retired: bool, within: Box<Resolved<'r>>, root: Node, parts: Vec<Part<'r>> },
}

/// `crowd` is what the catalogue has under the name.
pub(crate) fn resolve<'r, 'c: 'r>(
    names: &mut Names<'c>,
    name: &'r str,
    crowd: Option<&'r Crowd>,
) -> Option<Resolved<'r>> {
    match crowd {
        _ if name == EVERYONE => Some(Resolved::All),
        None => {
            let detail = format!("no universe is called `{}`: use `all` or a base crowd", shown(name));
            let mut known = names.catalogue.crowd_names();
            known.push(EVERYONE.to_owned());
            names.unknown(&At::root().key("universe"), codes::UNKNOWN_UNIVERSE, detail, name, known);
            None
        }
        Some(Crowd::Window { events, days }) => {
            let published = |event: &String| Some((event.clone(), names.catalogue.event(event)?.published));
            let events = events.iter().filter_map(published).collect();
            Some(Resolved::Window { name: name.to_owned(), days: (*days).max(1), events })
        }
        Some(Crowd::Defined { rule, retired }) => {
            let root = At::root();
            let (at, before) = (root.key("universe"), names.problems.count());
            let within = window(names, &rule.universe);
            let mut parts = Vec::new();
            let root = names.resolve(&rule.root, &root.key("where"), &mut parts);
            let of = format!("in the rule of the base crowd `{}`", shown(name));
            names.problems.move_to(before, &at, &of);
            let within = within?;
            parts.iter_mut().for_each(|part| part.pointer = at.to_string());
            Some(Resolved::Defined { name, retired: *retired, within: Box::new(within), root, parts })
        }
    }
}

/// What the rule of a base crowd may have for a universe.
fn window<'r>(names: &mut Names, name: &str) -> Option<Resolved<'r>> {
    let crowd = names.catalogue.crowd(name);
    if let Some(Crowd::Defined { .. }) = crowd {
        let detail = format!(
            "a base crowd lies in `all` or a predefined one, not in `{}`, which is a rule itself",
            shown(name)
        );
        names.problems.push(&At::root().key("universe"), codes::CROWD_IN_CROWD, detail);
        return None;
    }
    match resolve(names, name, crowd.as_ref())? {
        Resolved::Window { name, days, events } => Some(Resolved::Window { name, days, events }),
        _ => Some(Resolved::All),
    }
}

impl Resolved<'_> {
    /// The newest day that any part of it is published for.
    pub fn newest(&self) -> Option<Ds> {
        match self {
            Resolved::All => None,
            Resolved::Window { events, .. } => {
                events.iter().filter_map(|(_, days)| days.last().copied()).max()
            }
            Resolved::Defined { within, parts, .. } => within.newest().max(newest_of(parts)),
        }
    }

    /// A day counts as missing when none of the crowd's events is published for it.
    pub fn date(self, dating: &mut Dating) -> Universe {
        match self {
            Resolved::All => Universe::All,
            Resolved::Window { name, days, events } => date_window(name, days, events, dating),
            Resolved::Defined { name, retired, within, root, parts } => {
                if retired {
                    dating.warn("/universe", codes::RETIRED, format!("the base crowd `{name}` is retired"));
                }
                let universe = within.date(dating);
                let leaves = parts.into_iter().map(|part| part.date(dating)).collect();
                let plan = Plan { universe, as_of: dating.as_of, root: normalise(root), leaves };
                Universe::Defined { name: name.to_owned(), plan: Box::new(plan) }
            }
        }
    }
}

fn date_window(name: String, days: u32, mut events: Vec<(String, Vec<Ds>)>, dating: &mut Dating) -> Universe {
    let (from, to) = (dating.as_of.plus(1 - i64::from(days)), dating.as_of);
    for (_, published) in &mut events {
        published.retain(|day| (from..=to).contains(day));
    }
    events.retain(|(_, days)| !days.is_empty());
    let mut covered: Vec<Ds> = events.iter().flat_map(|(_, days)| days).copied().collect();
    covered.sort_unstable();
    covered.dedup();
    if covered.is_empty() {
        let detail = format!("`{name}` holds nobody: none of its events is published from {from} to {to}");
        dating.warn("/universe", codes::UNIVERSE_EMPTY, detail);
    }
    dating.freshness.push(Freshness {
        pointer: "/universe".to_owned(),
        kind: freshness::Part::Universe,
        name: name.clone(),
        ds: covered.last().copied(),
        from: Some(from),
        to: Some(to),
        missing_days: missing(&covered, from, to),
    });
    Universe::Crowd { name, events }
}
