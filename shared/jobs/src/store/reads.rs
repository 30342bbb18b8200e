//! What is asked of the `job` table.

use chrono::{DateTime, Utc};
use muster_sql::Db;
use sqlx::{QueryBuilder, Sqlite};

use super::row::Row;
use crate::jobs::Load;
use crate::{Filter, Job, JobsError, Priority, State};

/// A job by its id, with its place in the queue while it waits.
pub(crate) async fn find(db: &Db, id: &str) -> Result<Option<Job>, JobsError> {
    let row: Option<Row> =
        sqlx::query_as("SELECT * FROM job WHERE id = ?").bind(id).fetch_optional(db.pool()).await?;
    let Some(row) = row else { return Ok(None) };
    let mut job = row.into_job()?;
    if job.state == State::Queued {
        job.position = Some(ahead(db, &job).await?);
    }
    Ok(Some(job))
}

/// How many waiting jobs of the same kind go before this one.
async fn ahead(db: &Db, job: &Job) -> Result<u64, JobsError> {
    let priority = job.priority.number();
    let ahead: i64 = sqlx::query_scalar(
        "SELECT COUNT(*) FROM job
         WHERE state = 'queued' AND kind = ? AND (priority < ? OR (priority = ? AND id < ?))",
    )
    .bind(&job.kind)
    .bind(priority)
    .bind(priority)
    .bind(&job.id)
    .fetch_one(db.pool())
    .await?;
    Ok(ahead.unsigned_abs())
}

/// Jobs that pass the filter, newest first, at most `limit`, beginning after the id `after`.
pub(crate) async fn page(
    db: &Db,
    filter: &Filter,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<Job>, JobsError> {
    let mut query = QueryBuilder::<Sqlite>::new("SELECT * FROM job WHERE 1 = 1");
    if let Some(apps) = &filter.apps {
        // No app at all still is a list: IN () holds for none on SQLite, but is an error on MySQL.
        query.push(" AND app_id IN (NULL");
        for app in apps {
            query.push(", ").push_bind(app);
        }
        query.push(")");
    }
    if let Some(app) = &filter.app {
        query.push(" AND app_id = ").push_bind(app);
    }
    if let Some(kind) = &filter.kind {
        query.push(" AND kind = ").push_bind(kind);
    }
    if let Some(state) = filter.state {
        query.push(" AND state = ").push_bind(state.name());
    }
    if let Some(after) = after {
        query.push(" AND id < ").push_bind(after);
    }
    query.push(" ORDER BY id DESC LIMIT ").push_bind(i64::from(limit));
    let rows: Vec<Row> = query.build_query_as().fetch_all(db.pool()).await?;
    rows.into_iter().map(Row::into_job).collect()
}

/// How many jobs wait and run, per kind and priority; lines without any are left out.
pub(crate) async fn load(db: &Db) -> Result<Vec<Load>, JobsError> {
    let rows: Vec<(String, i64, i64, i64)> = sqlx::query_as(
        "SELECT kind, priority,
                CAST(SUM(CASE WHEN state = 'queued' THEN 1 ELSE 0 END) AS SIGNED),
                CAST(SUM(CASE WHEN state = 'running' THEN 1 ELSE 0 END) AS SIGNED)
         FROM job WHERE state IN ('queued', 'running') GROUP BY kind, priority",
    )
    .fetch_all(db.pool())
    .await?;
    rows.into_iter()
        .map(|(kind, priority, queued, running)| {
            let priority = Priority::from_number(priority).ok_or_else(|| JobsError::Unreadable {
                id: format!("of kind {kind}"),
                why: "its priority".to_owned(),
            })?;
            Ok(Load { kind, priority, queued: queued.unsigned_abs(), running: running.unsigned_abs() })
        })
        .collect()
}

/// A job that could run now.
#[derive(Debug)]
pub(crate) struct Due {
    pub id: String,
    pub created_at: DateTime<Utc>,
}

/// The oldest jobs of a kind and priority that could run now: waiting, or left by a silent worker.
pub(crate) async fn due(
    db: &Db,
    kind: &str,
    priority: Priority,
    now: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<Due>, JobsError> {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "SELECT id, created_at FROM job
         WHERE kind = ? AND priority = ?
           AND ((state = 'queued' AND not_before <= ?)
                OR (state = 'running' AND lease_until <= ? AND attempt < max_attempts))
         ORDER BY id LIMIT ?",
    )
    .bind(kind)
    .bind(priority.number())
    .bind(now.timestamp_millis())
    .bind(now.timestamp_millis())
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch_all(db.pool())
    .await?;
    let due =
        |(id, created_at)| Due { id, created_at: DateTime::from_timestamp_millis(created_at).unwrap_or(now) };
    Ok(rows.into_iter().map(due).collect())
}

/// Whether this job could run now.
pub(crate) async fn is_due(db: &Db, id: &str, now: DateTime<Utc>) -> Result<bool, JobsError> {
    let due: Option<i64> = sqlx::query_scalar(
        "SELECT 1 FROM job
         WHERE id = ? AND ((state = 'queued' AND not_before <= ?)
                           OR (state = 'running' AND lease_until <= ? AND attempt < max_attempts))",
    )
    .bind(id)
    .bind(now.timestamp_millis())
    .bind(now.timestamp_millis())
    .fetch_optional(db.pool())
    .await?;
    Ok(due.is_some())
}

/// Jobs whose last allowed attempt went silent.
pub(crate) async fn lost(db: &Db, now: DateTime<Utc>) -> Result<Vec<Job>, JobsError> {
    let rows: Vec<Row> = sqlx::query_as(
        "SELECT * FROM job WHERE state = 'running' AND lease_until <= ? AND attempt >= max_attempts LIMIT 1000",
    )
    .bind(now.timestamp_millis())
    .fetch_all(db.pool())
    .await?;
    rows.into_iter().map(Row::into_job).collect()
}
