//! Has the lifecycle of every app done once on each of its days.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use chrono::Utc;
use muster_days::{Ds, Tz};
use muster_jobs::{Job, Jobs, JobsError, NewJob, Priority};
use muster_profile_store::Store;
use serde_json::json;

use crate::aside;
use crate::jobs::LIFECYCLE;
use crate::settings::Settings;

/// Apps count their days in time zones of their own.
const LOOK_EVERY: Duration = Duration::from_secs(3600);

/// Looks at once and then every hour, for ever. An app that keeps everything is left alone. Several
/// processes may do the same: whoever comes second finds a job that waits, or nothing left to drop.
pub async fn every_day(store: Arc<Store>, jobs: Jobs, settings: Settings) {
    let mut seen = HashMap::new();
    let mut hours = tokio::time::interval(LOOK_EVERY);
    loop {
        hours.tick().await;
        if let Err(error) = look(&store, &jobs, &settings, &mut seen).await {
            tracing::warn!(%error, "days past their retention are looked for again in an hour");
        }
    }
}

async fn look(
    store: &Arc<Store>,
    jobs: &Jobs,
    settings: &Settings,
    seen: &mut HashMap<String, Ds>,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let (listed, known) = (store.clone(), settings.clone());
    let apps = tokio::task::spawn_blocking(move || {
        aside::expire(&known, SystemTime::now())?;
        of_interest(&listed, &known)
    });
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

/// Apps that don't keep everything, and where they are.
fn of_interest(
    store: &Store,
    settings: &Settings,
) -> Result<Vec<(String, Tz)>, Box<dyn std::error::Error + Send + Sync>> {
    let mut apps = Vec::new();
    for app in store.apps()? {
        let own = store.catalogue(&app)?.settings;
        if !settings.enabled(&own) || !settings.retention(&own).keeps_all() {
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
    let job = NewJob {
        id: None,
        app_id: Some(app.to_owned()),
        owner: owner.to_owned(),
        kind,
        payload: json!({}),
        priority,
    };
    jobs.enqueue_unless_waiting(job).await
}
