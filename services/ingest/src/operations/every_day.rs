//! Has the lifecycle of every app done once on each of its days, and takes up erasures that nobody does.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::Utc;
use muster_days::{Ds, Tz};
use muster_jobs::{Job, Jobs, JobsError, NewJob, Priority};
use muster_profile_store::Store;
use muster_sql::Db;

use super::erase::take_up;
use crate::aside;
use crate::jobs::{LIFECYCLE, TAKE_IN};
use crate::settings::Settings;

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// Apps count their days in time zones of their own.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// Looks at once and then every hour, for ever. An app that keeps everything, and erased
/// nobody, is left alone. Several
/// processes may do the same: whoever comes second finds a job that waits, or nothing left to drop.
pub async fn every_day(store: Arc<Store>, db: Db, jobs: Jobs, settings: Settings) {
    let mut seen = HashMap::new();
    let mut hours = tokio::time::interval(LOOK_EVERY);
    loop {
        hours.tick().await;
        if let Err(error) = look(&store, &jobs, &settings, &mut seen).await {
            tracing::warn!(%error, "days past their retention are looked for again in an hour");
        }
        if let Err(error) = take_up(&db, &jobs, Utc::now()).await {
            tracing::warn!(%error, "erasures that are not done are looked at again in an hour");
        }
        if let Err(error) = look_aside(&store, &jobs, &settings).await {
            tracing::warn!(%error, "files that are kept aside are looked at again in an hour");
        }
    }
}

async fn look(
    store: &Arc<Store>,
    jobs: &Jobs,
    settings: &Settings,
    seen: &mut HashMap<String, Ds>,
) -> Result<(), Failed> {
    let (listed, known) = (store.clone(), settings.clone());
    let apps = tokio::task::spawn_blocking(move || of_interest(&listed, &known));
    for (app, zone) in apps.await?? {
        let Some(today) = Ds::of(Utc::now(), zone) else { continue };
        if seen.get(&app) == Some(&today) {
            continue;
        }
        ask(jobs, LIFECYCLE, &app, "local", Priority::Routine).await?;
        seen.insert(app, today);
    }
    Ok(())
}

/// Files that were kept too long go; an app that is built for by now, whoever has said so, takes in its own.
async fn look_aside(store: &Arc<Store>, jobs: &Jobs, settings: &Settings) -> Result<(), Failed> {
    let (store, settings) = (store.clone(), settings.clone());
    let built = tokio::task::spawn_blocking(move || -> Result<Vec<String>, Failed> {
        aside::expire(&settings, SystemTime::now())?;
        let mut built = Vec::new();
        for app in aside::apps(&settings)? {
            if settings.builds(&store.catalogue(&app)?.settings) {
                built.push(app);
            }
        }
        Ok(built)
    });
    for app in built.await?? {
        ask(jobs, TAKE_IN, &app, "local", Priority::Routine).await?;
    }
    Ok(())
}

/// Apps that don't keep everything, or have users erased whose files are to go, and where they are.
fn of_interest(store: &Store, settings: &Settings) -> Result<Vec<(String, Tz)>, Failed> {
    let mut apps = Vec::new();
    for app in store.apps()? {
        let own = store.catalogue(&app)?.settings;
        let erased = || {
            let snapshot = store.snapshot(&app)?;
            Ok::<_, Failed>(snapshot.is_some_and(|it| {
                let manifest = it.manifest();
                manifest.erasure() > 0 && !manifest.retired.is_empty()
            }))
        };
        if !settings.enabled(&own) || !settings.retention(&own).keeps_all() || erased()? {
            let zone = settings.zone(&app, &own);
            apps.push((app, zone));
        }
    }
    Ok(apps)
}

/// A job of the kind for the app, or the one that waits. It gets no payload.
pub async fn ask(
    jobs: &Jobs,
    kind: &'static str,
    app: &str,
    owner: &str,
    priority: Priority,
) -> Result<Job, JobsError> {
    jobs.enqueue_unless_waiting(NewJob::of_app(app, owner, kind, priority)).await
}
