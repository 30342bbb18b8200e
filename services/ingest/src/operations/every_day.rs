//! Has the lifecycle of every app done once on each of its days.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use muster_days::Ds;
use muster_jobs::{Job, Jobs, JobsError, NewJob, Priority};
use muster_profile_store::Store;
use serde_json::json;

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
    let listed = store.clone();
    let apps = tokio::task::spawn_blocking(move || listed.apps()).await??;
    for app in apps.into_iter().filter(|app| !settings.retention(app).keeps_all()) {
        let Some(today) = Ds::of(Utc::now(), settings.zone_of(&app)) else { continue };
        if seen.get(&app) == Some(&today) {
            continue;
        }
        ask(jobs, &app, "local", Priority::Routine).await?;
        seen.insert(app, today);
    }
    Ok(())
}

/// A job for the app, or the one that waits.
pub async fn ask(jobs: &Jobs, app: &str, owner: &str, priority: Priority) -> Result<Job, JobsError> {
    let job = NewJob {
        id: None,
        app_id: Some(app.to_owned()),
        owner: owner.to_owned(),
        kind: LIFECYCLE,
        payload: json!({}),
        priority,
    };
    jobs.enqueue_unless_waiting(job).await
}
