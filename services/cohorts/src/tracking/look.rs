//! Asks for the days of followed cohorts to be worked out, when data or cohorts are new.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use muster_http::Kind;
use muster_jobs::{Priority, State};
use xxhash_rust::xxh3::xxh3_128;

use super::operations::ask;
use super::store;
use crate::Cohorts;
use crate::error::Error;

const LOOK_EVERY: Duration = Duration::from_secs(15);
/// A job that has failed is asked for again after so long.
const AGAIN_AFTER: Duration = Duration::from_secs(300);

/// The job that was asked for last, and what for.
struct Asked {
    state: u128,
    job: String,
    at: Instant,
}

/// Looks at once and then every few seconds, for ever. Several processes may do the same: whoever comes second finds a
/// job that waits, or nothing to work out.
pub async fn look(cohorts: Cohorts) {
    let mut seen: HashMap<String, Asked> = HashMap::new();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        let apps = match store::apps(&cohorts.db).await {
            Ok(apps) => apps,
            Err(error) => {
                tracing::warn!(%error, "followed cohorts are looked at again shortly");
                continue;
            }
        };
        seen.retain(|app, _| apps.contains(app));
        for app in apps {
            match look_at(&cohorts, &app, seen.get(&app)).await {
                Ok(Some(state)) => _ = seen.insert(app, state),
                Ok(None) => {}
                Err(error) => tracing::warn!(app, %error, "followed cohorts are looked at again shortly"),
            }
        }
    }
}

/// Answers what a job was asked for, None where nothing is new since `seen` and its job has not failed.
async fn look_at(cohorts: &Cohorts, app: &str, seen: Option<&Asked>) -> Result<Option<Asked>, Error> {
    let snapshot = match cohorts.audiences.snapshot(app).await {
        // Nothing is worked out of an app that is disabled.
        Err(problem) if problem.kind == Kind::Conflict => return Ok(None),
        snapshot => snapshot?,
    };
    let mut state = format!("{} {}\n", snapshot.manifest().generation, snapshot.catalogue().version);
    for subject in store::all_of(&cohorts.db, app).await? {
        // Of one that is deleted there is nothing new.
        let known = cohorts.audiences.cohorts_of(app, &subject.subject).await.unwrap_or_default();
        let newest = known.last().map_or("", |(_, cohort)| cohort);
        state.push_str(&format!("{} {} {newest}\n", subject.subject, known.len()));
    }
    let state = xxh3_128(state.as_bytes());
    if let Some(seen) = seen.filter(|seen| seen.state == state) {
        let job = cohorts.jobs.get(&seen.job).await?;
        let failed = job.is_some_and(|job| matches!(job.state, State::Failed | State::Cancelled));
        if !failed || seen.at.elapsed() < AGAIN_AFTER {
            return Ok(None);
        }
    }
    let job = ask(cohorts, app, "local", Priority::Routine).await?.id;
    Ok(Some(Asked { state, job, at: Instant::now() }))
}
