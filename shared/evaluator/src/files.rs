//! Which data a plan rests on.

use muster_days::Ds;
use muster_profile_store::Manifest;
use muster_rules::{Plan, Test, Universe};

/// The data files that the plan reads, cohorts by their id, in a fixed order. Files never change and never
/// share a name: equal lists are equal data.
pub fn plan_files<'a>(plan: &'a Plan, manifest: &'a Manifest) -> Vec<&'a str> {
    let mut files = Vec::new();
    add_plan(plan, manifest, &mut files);
    files
}

/// The same of a universe; of the whole app, the files that say who is in it.
pub fn universe_files<'a>(universe: &'a Universe, manifest: &'a Manifest) -> Vec<&'a str> {
    let mut files = Vec::new();
    add_universe(universe, manifest, &mut files);
    files
}

fn add_universe<'a>(universe: &'a Universe, manifest: &'a Manifest, files: &mut Vec<&'a str>) {
    match universe {
        Universe::All => files.extend(manifest.users.iter().map(|users| &*users.file)),
        Universe::Crowd { events, .. } => {
            events.iter().for_each(|(event, days)| add_event(manifest, event, days, files));
        }
        Universe::Defined { plan, .. } => add_plan(plan, manifest, files),
    }
}

fn add_plan<'a>(plan: &'a Plan, manifest: &'a Manifest, files: &mut Vec<&'a str>) {
    add_universe(&plan.universe, manifest, files);
    for leaf in &plan.leaves {
        match &leaf.test {
            Test::Tags { label, ds, .. } | Test::Weight { label, ds, .. } => {
                let days = manifest.labels.get(label).map(|entry| &entry.days);
                files.extend(days.zip(*ds).and_then(|(days, ds)| days.get(&ds)).map(|day| &*day.file));
            }
            Test::Event { event, days, .. } => add_event(manifest, event, days, files),
            Test::Cohort { id } => files.push(id),
        }
    }
}

fn add_event<'a>(manifest: &'a Manifest, event: &str, days: &[Ds], files: &mut Vec<&'a str>) {
    let published = manifest.events.get(event).map(|entry| &entry.days);
    files.extend(days.iter().filter_map(|ds| published?.get(ds)).map(|day| &*day.file));
}
