//! Works out what is missing or stale, day by day, until the data as published hold nothing new.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use chrono::{DateTime, Utc};
use muster_days::{Ds, Tz};
use muster_jobs::Run;
use muster_profile_store::Snapshot;
use serde::Serialize;

use super::pass::Pass;
use super::plan::{Missing, Plan};
use crate::Metrics;
use crate::error::Error;
use crate::store;

/// Data that are replaced while they are read are looked at again so often.
const TRIES: usize = 10;

/// What a job came to.
#[derive(Debug, Default, Serialize)]
pub struct Done {
    /// Days of which something was worked out.
    pub days: BTreeSet<Ds>,
    /// Lines of labels, one per day and crowd.
    pub labels: usize,
    pub cells: usize,
    /// Dimensions of events, one per day.
    pub dimensions: usize,
}

/// Each pass ends with another look at what is published: of two processes that write at once, the one
/// that writes last also looks last, and mends what it wrote from older data.
pub async fn precompute(metrics: &Metrics, app: &str, run: &Run) -> Result<Done, Error> {
    let now = Utc::now();
    tidy(metrics, now).await?;
    // Threads of its own: estimates on the process's pool must not wait for these.
    let pool = rayon::ThreadPoolBuilder::new().build();
    let pool = Arc::new(pool.map_err(inside)?);
    let (mut done, mut tries) = (Done::default(), 0);
    loop {
        let Some((snapshot, missing)) = look(metrics, app, now).await? else { return Ok(done) };
        if missing.is_empty() {
            return Ok(done);
        }
        let pass = Pass { metrics, app, run, pool: pool.clone(), snapshot };
        match pass.work(missing, &mut done).await {
            Err(error) if error.is_stale() && tries < TRIES => tries += 1,
            result => result?,
        }
    }
}

/// Once a day, in each process.
async fn tidy(metrics: &Metrics, now: DateTime<Utc>) -> Result<(), Error> {
    let Some(today) = Ds::of(now, Tz::UTC) else { return Ok(()) };
    if metrics.tidied.load(Ordering::Relaxed) == today.number() {
        return Ok(());
    }
    let coming = [0, 1, 2].map(|days| today.plus(days).number());
    store::keep_days(&metrics.db, &coming, oldest(metrics, now).map_or(0, Ds::number)).await?;
    store::move_all_on(&metrics.db).await?;
    metrics.tidied.store(today.number(), Ordering::Relaxed);
    Ok(())
}

/// The oldest day that is kept, where not all are.
fn oldest(metrics: &Metrics, now: DateTime<Utc>) -> Option<Ds> {
    let kept = Some(metrics.settings.kept_days).filter(|days| *days > 0)?;
    Some(Ds::of(now, Tz::UTC)?.plus(-i64::from(kept)))
}

/// The newest data and what is missing of them; None for an app that has nothing published.
async fn look(
    metrics: &Metrics,
    app: &str,
    now: DateTime<Utc>,
) -> Result<Option<(Arc<Snapshot>, Missing)>, Error> {
    let (store, name, settings) = (metrics.profiles.clone(), app.to_owned(), metrics.settings.clone());
    let oldest = oldest(metrics, now);
    let planned = tokio::task::spawn_blocking(move || -> Result<_, Error> {
        store.refresh(&name)?;
        let Some(snapshot) = store.snapshot(&name)? else { return Ok(None) };
        let settings = settings.of(&snapshot.catalogue().settings);
        Ok(Plan::new(&snapshot, &settings, oldest).map(|plan| (snapshot, plan)))
    });
    let Some((snapshot, plan)) = planned.await.map_err(inside)?? else { return Ok(None) };
    let known = store::known(&metrics.db, app, plan.from).await?;
    Ok(Some((snapshot, plan.missing(&known))))
}

pub fn inside(error: impl std::fmt::Display) -> Error {
    Error::Inside(error.to_string())
}
