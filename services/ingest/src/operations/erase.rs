//! Accepts users who are to be erased.

use chrono::{DateTime, Utc};
use muster_http::{Kind, Problem};
use muster_jobs::{NewJob, Priority};
use ulid::Ulid;

use super::jobs_problem;
use crate::Ingest;
use crate::jobs::{ERASE, ErasePayload};
use crate::store::{self, ErasureRow};

/// Ids of one erasure.
const MOST: usize = 10_000;

/// The row is there before its job, which needs it.
pub async fn ask(
    ingest: &Ingest,
    app: &str,
    mut users: Vec<String>,
    by: &str,
    now: DateTime<Utc>,
) -> Result<ErasureRow, Problem> {
    users.sort_unstable();
    users.dedup();
    let invalid = |detail: String| Err(Problem::new(Kind::Invalid, "invalid_body", detail));
    if users.is_empty() || users.len() > MOST {
        return invalid(format!("`users` takes 1 to {MOST} ids, not {}.", users.len()));
    }
    if users[0].is_empty() {
        return invalid("An id is empty.".to_owned());
    }
    let (profiles, name) = (ingest.store.clone(), app.to_owned());
    let known =
        tokio::task::spawn_blocking(move || profiles.users(&name)).await.map_err(Problem::internal)?;
    let known = known.map_err(|error| {
        let away = error.is_away();
        Problem::of_store(error, away)
    })?;
    if known.is_none() {
        return Err(Problem::app_not_found(app));
    }
    let ids = serde_json::to_string(&users).map_err(Problem::internal)?;
    let (id, job_id) = (format!("era_{}", Ulid::generate()), format!("job_{}", Ulid::generate()));
    let row = ErasureRow {
        id: id.clone(),
        app_id: app.to_owned(),
        job_id: job_id.clone(),
        asked: users.len() as i64,
        known: None,
        label_days: None,
        event_days: None,
        requested_by: by.to_owned(),
        requested_at: now.timestamp_millis(),
        finished_at: None,
    };
    store::create(&ingest.db, &row, &ids).await.map_err(of_sql)?;
    let payload = serde_json::to_value(ErasePayload { erasure_id: id }).map_err(Problem::internal)?;
    let job = NewJob {
        id: Some(job_id),
        app_id: Some(app.to_owned()),
        owner: by.to_owned(),
        kind: ERASE,
        payload,
        priority: Priority::Interactive,
    };
    ingest.jobs.enqueue(job).await.map_err(jobs_problem)?;
    Ok(row)
}

/// What the database answered, for a caller.
pub fn of_sql(error: sqlx::Error) -> Problem {
    let away = muster_sql::is_away(&error);
    Problem::of_store(error, away)
}
