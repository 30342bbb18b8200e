//! Values of dimensions: what should be there, working it out, and showing it.

use std::sync::Arc;

use muster_days::Ds;
use muster_evaluator::{Control, ValueTotal, dimension_totals};
use muster_profile_store::{Manifest, Snapshot};
use muster_rules::nearest;

use super::events::{known, visible};
use super::names::privacy_floor;
use super::pass::{Pass, now};
use super::plan::hash;
use super::precompute::{Done, inside};
use crate::Metrics;
use crate::error::Error;
use crate::event_answers::{DimensionValue, DimensionValues};
use crate::store::{self, DimensionRow, KnownDimensions};

/// An event's day whose values should be there.
#[derive(Clone)]
pub struct ValuesOf {
    pub event: String,
    pub ds: Ds,
    /// Every dimension that any day of the event has had.
    dimensions: Vec<String>,
    fingerprint: String,
}

impl ValuesOf {
    /// Whether they are not there, or were worked out from another file or for another limit.
    pub fn is_missing(&self, known: &KnownDimensions) -> bool {
        let there = |dimension: &String| {
            known.get(&(self.ds.number(), self.event.clone(), dimension.clone())) == Some(&self.fingerprint)
        };
        !self.dimensions.iter().all(there)
    }
}

/// The days from `from` on of events with dimensions; `most` values of each are kept.
pub fn wanted(manifest: &Manifest, from: Ds, most: usize) -> Vec<ValuesOf> {
    let mut wanted = Vec::new();
    for (event, entry) in manifest.events.iter().filter(|(_, entry)| !entry.dimensions.is_empty()) {
        let dimensions: Vec<String> = entry.dimensions.keys().cloned().collect();
        wanted.extend(entry.days.range(from..).map(|(&ds, day)| ValuesOf {
            event: event.clone(),
            ds,
            dimensions: dimensions.clone(),
            fingerprint: hash(&[&day.file, &most.to_string()]),
        }));
    }
    wanted
}

impl Pass<'_> {
    /// A file that can't be read delays its own day and nothing else: the error comes at the end.
    pub async fn dimensions(&self, missing: &[ValuesOf], done: &mut Done) -> Result<(), Error> {
        let mut failed = None;
        for of in missing {
            let rows = match self.values(of).await {
                Ok(rows) => rows,
                Err(Error::Store(error)) if !error.is_away() => {
                    tracing::error!(app = self.app, %error, "values of a day can't be worked out");
                    failed = Some(Error::Store(error));
                    continue;
                }
                Err(error) => return Err(error),
            };
            if !self.run.still_mine().await? {
                return Err(Error::Stopped);
            }
            let day = (of.event.as_str(), of.ds, of.fingerprint.as_str());
            store::replace_dimensions(&self.metrics.db, self.app, day, &rows, now()).await?;
            done.dimensions += rows.len();
        }
        failed.map_or(Ok(()), Err)
    }

    async fn values(&self, of: &ValuesOf) -> Result<Vec<DimensionRow>, Error> {
        let (pool, snapshot, run, of) =
            (self.pool.clone(), self.snapshot.clone(), self.run.clone(), of.clone());
        let most = self.metrics.settings.dimension_values;
        let counted = tokio::task::spawn_blocking(move || {
            let control = Control { stopped: &|| run.stopped(), progress: &|_| {} };
            pool.install(|| rows(&snapshot, &of, most, &control))
        });
        counted.await.map_err(inside)?
    }
}

fn rows(
    snapshot: &Arc<Snapshot>,
    of: &ValuesOf,
    most: usize,
    control: &Control<'_>,
) -> Result<Vec<DimensionRow>, Error> {
    let Some(part) = snapshot.event(&of.event, of.ds)? else { return Ok(Vec::new()) };
    let mut totals = dimension_totals(&part, snapshot, control)?;
    let mut rows = Vec::with_capacity(of.dimensions.len());
    for dimension in &of.dimensions {
        // A dimension that only other days have has no values here.
        let place = part.meta().dimensions.iter().position(|name| name == dimension);
        let values = place.map(|place| std::mem::take(&mut totals[place])).unwrap_or_default();
        rows.push(row(snapshot, &of.event, dimension, values, most)?);
    }
    Ok(rows)
}

fn row(
    snapshot: &Snapshot,
    event: &str,
    dimension: &str,
    mut values: Vec<ValueTotal>,
    most: usize,
) -> Result<DimensionRow, Error> {
    let pv_of = |values: &[ValueTotal]| values.iter().map(|value| value.pv).sum::<u64>();
    values.sort_by(|a, b| b.pv.cmp(&a.pv).then(b.users.cmp(&a.users)).then(a.id.cmp(&b.id)));
    let (first, rest) = values.split_at(most.min(values.len()));
    let dictionary = snapshot.dictionary(event, dimension)?;
    let named = |value: &ValueTotal| {
        let name = dictionary.as_ref().and_then(|dictionary| dictionary.value(value.id));
        let name =
            name.ok_or_else(|| Error::Inside(format!("{event} {dimension}: no value {}", value.id)))?;
        Ok((name.to_owned(), value.pv, value.users))
    };
    Ok(DimensionRow {
        dimension: dimension.to_owned(),
        value_count: values.len() as u64,
        pv: pv_of(&values),
        rest_count: rest.len() as u64,
        rest_pv: pv_of(rest),
        values: first.iter().map(named).collect::<Result<_, Error>>()?,
    })
}

/// The `top` values with most pv, on the newest day that is worked out, or the newest one up to `ds`.
pub async fn dimension(
    metrics: &Metrics,
    snapshot: &Snapshot,
    (event, dimension): (&str, &str),
    ds: Option<Ds>,
    top: usize,
) -> Result<DimensionValues, Error> {
    let app = snapshot.app();
    let entry = known(snapshot, event)?;
    let dimensions = &entry.dimensions;
    if !dimensions.contains_key(dimension) {
        let nearest = nearest(dimension, dimensions.keys());
        return Err(Error::UnknownDimension { given: dimension.to_owned(), nearest });
    }
    let of = (event, dimension);
    let (first, newest) = store::newest_dimension_day(&metrics.db, app, of, ds).await?;
    let first = first.map(store::day).transpose()?;
    let day = store::day(newest.ok_or(Error::NoEventDay { ds, first })?)?;
    let rows = store::dimension_values(&metrics.db, app, of, day, top).await?;
    // Dropped between the two questions.
    let Some(line) = rows.first() else { return Err(Error::NoEventDay { ds, first }) };
    let (values_total, pv) = (line.value_count as u64, line.day_pv as u64);
    let share = |some: i64| (pv > 0).then(|| some as f64 / pv as f64);
    let value = |row: store::ValueRow| {
        let (value, own, users) = (row.value?, row.pv?, row.users?);
        Some(DimensionValue { value, pv: own as u64, users: visible(snapshot, users), share: share(own) })
    };
    let values: Vec<DimensionValue> = rows.into_iter().filter_map(value).collect();
    Ok(DimensionValues {
        app_id: app.to_owned(),
        event: event.to_owned(),
        dimension: dimension.to_owned(),
        ds: day,
        published_ds: entry.days.keys().next_back().copied(),
        privacy_floor: privacy_floor(snapshot),
        pv,
        values_total,
        rest_values: values_total - values.len() as u64,
        rest_pv: pv - values.iter().map(|value| value.pv).sum::<u64>(),
        values,
    })
}
