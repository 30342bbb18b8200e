//! How much of a day is in.

use std::collections::HashMap;

use muster_days::Ds;
use muster_evaluator::SnapshotCatalogue;
use muster_profile_store::Snapshot;
use muster_rules::{Caps, Condition, Rule, check};
use muster_sql::Db;

use crate::answers::{Carried, Completeness, LabelName, Window};
use crate::error::Error;
use crate::store;

/// Of the labels that are not retired, for nobody waits for those; and of the crowds' windows.
pub async fn completeness(
    db: &Db,
    snapshot: &Snapshot,
    crowds: &[&str],
    ds: Ds,
) -> Result<Completeness, Error> {
    let worked_out: HashMap<i64, u32> =
        store::label_days(db, snapshot.app(), ds).await?.into_iter().collect();
    let retired = |id: &i64| snapshot.catalogue().labels.get(id).is_some_and(|card| card.retired);
    let mut found = Completeness { windows: windows(snapshot, crowds, ds), ..Completeness::default() };
    for (&id, entry) in snapshot.manifest().labels.iter().filter(|(id, _)| !retired(id)) {
        let label = || LabelName { id, name: entry.name.clone() };
        found.labels += 1;
        match worked_out.get(&id) {
            None => found.waiting.push(label()),
            Some(day) if *day == ds.number() => found.labels_in += 1,
            Some(day) => found.carried.push(Carried { label: label(), ds: store::day(*day)? }),
        }
    }
    Ok(found)
}

fn windows(snapshot: &Snapshot, crowds: &[&str], ds: Ds) -> Vec<Window> {
    let catalogue = SnapshotCatalogue::new(snapshot);
    let window = |crowd: &&str| {
        let rule = Rule { universe: (*crowd).to_owned(), as_of: Some(ds), root: Condition::All(Vec::new()) };
        // One that can't be used any more has no window that could be told.
        let parts = check(&rule, &catalogue, &Caps::default()).ok()?.freshness;
        let lacking = parts.iter().max_by_key(|part| part.missing_days.len())?;
        let (from, to) = (lacking.from?, lacking.to?);
        // Days were dropped since it was counted: what it lacked then is not known any more.
        if snapshot.manifest().events_from.is_some_and(|first| from < first) {
            return None;
        }
        let (days, missing) = (to.days_since(from) as u64 + 1, lacking.missing_days.len() as u64);
        (missing > 0).then(|| Window { crowd: (*crowd).to_owned(), days, missing })
    };
    crowds.iter().filter_map(window).collect()
}
