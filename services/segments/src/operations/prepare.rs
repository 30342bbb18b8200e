//! From a rule's text to something that can be evaluated: parsed, checked against what is published, and
//! bound to it.

use std::sync::Arc;
use std::time::Instant;

use muster_days::Ds;
use muster_evaluator::{Bound, SnapshotCatalogue};
use muster_profile_store::{Manifest, Snapshot, Store};
use muster_rules::{Checked, Freshness, Plan, Rule, Test, Universe, Warning, check};
use xxhash_rust::xxh3::xxh3_128;

use crate::Segments;
use crate::error::Error;
use crate::instruments;

/// A rule on one snapshot of its app.
pub struct Prepared {
    pub bound: Bound,
    pub freshness: Vec<Freshness>,
    pub warnings: Vec<Warning>,
}

pub fn snapshot(store: &Store, app: &str) -> Result<Arc<Snapshot>, Error> {
    store.snapshot(app)?.ok_or_else(|| Error::NoApp(app.to_owned()))
}

/// Reads a rule that stands under `prefix` in the request's body.
pub fn parse(segments: &Segments, text: &[u8], prefix: &str) -> Result<Rule, Error> {
    muster_rules::parse(text, &segments.caps)
        .map_err(|problems| Error::Rule(problems.into_iter().map(|problem| problem.under(prefix)).collect()))
}

impl Prepared {
    /// Opens the newest snapshot and binds the rule to it. When the files are replaced in that very moment
    /// it is done again with the snapshot that replaced them.
    pub fn open(segments: &Segments, app: &str, rule: &Rule, prefix: &str) -> Result<Prepared, Error> {
        let began = Instant::now();
        let opened = match Prepared::try_open(segments, app, rule, prefix) {
            Err(error) if error.is_stale() => Prepared::try_open(segments, app, rule, prefix),
            result => result,
        };
        instruments::opened(began.elapsed());
        opened
    }

    fn try_open(segments: &Segments, app: &str, rule: &Rule, prefix: &str) -> Result<Prepared, Error> {
        let snapshot = snapshot(&segments.profiles, app)?;
        let refused = |problems: Vec<muster_rules::Problem>| {
            Error::Rule(problems.into_iter().map(|problem| problem.under(prefix)).collect())
        };
        let checked = check(rule, &SnapshotCatalogue(&snapshot), &segments.caps).map_err(refused)?;
        let Checked { plan, warnings, freshness } = checked;
        let bound = Bound::new(plan, snapshot)?;
        Ok(Prepared { bound, freshness, warnings })
    }

    pub fn as_of(&self) -> Ds {
        self.bound.plan().as_of
    }

    /// Names the exact data the answer rests on: equal for two runs on the same files.
    pub fn inputs(&self) -> String {
        let mut names = Vec::new();
        plan_files(self.bound.plan(), self.bound.snapshot().manifest(), &mut names);
        format!("{:032x}", xxh3_128(names.join("\n").as_bytes()))
    }
}

/// The data files that the plan reads, cohorts by their id, in a fixed order.
fn plan_files<'a>(plan: &'a Plan, manifest: &'a Manifest, files: &mut Vec<&'a str>) {
    if let Universe::Crowd { events, .. } = &plan.universe {
        events.iter().for_each(|(event, days)| event_files(manifest, event, days, files));
    } else {
        files.extend(manifest.users.iter().map(|users| &*users.file));
    }
    for leaf in &plan.leaves {
        match &leaf.test {
            Test::Tags { label, ds, .. } | Test::Weight { label, ds, .. } => {
                let days = manifest.labels.get(label).map(|entry| &entry.days);
                files.extend(days.zip(*ds).and_then(|(days, ds)| days.get(&ds)).map(|day| &*day.file));
            }
            Test::Event { event, days, .. } => event_files(manifest, event, days, files),
            Test::Cohort { id } => files.push(id),
        }
    }
}

fn event_files<'a>(manifest: &'a Manifest, event: &str, days: &[Ds], files: &mut Vec<&'a str>) {
    let published = manifest.events.get(event).map(|entry| &entry.days);
    files.extend(days.iter().filter_map(|ds| published?.get(ds)).map(|day| &*day.file));
}
