//! The life of a row. Each step is one guarded statement: no affected row means that somebody else was
//! first, and never more than a step of one worker is undone.

use std::time::Duration;

use chrono::{DateTime, Utc};
use muster_sql::{Db, is_unique_violation, on};
use serde_json::Value;
use sqlx::types::Json;

use super::find;
use crate::{Failure, Job, JobsError, State};

/// A new job in the state queued.
pub(crate) async fn insert(db: &Db, job: &Job) -> Result<(), JobsError> {
    let inserted = on!(db, pool => sqlx::query(
        "INSERT INTO job (id, app_id, owner, party, kind, priority, payload, state, progress, attempt,
                          max_attempts, not_before, trace, created_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, 'queued', 0, 0, ?, ?, ?, ?)",
    )
    .bind(&job.id)
    .bind(&job.app_id)
    .bind(&job.owner)
    .bind(job.party())
    .bind(&job.kind)
    .bind(job.priority.number())
    .bind(Json(&job.payload))
    .bind(i64::from(job.max_attempts))
    .bind(job.created_at.timestamp_millis())
    .bind(&job.trace)
    .bind(job.created_at.timestamp_millis())
    .execute(pool)
    .await
    .map(drop));
    match inserted {
        Ok(()) => Ok(()),
        Err(error) if is_unique_violation(&error) => Err(JobsError::Exists(job.id.clone())),
        Err(error) => Err(error.into()),
    }
}

/// Takes a job that waits, or whose worker went silent; the job as it now is, or None when it is not to
/// be had.
pub(crate) async fn claim(
    db: &Db,
    id: &str,
    claim: &str,
    now: DateTime<Utc>,
    lease: Duration,
) -> Result<Option<Job>, JobsError> {
    // `error` is set before `state`: MySQL reads the assignments from left to right.
    let taken = on!(db, pool => sqlx::query(
        "UPDATE job
         SET error = CASE WHEN state = 'running' THEN ? ELSE error END,
             state = 'running', claim = ?, lease_until = ?, attempt = attempt + 1, progress = 0,
             started_at = COALESCE(started_at, ?)
         WHERE id = ? AND ((state = 'queued' AND not_before <= ?)
                           OR (state = 'running' AND lease_until <= ? AND attempt < max_attempts))",
    )
    .bind(Json(Failure::worker_lost()))
    .bind(claim)
    .bind((now + lease).timestamp_millis())
    .bind(now.timestamp_millis())
    .bind(id)
    .bind(now.timestamp_millis())
    .bind(now.timestamp_millis())
    .execute(pool)
    .await?
    .rows_affected());
    if taken == 0 {
        return Ok(None);
    }
    find(db, id).await
}

/// A sign of life. False when the job is no longer this claim's: cancelled, or lost to another worker.
pub(crate) async fn renew(
    db: &Db,
    id: &str,
    claim: &str,
    progress: f64,
    lease_until: DateTime<Utc>,
) -> Result<bool, JobsError> {
    let renewed = on!(db, pool => sqlx::query(
        "UPDATE job SET lease_until = ?, progress = ? WHERE id = ? AND claim = ? AND state = 'running'",
    )
    .bind(lease_until.timestamp_millis())
    .bind(progress)
    .bind(id)
    .bind(claim)
    .execute(pool)
    .await?
    .rows_affected());
    Ok(renewed == 1)
}

/// How an attempt ends.
#[derive(Debug)]
pub(crate) enum Ending {
    Done(Value),
    Failed(Failure),
    /// Another attempt, not before this time.
    Again(Failure, DateTime<Utc>),
}

/// Ends an attempt. False when the job was no longer this claim's: its row stays as it is.
pub(crate) async fn finish(
    db: &Db,
    id: &str,
    claim: &str,
    ending: &Ending,
    now: DateTime<Utc>,
) -> Result<bool, JobsError> {
    let now = now.timestamp_millis();
    let finished = on!(db, pool => {
    let query = match ending {
        Ending::Done(result) => sqlx::query(
            "UPDATE job SET state = 'done', progress = 1, result = ?, error = NULL, finished_at = ?,
                            claim = NULL, lease_until = NULL
             WHERE id = ? AND claim = ? AND state = 'running'",
        )
        .bind(Json(result))
        .bind(now),
        Ending::Failed(failure) => sqlx::query(
            "UPDATE job SET state = 'failed', error = ?, result = ?, finished_at = ?,
                            claim = NULL, lease_until = NULL
             WHERE id = ? AND claim = ? AND state = 'running'",
        )
        .bind(Json(failure))
        .bind(failure.result.as_ref().map(Json))
        .bind(now),
        Ending::Again(failure, not_before) => sqlx::query(
            "UPDATE job SET state = 'queued', progress = 0, error = ?, not_before = ?,
                            claim = NULL, lease_until = NULL
             WHERE id = ? AND claim = ? AND state = 'running'",
        )
        .bind(Json(failure))
        .bind(not_before.timestamp_millis()),
    };
    query.bind(id).bind(claim).execute(pool).await?.rows_affected()
    });
    Ok(finished == 1)
}

/// Back into the queue as if the attempt had not begun.
pub(crate) async fn hand_back(db: &Db, id: &str, claim: &str) -> Result<bool, JobsError> {
    let handed = on!(db, pool => sqlx::query(
        "UPDATE job SET state = 'queued', progress = 0, attempt = attempt - 1, claim = NULL, lease_until = NULL
         WHERE id = ? AND claim = ? AND state = 'running'",
    )
    .bind(id)
    .bind(claim)
    .execute(pool)
    .await?
    .rows_affected());
    Ok(handed == 1)
}

/// Cancels what has not ended; its worker finds out at its next sign of life.
pub(crate) async fn cancel(db: &Db, id: &str, now: DateTime<Utc>) -> Result<bool, JobsError> {
    let cancelled = on!(db, pool => sqlx::query(
        "UPDATE job SET state = 'cancelled', finished_at = ?, claim = NULL, lease_until = NULL
         WHERE id = ? AND state IN ('queued', 'running')",
    )
    .bind(now.timestamp_millis())
    .bind(id)
    .execute(pool)
    .await?
    .rows_affected());
    Ok(cancelled == 1)
}

/// Fails a job whose last allowed attempt went silent.
pub(crate) async fn bury(db: &Db, job: &Job, cause: &Failure, now: DateTime<Utc>) -> Result<bool, JobsError> {
    debug_assert_eq!(job.state, State::Running);
    let buried = on!(db, pool => sqlx::query(
        "UPDATE job SET state = 'failed', error = ?, finished_at = ?, claim = NULL, lease_until = NULL
         WHERE id = ? AND state = 'running' AND lease_until <= ? AND attempt >= max_attempts",
    )
    .bind(Json(cause))
    .bind(now.timestamp_millis())
    .bind(&job.id)
    .bind(now.timestamp_millis())
    .execute(pool)
    .await?
    .rows_affected());
    Ok(buried == 1)
}
