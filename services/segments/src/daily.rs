//! Asks for a routine run of each app when the time of its day has come, and when data have; and sweeps up cohort
//! files that nothing shows.

use std::collections::HashMap;
use std::time::Duration;

use chrono::Utc;
use muster_days::Ds;
use muster_jobs::{Job, NewJob, Priority};

use crate::Segments;
use crate::error::Error;
use crate::jobs::ROUTINE;
use crate::operations::{clear, routine, sweep};
use crate::store;

const LOOK_EVERY: Duration = Duration::from_secs(15);
const SWEEP_EVERY: Duration = Duration::from_secs(3_600);

/// What the service sees to by itself, for ever.
pub async fn daily(segments: Segments) {
    tokio::join!(routines(segments.clone()), sweeps(segments));
}

/// At once and then every hour. Several processes may do the same.
async fn sweeps(segments: Segments) {
    let mut looks = tokio::time::interval(SWEEP_EVERY);
    loop {
        looks.tick().await;
        let store = segments.profiles.clone();
        let apps = match tokio::task::spawn_blocking(move || store.apps()).await {
            Ok(Ok(apps)) => apps,
            Ok(Err(error)) => {
                tracing::warn!(%error, "stray cohort files are looked for again later");
                continue;
            }
            Err(error) => {
                tracing::error!(%error, "looking for stray cohort files broke off");
                continue;
            }
        };
        for app in apps {
            match sweep(&segments, &app).await {
                Ok(0) => {}
                Ok(strays) => tracing::info!(app, strays, "cohort files that nothing shows are removed"),
                Err(error) => tracing::warn!(app, %error, "stray cohort files are looked for again later"),
            }
            // Cohorts that were being made when users were erased.
            if let Err(error) = clear(&segments, &app, || false).await {
                tracing::warn!(app, %error, "cohorts are cleared of erased users later");
            }
        }
    }
}

/// Looks at once and then every few seconds, for ever: a time that was missed is made up for, and so are data
/// that came late. Several processes may do the same: whoever comes second finds a job that waits, or nothing to
/// make.
async fn routines(segments: Segments) {
    let mut seen = HashMap::new();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        match store::daily_apps(&segments.db).await {
            Ok(apps) => look(&segments, apps, &mut seen).await,
            Err(error) => tracing::warn!(%error, "daily segments are looked at again shortly"),
        }
    }
}

/// `seen` is what each app was asked a run for at last. What an app can't be looked at for keeps nobody else
/// waiting.
async fn look(segments: &Segments, apps: Vec<String>, seen: &mut HashMap<String, (Ds, u64)>) {
    seen.retain(|app, _| apps.contains(app));
    for app in apps {
        match look_at(segments, &app, seen.get(&app)).await {
            Ok(Some(state)) => _ = seen.insert(app, state),
            Ok(None) => {}
            Err(error) => tracing::warn!(app, %error, "daily segments are looked at again shortly"),
        }
    }
}

/// Answers what a run was asked for, None where there is nothing new.
async fn look_at(
    segments: &Segments,
    app: &str,
    seen: Option<&(Ds, u64)>,
) -> Result<Option<(Ds, u64)>, Error> {
    let state = routine::state(segments, app, Utc::now()).await?;
    let state = state.filter(|state| Some(state) != seen);
    if state.is_some() {
        ask(segments, app, "local", Priority::Routine).await?;
    }
    Ok(state)
}

/// A routine run of the app, or the one that waits.
pub async fn ask(segments: &Segments, app: &str, owner: &str, priority: Priority) -> Result<Job, Error> {
    let job = NewJob::of_app(app, owner, ROUTINE, priority);
    Ok(segments.jobs.enqueue_unless_waiting(job).await?)
}
