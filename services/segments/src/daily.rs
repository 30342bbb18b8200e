//! Asks for a routine run of each app when the time of its day has come, and when data have.

use std::collections::HashMap;
use std::time::Duration;

use chrono::{DateTime, Utc};
use muster_days::Ds;
use muster_jobs::{Job, NewJob, Priority};
use serde_json::json;

use crate::Segments;
use crate::error::Error;
use crate::jobs::ROUTINE;
use crate::operations::routine;
use crate::store;

const LOOK_EVERY: Duration = Duration::from_secs(15);

/// Looks at once and then every few seconds, for ever: a time that was missed is made up for, and so are data
/// that came late. Several processes may do the same: whoever comes second finds a job that waits, or nothing to
/// make.
pub async fn daily(segments: Segments) {
    let mut seen = HashMap::new();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        if let Err(error) = look(&segments, &mut seen, Utc::now()).await {
            tracing::warn!(%error, "daily segments are looked at again shortly");
        }
    }
}

async fn look(
    segments: &Segments,
    seen: &mut HashMap<String, (Ds, u64)>,
    now: DateTime<Utc>,
) -> Result<(), Error> {
    for app in store::daily_apps(&segments.db).await? {
        let Some(state) = routine::state(segments, &app, now).await? else { continue };
        if seen.get(&app) == Some(&state) {
            continue;
        }
        ask(segments, &app, "local", Priority::Routine).await?;
        seen.insert(app, state);
    }
    Ok(())
}

/// A routine run of the app, or the one that waits.
pub async fn ask(segments: &Segments, app: &str, owner: &str, priority: Priority) -> Result<Job, Error> {
    let job = NewJob {
        id: None,
        app_id: Some(app.to_owned()),
        owner: owner.to_owned(),
        kind: ROUTINE,
        payload: json!({}),
        priority,
    };
    Ok(segments.jobs.enqueue_unless_waiting(job).await?)
}
