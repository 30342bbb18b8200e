//! How much of a day is in.

use std::collections::BTreeMap;

use muster_days::Ds;
use muster_sql::Db;

use super::names::Asked;
use crate::answers::{Carried, Completeness, LabelName};
use crate::error::Error;
use crate::store;

pub async fn completeness(db: &Db, asked: &Asked<'_>, ds: Ds) -> Result<Completeness, Error> {
    let worked_out: BTreeMap<i64, u32> = store::label_days(db, asked.app, ds).await?.into_iter().collect();
    let labels = &asked.snapshot.manifest().labels;
    let name = |id: i64| {
        let name = labels.get(&id).map(|entry| entry.name.clone()).unwrap_or_default();
        LabelName { id, name }
    };
    let mut carried = Vec::new();
    for (&id, &day) in worked_out.iter().filter(|(_, day)| **day != ds.number()) {
        carried.push(Carried { label: name(id), ds: store::day(day)? });
    }
    let waiting = labels.keys().filter(|id| !worked_out.contains_key(id)).map(|&id| name(id)).collect();
    Ok(Completeness { labels: labels.len(), labels_in: worked_out.len() - carried.len(), carried, waiting })
}
