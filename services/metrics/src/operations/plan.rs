//! What should be there for the data as published now, and what of it is not.

use std::collections::BTreeSet;

use muster_days::Ds;
use muster_evaluator::{SnapshotCatalogue, universe_files};
use muster_profile_store::{Manifest, Snapshot};
use muster_rules::{Caps, Catalogue, Condition, Rule, Universe, check};
use xxhash_rust::xxh3::xxh3_128;

use super::dimensions::{ValuesOf, wanted};
use crate::Settings;
use crate::store::{EventRow, Known};

/// The whole app, as a crowd.
pub const EVERYONE: &str = "all";

/// What should be there, days from new to old.
pub struct Plan {
    /// The oldest of the recent days.
    pub from: Ds,
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
    /// Names the files that say who is in it; of the whole app nothing, for who is in it only grows.
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
    /// Labels, each with the crowds of which it is not there.
    pub labels: Vec<(usize, BTreeSet<usize>)>,
}

impl Plan {
    /// None while nothing is published. Days before `oldest` are left out.
    pub fn new(snapshot: &Snapshot, settings: &Settings, oldest: Option<Ds>) -> Option<Plan> {
        let manifest = snapshot.manifest();
        let newest = SnapshotCatalogue(snapshot).newest()?;
        let from = newest.plus(1 - i64::from(settings.recent_days.max(1)));
        let from = oldest.map_or(from, |oldest| from.max(oldest));
        let mut days = Vec::new();
        for ds in published(manifest, from).into_iter().rev() {
            days.push(Day { ds, crowds: crowds(snapshot, ds), labels: labels(manifest, ds) });
        }
        Some(Plan {
            from,
            users: snapshot.directory().users(),
            days,
            events: events(manifest, from),
            dimensions: wanted(manifest, from, settings.dimension_values),
            names: names(manifest),
        })
    }

    /// What of it is not there, or was worked out from other data.
    pub fn missing(self, known: &Known) -> Missing {
        let Plan { from, users, days, events, mut dimensions, mut names } = self;
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
        let work = work.filter(|work| !work.crowds.is_empty() || !work.labels.is_empty()).collect();
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
    pub fn amount(&self) -> usize {
        self.labels.len().max(1)
    }
}

impl Day {
    fn missing(self, known: &Known) -> Work {
        let ds = self.ds.number();
        let stale_crowd = |crowd: &Crowd| {
            crowd.universe != Universe::All
                && known.crowds.get(&(ds, crowd.name.clone())) != Some(&crowd.fingerprint)
        };
        let stale_cells = |label: &Label, crowd: &Crowd| {
            let there = known.labels.get(&(ds, label.id, crowd.name.clone()));
            there.is_none_or(|(fingerprint, _)| *fingerprint != label.fingerprint(crowd))
        };
        let places = |test: &dyn Fn(&Crowd) -> bool| -> BTreeSet<usize> {
            (0..self.crowds.len()).filter(|&place| test(&self.crowds[place])).collect()
        };
        let crowds = places(&stale_crowd);
        let of_label = |(place, label): (usize, &Label)| (place, places(&|crowd| stale_cells(label, crowd)));
        let labels = self.labels.iter().enumerate().map(of_label);
        let labels = labels.filter(|(_, crowds)| !crowds.is_empty()).collect();
        Work { crowds, labels, day: self }
    }
}

impl Label {
    /// Names the files that the label's cells in the crowd rest on.
    pub fn fingerprint(&self, crowd: &Crowd) -> String {
        hash(&[&self.file, &crowd.fingerprint])
    }
}

/// The days from `from` on that anything is published for.
fn published(manifest: &Manifest, from: Ds) -> BTreeSet<Ds> {
    let labels = manifest.labels.values().flat_map(|label| label.days.range(from..).map(|(ds, _)| *ds));
    let events = manifest.events.values().flat_map(|event| event.days.range(from..).map(|(ds, _)| *ds));
    labels.chain(events).collect()
}

/// The whole app and the base crowds that are in use, each the very users that a rule counts in which names it.
fn crowds(snapshot: &Snapshot, ds: Ds) -> Vec<Crowd> {
    let (catalogue, catalogue_of) = (SnapshotCatalogue(snapshot), snapshot.catalogue());
    let names = std::iter::once(EVERYONE.to_owned()).chain(catalogue.crowd_names());
    let crowd = |name: String| {
        if catalogue_of.base_crowds.get(&name).is_some_and(|card| card.retired) {
            return None;
        }
        let rule = Rule { universe: name.clone(), as_of: Some(ds), root: Condition::All(Vec::new()) };
        let universe = match check(&rule, &catalogue, &Caps::default()) {
            Ok(checked) => checked.plan.universe,
            // Its label may have gone, its cohort be removed: the others are none the worse for it.
            Err(problems) => {
                tracing::warn!(app = snapshot.app(), crowd = name, ?problems, "a base crowd can't be used");
                return None;
            }
        };
        Some(Crowd { fingerprint: fingerprint(snapshot.manifest(), &universe), name, universe })
    };
    names.filter_map(crowd).collect()
}

fn fingerprint(manifest: &Manifest, universe: &Universe) -> String {
    match universe {
        Universe::All => EVERYONE.to_owned(),
        Universe::Crowd { .. } => hash(&universe_files(universe, manifest)),
        // The rule may change while the data do not.
        Universe::Defined { plan, .. } => {
            let rule = format!("{plan:?}");
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
