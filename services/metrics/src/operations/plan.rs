//! What should be there for the data as published now, and what of it is not.

use std::collections::BTreeSet;

use muster_days::Ds;
use muster_evaluator::{Earlier, SnapshotCatalogue, earlier, universe_files};
use muster_profile_store::{Manifest, Snapshot};
use muster_rules::{Caps, Catalogue, Condition, Rule, Universe, check};
use xxhash_rust::xxh3::xxh3_128;

use super::dimensions::{ValuesOf, wanted};
use super::names::current_crowds;
use crate::Settings;
use crate::store::{EventRow, Known};

/// The whole app, as a crowd.
pub const EVERYONE: &str = "all";

/// Another word when more is kept of a cell than before: then all are worked out anew.
const WORKED_OUT: &str = "users, weights";

/// What should be there, days from new to old.
pub struct Plan {
    /// The oldest day that is looked at.
    pub from: Ds,
    /// The oldest of the recent days. On those before it only what is there already is kept right.
    recent: Ds,
    /// Users of the whole app.
    pub users: u64,
    pub days: Vec<Day>,
    pub events: Vec<EventRow>,
    pub dimensions: Vec<ValuesOf>,
    pub names: Vec<Names>,
}

/// The names of a label and of its tags, as they are in the manifest.
pub struct Names {
    pub label: i64,
    pub fingerprint: String,
}

pub struct Day {
    pub ds: Ds,
    pub crowds: Vec<Crowd>,
    pub labels: Vec<Label>,
}

pub struct Crowd {
    pub name: String,
    pub universe: Universe,
    /// Names the files that say who is in it; of the whole app nothing, for its size is kept in a column of its own.
    pub fingerprint: String,
    /// Whether days that it looks at have been dropped: then what is there of it is right, and what can be
    /// counted now is not.
    pub cut: bool,
    /// Of a window: who was there before it.
    pub before: Option<Before>,
}

pub struct Before {
    /// None where nothing is published of the days before.
    pub earlier: Option<Earlier>,
    /// Names the files of the window and of the days before it.
    pub fingerprint: String,
}

/// A label and its newest day at or before the day that is looked from.
pub struct Label {
    pub id: i64,
    pub ds: Ds,
    pub file: String,
}

/// What has to be worked out of a day: places in its crowds and labels.
pub struct Work {
    pub day: Day,
    /// Crowds whose size is not there.
    pub crowds: BTreeSet<usize>,
    /// Windows of which it is not there who of them is new.
    pub new: BTreeSet<usize>,
    /// Labels, each with the crowds of which it is not there.
    pub labels: Vec<(usize, BTreeSet<usize>)>,
}

impl Plan {
    /// None while nothing is published. Days before `oldest` are left out.
    pub fn new(snapshot: &Snapshot, settings: &Settings, oldest: Option<Ds>) -> Option<Plan> {
        let manifest = snapshot.manifest();
        let newest = SnapshotCatalogue::new(snapshot).newest()?;
        let from = newest.plus(1 - i64::from(settings.recent_days.max(1)));
        // Users who were erased were counted on any day.
        let recent = oldest.map_or(from, |oldest| from.max(oldest));
        let from = match first(manifest) {
            Some(first) if manifest.erasure() > 0 => {
                recent.min(oldest.map_or(first, |oldest| first.max(oldest)))
            }
            _ => recent,
        };
        let mut days = Vec::new();
        for ds in published(manifest, from).into_iter().rev() {
            days.push(Day { ds, crowds: crowds(snapshot, ds), labels: labels(manifest, ds) });
        }
        Some(Plan {
            from,
            recent,
            users: snapshot.directory().users(),
            days,
            events: events(manifest, from),
            dimensions: wanted(manifest, from, settings.dimension_values),
            names: names(manifest),
        })
    }

    /// What of it is not there, or was worked out from other data.
    pub fn missing(self, known: &Known) -> Missing {
        let Plan { from, recent, users, mut days, mut events, mut dimensions, mut names } = self;
        let there = |ds: Ds| ds >= recent || known.crowds.contains_key(&(ds.number(), EVERYONE.to_owned()));
        days.retain(|day| there(day.ds));
        events.retain(|row| there(row.ds));
        dimensions.retain(|of| there(of.ds));
        dimensions.retain(|of| of.is_missing(&known.dimensions));
        names.retain(|of| known.names.get(&of.label) != Some(&of.fingerprint));
        let stale = |row: &EventRow| {
            known.events.get(&(row.ds.number(), row.event.clone())) != Some(&row.fingerprint)
        };
        let mut lines = known.labels.iter().filter(|((.., crowd), _)| crowd == EVERYONE);
        let resized = lines.any(|(_, (_, size))| *size != users);
        let size = users.to_string();
        let everyone_on = days
            .iter()
            .map(|day| day.ds)
            .filter(|ds| known.crowds.get(&(ds.number(), EVERYONE.to_owned())) != Some(&size));
        let everyone_on = everyone_on.collect();
        let events = events.into_iter().filter(stale).collect();
        let work = days.into_iter().map(|day| day.missing(known));
        let work = work.filter(|work| !work.is_empty()).collect();
        Missing { from, users, resized, everyone_on, events, dimensions, names, work }
    }
}

/// What is not there.
pub struct Missing {
    pub from: Ds,
    pub users: u64,
    /// Whether a line says another size of the whole app.
    pub resized: bool,
    /// Days on which another size of the whole app is written down.
    pub everyone_on: Vec<Ds>,
    pub events: Vec<EventRow>,
    pub dimensions: Vec<ValuesOf>,
    pub names: Vec<Names>,
    /// From new to old.
    pub work: Vec<Work>,
}

impl Missing {
    pub fn is_empty(&self) -> bool {
        let totals = self.everyone_on.is_empty() && self.events.is_empty() && self.dimensions.is_empty();
        !self.resized && totals && self.names.is_empty() && self.work.is_empty()
    }

    /// Labels times days, and days of which only crowds are counted.
    pub fn amount(&self) -> usize {
        self.work.iter().map(Work::amount).sum()
    }
}

impl Work {
    fn is_empty(&self) -> bool {
        self.crowds.is_empty() && self.new.is_empty() && self.labels.is_empty()
    }

    pub fn amount(&self) -> usize {
        self.labels.len().max(1)
    }
}

impl Day {
    fn missing(self, known: &Known) -> Work {
        let ds = self.ds.number();
        let stale_crowd = |crowd: &Crowd| {
            let there = known.crowds.get(&(ds, crowd.name.clone()));
            crowd.universe != Universe::All && crowd.is_stale(there)
        };
        let stale_new = |crowd: &Crowd| {
            let key = (ds, crowd.name.clone());
            let same_window = known.crowds.get(&key) == Some(&crowd.fingerprint);
            crowd.before.as_ref().is_some_and(|before| match known.new.get(&key) {
                None => true,
                // Days that it had looked at have been dropped.
                Some((_, from)) if crowd.cut || (same_window && before.lost(*from)) => false,
                Some((fingerprint, _)) => *fingerprint != before.fingerprint,
            })
        };
        let stale_cells = |label: &Label, crowd: &Crowd| {
            let there = known.labels.get(&(ds, label.id, crowd.name.clone()));
            there.is_none_or(|(there, _)| !crowd.cut && *there != label.fingerprint(crowd))
        };
        let places = |test: &dyn Fn(&Crowd) -> bool| -> BTreeSet<usize> {
            (0..self.crowds.len()).filter(|&place| test(&self.crowds[place])).collect()
        };
        let (crowds, new) = (places(&stale_crowd), places(&stale_new));
        let of_label = |(place, label): (usize, &Label)| (place, places(&|crowd| stale_cells(label, crowd)));
        let labels = self.labels.iter().enumerate().map(of_label);
        let labels = labels.filter(|(_, crowds)| !crowds.is_empty()).collect();
        Work { crowds, new, labels, day: self }
    }
}

impl Label {
    /// Names the files that the label's cells in the crowd rest on.
    pub fn fingerprint(&self, crowd: &Crowd) -> String {
        hash(&[WORKED_OUT, &self.file, &crowd.fingerprint])
    }
}

/// The days from `from` on that anything is published for.
fn published(manifest: &Manifest, from: Ds) -> BTreeSet<Ds> {
    let labels = manifest.labels.values().flat_map(|label| label.days.range(from..).map(|(ds, _)| *ds));
    let events = manifest.events.values().flat_map(|event| event.days.range(from..).map(|(ds, _)| *ds));
    labels.chain(events).collect()
}

/// The first day that anything is published for.
fn first(manifest: &Manifest) -> Option<Ds> {
    let labels = manifest.labels.values().filter_map(|label| label.days.keys().next());
    let events = manifest.events.values().filter_map(|event| event.days.keys().next());
    labels.chain(events).min().copied()
}

/// The whole app and the base crowds that are in use, each the very users that a rule counts in which names it.
fn crowds(snapshot: &Snapshot, ds: Ds) -> Vec<Crowd> {
    let catalogue = SnapshotCatalogue::new(snapshot);
    let crowd = |name: String| {
        let rule = Rule { universe: name.clone(), as_of: Some(ds), root: Condition::All(Vec::new()) };
        let (universe, freshness) = match check(&rule, &catalogue, &Caps::default()) {
            Ok(checked) => (checked.plan.universe, checked.freshness),
            // Its label may have gone, its cohort be removed: the others are none the worse for it.
            Err(problems) => {
                tracing::warn!(app = snapshot.app(), crowd = name, ?problems, "a base crowd can't be used");
                return None;
            }
        };
        let fingerprint = fingerprint(snapshot.manifest(), &universe);
        let dropped = |from: Ds| snapshot.manifest().events_from.is_some_and(|first| from < first);
        let cut = freshness.iter().filter_map(|part| part.from).any(dropped);
        let before = matches!(universe, Universe::Crowd { .. });
        let before = before.then(|| Before::new(&catalogue, (&name, &fingerprint), ds));
        Some(Crowd { fingerprint, name, universe, cut, before })
    };
    current_crowds(snapshot).into_iter().filter_map(crowd).collect()
}

impl Crowd {
    /// Against the fingerprint of what is there.
    fn is_stale(&self, there: Option<&String>) -> bool {
        there.is_none_or(|there| !self.cut && *there != self.fingerprint)
    }
}

impl Before {
    /// Whether less is known of the days before than when the oldest was `from`; 0: none was.
    fn lost(&self, from: u32) -> bool {
        from != 0 && self.earlier.as_ref().is_none_or(|earlier| from < earlier.from.number())
    }

    fn new(catalogue: &SnapshotCatalogue, (crowd, fingerprint): (&str, &str), ds: Ds) -> Before {
        let earlier = earlier(catalogue, crowd, ds);
        let days = earlier.iter().flat_map(|of| universe_files(&of.users, catalogue.snapshot().manifest()));
        let files: Vec<&str> = std::iter::once(fingerprint).chain(days).collect();
        Before { fingerprint: hash(&files), earlier }
    }
}

fn fingerprint(manifest: &Manifest, universe: &Universe) -> String {
    match universe {
        Universe::All => EVERYONE.to_owned(),
        Universe::Crowd { .. } => hash(&universe_files(universe, manifest)),
        // The rule may change while the data do not.
        Universe::Defined { plan, .. } => {
            let mut rule = format!("{plan:?}");
            // Who does not do something may have been erased, and no file of this rule tells.
            if manifest.erasure() > 0 {
                rule.push_str(&format!(" {}", manifest.erasure()));
            }
            let mut names = universe_files(universe, manifest);
            names.push(&rule);
            hash(&names)
        }
    }
}

fn labels(manifest: &Manifest, ds: Ds) -> Vec<Label> {
    let newest = manifest.labels.iter().filter_map(|(&id, entry)| {
        let (&day, part) = entry.days.range(..=ds).next_back()?;
        Some(Label { id, ds: day, file: part.file.clone() })
    });
    newest.collect()
}

fn events(manifest: &Manifest, from: Ds) -> Vec<EventRow> {
    let rows = manifest.events.iter().flat_map(|(event, entry)| {
        entry.days.range(from..).map(move |(&ds, day)| EventRow {
            event: event.clone(),
            ds,
            pv: day.pv,
            users: day.users,
            fingerprint: hash(&[&day.file]),
        })
    });
    rows.collect()
}

fn names(manifest: &Manifest) -> Vec<Names> {
    let names = manifest.labels.iter().map(|(&label, entry)| {
        // Written as Rust writes text: nothing in a name can be taken for the end of it.
        Names { label, fingerprint: hash(&[&format!("{:?} {:?}", entry.name, entry.tags)]) }
    });
    names.collect()
}

pub fn hash(names: &[&str]) -> String {
    format!("{:032x}", xxh3_128(names.join("\n").as_bytes()))
}
