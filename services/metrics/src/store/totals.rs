//! What was worked out from which data.

use std::collections::HashMap;

use muster_days::Ds;
use muster_sql::{Db, on};

use super::dimensions::{KnownDimensions, known_dimensions};
use super::names::known_names;
use crate::error::Error;

/// Fingerprints of what is there from a day on.
#[derive(Debug, Default)]
pub struct Known {
    /// By day, label and crowd; with the size of the crowd.
    pub labels: HashMap<(u32, i64, String), (String, u64)>,
    /// By day and crowd.
    pub crowds: HashMap<(u32, String), String>,
    /// Of who is new, by day and crowd; with the oldest day that was looked at, or 0.
    pub new: HashMap<(u32, String), (String, u32)>,
    /// By day and event.
    pub events: HashMap<(u32, String), String>,
    pub dimensions: KnownDimensions,
    /// Of the names of a label and its tags.
    pub names: HashMap<i64, String>,
}

pub async fn known(db: &Db, app: &str, from: Ds) -> Result<Known, Error> {
    let dimensions = known_dimensions(db, app, from).await?;
    let names = known_names(db, app).await?;
    let from = from.number();
    let query = "SELECT ds, label_id, crowd, fingerprint, crowd_users FROM metric_label
         WHERE app_id = ? AND ds >= ?";
    let labels: Vec<(u32, i64, String, String, i64)> =
        on!(db, pool => sqlx::query_as(query).bind(app).bind(from).fetch_all(pool).await?);
    let query = "SELECT ds, crowd, fingerprint FROM metric_crowd WHERE app_id = ? AND ds >= ?";
    let crowds: Vec<(u32, String, String)> =
        on!(db, pool => sqlx::query_as(query).bind(app).bind(from).fetch_all(pool).await?);
    let query = "SELECT ds, crowd, fingerprint, earlier_from FROM metric_crowd_new
         WHERE app_id = ? AND ds >= ?";
    let new: Vec<(u32, String, String, Option<u32>)> =
        on!(db, pool => sqlx::query_as(query).bind(app).bind(from).fetch_all(pool).await?);
    let query = "SELECT ds, event, fingerprint FROM metric_event WHERE app_id = ? AND ds >= ?";
    let events: Vec<(u32, String, String)> =
        on!(db, pool => sqlx::query_as(query).bind(app).bind(from).fetch_all(pool).await?);
    let by_day = |rows: Vec<(u32, String, String)>| {
        rows.into_iter().map(|(ds, name, fingerprint)| ((ds, name), fingerprint)).collect()
    };
    let labels = labels
        .into_iter()
        .map(|(ds, label, crowd, fingerprint, users)| ((ds, label, crowd), (fingerprint, users as u64)));
    let new = new.into_iter().map(|(ds, crowd, print, from)| ((ds, crowd), (print, from.unwrap_or(0))));
    let (labels, crowds, new, events) = (labels.collect(), by_day(crowds), new.collect(), by_day(events));
    Ok(Known { labels, crowds, new, events, dimensions, names })
}
