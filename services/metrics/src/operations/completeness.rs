//! How much of a day is in.

use std::collections::HashMap;

use muster_days::Ds;
use muster_profile_store::Snapshot;
use muster_sql::Db;

use crate::answers::{Carried, Completeness, LabelName};
use crate::error::Error;
use crate::store;

/// Of the labels that are not retired: nobody waits for those.
pub async fn completeness(db: &Db, snapshot: &Snapshot, ds: Ds) -> Result<Completeness, Error> {
    let worked_out: HashMap<i64, u32> =
        store::label_days(db, snapshot.app(), ds).await?.into_iter().collect();
    let retired = |id: &i64| snapshot.catalogue().labels.get(id).is_some_and(|card| card.retired);
    let mut found = Completeness::default();
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
