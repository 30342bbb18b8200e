//! The slow, obviously right twin of the evaluator: plain rows, maps and sets, and the rule as its author
//! wrote it. It knows no plan, no bitmap and no file, so that checking, planning, storing and evaluating
//! are all tested against it.

mod conditions;

use std::collections::{BTreeMap, BTreeSet};

use muster_days::Ds;
use muster_rules::{Condition, Key, Made, Rule};

pub use conditions::Leaf;

/// What an app has published, each (label, day) and (event, day) as it was last imported.
#[derive(Clone, Debug, Default)]
pub struct Rows {
    /// Everyone whom a label or an event has ever named, in parts replaced since, too.
    pub users: BTreeSet<String>,
    pub labels: BTreeMap<i64, Label>,
    pub events: BTreeMap<String, BTreeMap<Ds, Vec<EventRow>>>,
    /// Id → the day it was made for, and its members.
    pub cohorts: BTreeMap<String, (Ds, BTreeSet<String>)>,
    pub made: Made,
    /// Base crowds of the app's own.
    pub crowds: BTreeMap<String, Rule>,
    /// By event: whether it counts as active and as trade, where the app says so.
    pub counted: BTreeMap<String, (Option<bool>, Option<bool>)>,
}

#[derive(Clone, Debug, Default)]
pub struct Label {
    /// As last published.
    pub name: String,
    /// Code → name as last published.
    pub tags: BTreeMap<i64, String>,
    pub days: BTreeMap<Ds, Vec<LabelRow>>,
}

#[derive(Clone, Debug, PartialEq)]
pub struct LabelRow {
    pub user: String,
    pub tag: i64,
    pub tag_name: String,
    pub weight: Option<i64>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct EventRow {
    pub user: String,
    /// Dimension → value, of those that the row carries.
    pub dimensions: BTreeMap<String, String>,
    pub pv: i64,
    pub measures: BTreeMap<String, i64>,
}

/// What a rule comes to.
#[derive(Debug)]
pub struct Outcome<'a> {
    pub as_of: Ds,
    pub universe: BTreeSet<&'a str>,
    pub members: BTreeSet<&'a str>,
    /// By JSON pointer.
    pub leaves: BTreeMap<String, Leaf<'a>>,
}

impl Rows {
    /// Of rows for one (user, tag) the last one counts.
    pub fn publish_label(&mut self, ds: Ds, id: i64, name: &str, rows: Vec<LabelRow>) {
        let label = self.labels.entry(id).or_default();
        label.name = name.to_owned();
        for row in &rows {
            self.users.insert(row.user.clone());
            label.tags.insert(row.tag, row.tag_name.clone());
        }
        label.days.insert(ds, rows);
    }

    pub fn publish_event(&mut self, ds: Ds, event: &str, rows: Vec<EventRow>) {
        self.users.extend(rows.iter().map(|row| row.user.clone()));
        self.events.entry(event.to_owned()).or_default().insert(ds, rows);
    }

    /// Evaluates a rule whose names are known. None when there is no day to look from.
    pub fn outcome<'a>(&'a self, rule: &'a Rule) -> Option<Outcome<'a>> {
        let as_of = rule.as_of.or_else(|| self.newest_of(rule)).or_else(|| self.newest())?;
        let universe = self.universe(&rule.universe, as_of);
        let mut leaves = BTreeMap::new();
        let members = self.satisfying(&rule.root, "/where", as_of, &universe, &mut leaves);
        Some(Outcome { as_of, universe, members, leaves })
    }

    /// Of a predefined crowd: the oldest published day of the 180 before its window, and who had any of its
    /// events on them. None of other crowds, and where none of these days is published.
    pub fn earlier(&self, crowd: &str, as_of: Ds) -> Option<(Ds, BTreeSet<&str>)> {
        if self.crowds.contains_key(crowd) {
            return None;
        }
        let window = days_of(crowd);
        let days = self.crowd_events(crowd).flat_map(|(_, days)| days);
        let days = days.filter(|(ds, _)| (window..window + 180).contains(&as_of.days_since(**ds)));
        let days: Vec<(&Ds, &Vec<EventRow>)> = days.collect();
        let from = **days.iter().map(|(ds, _)| ds).min()?;
        Some((from, days.iter().flat_map(|(_, rows)| rows.iter()).map(|row| row.user.as_str()).collect()))
    }

    /// By tag, of the label's newest day up to `ds`: how many of the users carry it with a weight, and the
    /// sum of these.
    pub fn weights_of(&self, label: i64, ds: Ds, users: &BTreeSet<&str>) -> BTreeMap<i64, (u64, i128)> {
        let days = self.labels.get(&label).map(|label| &label.days);
        let rows = days.and_then(|days| days.range(..=ds).next_back()).map(|(_, rows)| rows);
        let pairs = rows.into_iter().flatten().map(|row| ((row.user.as_str(), row.tag), row.weight));
        let mut weights: BTreeMap<i64, (u64, i128)> = BTreeMap::new();
        // Of rows for one pair the last one counts.
        for ((user, tag), weight) in pairs.collect::<BTreeMap<_, _>>() {
            let Some(weight) = weight.filter(|_| users.contains(user)) else { continue };
            let (count, sum) = weights.entry(tag).or_default();
            *count += 1;
            *sum += i128::from(weight);
        }
        weights
    }

    /// The users of `universe` that satisfy the condition at `pointer`; its leaves are noted.
    fn satisfying<'a>(
        &'a self,
        condition: &'a Condition,
        pointer: &str,
        as_of: Ds,
        universe: &BTreeSet<&'a str>,
        leaves: &mut BTreeMap<String, Leaf<'a>>,
    ) -> BTreeSet<&'a str> {
        let mut inner = |inner: &'a Condition, step: String| {
            self.satisfying(inner, &format!("{pointer}/{step}"), as_of, universe, leaves)
        };
        let leaf = match condition {
            Condition::All(items) => {
                let mut users = universe.clone();
                for (n, item) in items.iter().enumerate() {
                    let some = inner(item, format!("all/{n}"));
                    users.retain(|user| some.contains(user));
                }
                return users;
            }
            Condition::Any(items) => {
                return items
                    .iter()
                    .enumerate()
                    .flat_map(|(n, item)| inner(item, format!("any/{n}")))
                    .collect();
            }
            Condition::Not(item) => {
                let some = inner(item, "not".to_owned());
                return universe.difference(&some).copied().collect();
            }
            Condition::Label(label) => self.label(label, as_of),
            Condition::Event(event) => self.event(event, as_of),
            Condition::Cohort(id) => self.cohort(id),
            Condition::Segment(id) => {
                let cohorts = &self.made.segments[id];
                let (_, cohort) = cohorts.iter().rfind(|(ds, _)| *ds <= as_of).expect("one that is made");
                self.cohort(cohort)
            }
            Condition::List(id) => {
                let (_, cohort) = self.made.lists[id].last().expect("one that is filled");
                self.cohort(cohort)
            }
        };
        let users = universe.intersection(&leaf.holds).copied().collect();
        leaves.insert(pointer.to_owned(), leaf);
        users
    }

    /// `all`, a crowd of the app's own, or `active_30d` and the like: users with a row in so many days that
    /// end on `as_of`.
    fn universe<'a>(&'a self, name: &str, as_of: Ds) -> BTreeSet<&'a str> {
        if let Some(rule) = self.crowds.get(name) {
            let within = self.universe(&rule.universe, as_of);
            return self.satisfying(&rule.root, "", as_of, &within, &mut BTreeMap::new());
        }
        if name == "all" {
            return self.users.iter().map(String::as_str).collect();
        }
        let days = days_of(name);
        let mut users = BTreeSet::new();
        for (ds, rows) in self.crowd_events(name).flat_map(|(_, days)| days) {
            if (0..days).contains(&as_of.days_since(*ds)) {
                users.extend(rows.iter().map(|row| row.user.as_str()));
            }
        }
        users
    }

    fn crowd_events(&self, name: &str) -> impl Iterator<Item = (&String, &BTreeMap<Ds, Vec<EventRow>>)> {
        let (active, trade) = (name.starts_with("active_"), name.starts_with("trade_"));
        self.events.iter().filter(move |(event, _)| {
            let usual = ["trade", "order", "purchase"].contains(&event.as_str());
            let (is_active, is_trade) = self.counted.get(*event).copied().unwrap_or_default();
            active && is_active.unwrap_or(true) || trade && is_trade.unwrap_or(usual)
        })
    }

    /// The newest day that any part of the rule is published for.
    fn newest_of(&self, rule: &Rule) -> Option<Ds> {
        let of_universe = match self.crowds.get(&rule.universe) {
            Some(crowd) => self.newest_of(crowd),
            None => self.crowd_events(&rule.universe).flat_map(|(_, days)| days.keys().copied()).max(),
        };
        of_universe.max(self.newest_in(&rule.root))
    }

    fn newest_in(&self, condition: &Condition) -> Option<Ds> {
        match condition {
            Condition::All(items) | Condition::Any(items) => {
                items.iter().filter_map(|item| self.newest_in(item)).max()
            }
            Condition::Not(item) => self.newest_in(item),
            Condition::Label(label) => self.find_label(&label.label)?.days.keys().max().copied(),
            Condition::Event(event) => self.events.get(&event.event)?.keys().max().copied(),
            Condition::Cohort(id) => self.cohorts.get(id).map(|(ds, _)| *ds),
            Condition::Segment(id) => {
                let newest = self.made.segments.get(id)?.last().map(|(ds, _)| *ds)?;
                Some(newest.min(self.newest()?))
            }
            Condition::List(_) => None,
        }
    }

    fn newest(&self) -> Option<Ds> {
        let labels = self.labels.values().flat_map(|label| label.days.keys());
        labels.chain(self.events.values().flat_map(BTreeMap::keys)).max().copied()
    }

    /// A name is tried as a name first, then as a code.
    fn find_label(&self, key: &Key) -> Option<&Label> {
        match key {
            Key::Code(id) => self.labels.get(id),
            Key::Name(name) => {
                let named = self.labels.values().find(|label| label.name == *name);
                named.or_else(|| self.labels.get(&name.parse().ok()?))
            }
        }
    }
}

/// Of `active_30d`: 30.
fn days_of(crowd: &str) -> i64 {
    crowd.trim_start_matches(|c| c != '_').trim_matches(['_', 'd']).parse().expect("a crowd")
}
