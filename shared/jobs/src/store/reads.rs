//! What is asked of the `job` table.

use chrono::{DateTime, Utc};
use muster_sql::{Db, on};
use sqlx::QueryBuilder;

use super::row::Row;
use crate::jobs::Load;
use crate::{Filter, Job, JobsError, Priority, State};

/// A job by its id, with its place in the queue while it waits.
pub(crate) async fn find(db: &Db, id: &str) -> Result<Option<Job>, JobsError> {
    let query = "SELECT * FROM job WHERE id = ?";
    let row: Option<Row> = on!(db, pool => sqlx::query_as(query).bind(id).fetch_optional(pool).await?);
    let Some(row) = row else { return Ok(None) };
    let mut job = row.into_job()?;
    if job.state == State::Queued {
        job.position = Some(ahead(db, &job).await?);
    }
    Ok(Some(job))
}

/// How many waiting jobs of the same kind go before this one, when each party has its turn: those of
/// higher priority, the party's own earlier ones, and of every other party as many as have their turn first.
async fn ahead(db: &Db, job: &Job) -> Result<u64, JobsError> {
    let first = "SELECT COUNT(*) FROM job WHERE state = 'queued' AND kind = ? AND priority < ?";
    let first: i64 = on!(db, pool => sqlx::query_scalar(first)
        .bind(&job.kind)
        .bind(job.priority.number())
        .fetch_one(pool)
        .await?);
    let lines = "SELECT party, COUNT(*), MIN(id), CAST(SUM(CASE WHEN id < ? THEN 1 ELSE 0 END) AS SIGNED)
         FROM job WHERE state = 'queued' AND kind = ? AND priority = ? GROUP BY party";
    let lines: Vec<(String, i64, String, i64)> = on!(db, pool => sqlx::query_as(lines)
        .bind(&job.id)
        .bind(&job.kind)
        .bind(job.priority.number())
        .fetch_all(pool)
        .await?);
    let own = lines.iter().find(|(party, ..)| party == job.party()).map_or(0, |&(.., earlier)| earlier);
    let others = lines.iter().filter(|(party, ..)| party != job.party());
    let others: i64 = others.map(|(_, n, oldest, _)| (own + i64::from(*oldest < job.id)).min(*n)).sum();
    Ok((first + own + others).unsigned_abs())
}

/// Jobs that pass the filter, newest first, at most `limit`, beginning after the id `after`.
pub(crate) async fn page(
    db: &Db,
    filter: &Filter,
    after: Option<&str>,
    limit: u32,
) -> Result<Vec<Job>, JobsError> {
    let rows: Vec<Row> = on!(db, pool => {
        let mut query = QueryBuilder::new("SELECT * FROM job WHERE 1 = 1");
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
        query.build_query_as().fetch_all(pool).await?
    });
    rows.into_iter().map(Row::into_job).collect()
}

/// How many jobs wait and run, per kind and priority; lines without any are left out.
pub(crate) async fn load(db: &Db) -> Result<Vec<Load>, JobsError> {
    let query = "SELECT kind, priority,
                CAST(SUM(CASE WHEN state = 'queued' THEN 1 ELSE 0 END) AS SIGNED),
                CAST(SUM(CASE WHEN state = 'running' THEN 1 ELSE 0 END) AS SIGNED)
         FROM job WHERE state IN ('queued', 'running') GROUP BY kind, priority";
    let rows: Vec<(String, i64, i64, i64)> = on!(db, pool => sqlx::query_as(query).fetch_all(pool).await?);
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

/// What a job needs to be taken: it waits, or a silent worker left it.
const IS_DUE: &str = "((state = 'queued' AND not_before <= ?)
      OR (state = 'running' AND lease_until <= ? AND attempt < max_attempts))";

/// Jobs of a kind and priority that could run now. Every party has its turn: the oldest job of each comes
/// first, then the second oldest of each, up to `each` of one party.
pub(crate) async fn due(
    db: &Db,
    kind: &str,
    priority: Priority,
    now: DateTime<Utc>,
    (each, limit): (usize, usize),
) -> Result<Vec<Due>, JobsError> {
    let query = format!(
        "SELECT id, created_at FROM (
             SELECT id, created_at, ROW_NUMBER() OVER (PARTITION BY party ORDER BY id) AS turn
             FROM job WHERE kind = ? AND priority = ? AND {IS_DUE}) AS waiting
         WHERE turn <= ? ORDER BY turn, id LIMIT ?"
    );
    let rows: Vec<(String, i64)> = on!(db, pool => sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(kind)
        .bind(priority.number())
        .bind(now.timestamp_millis())
        .bind(now.timestamp_millis())
        .bind(count(each))
        .bind(count(limit))
        .fetch_all(pool)
        .await?);
    let due =
        |(id, created_at)| Due { id, created_at: DateTime::from_timestamp_millis(created_at).unwrap_or(now) };
    Ok(rows.into_iter().map(due).collect())
}

/// The oldest jobs of one party that could run now.
pub(crate) async fn due_of(
    db: &Db,
    party: &str,
    (kind, priority): (&str, Priority),
    now: DateTime<Utc>,
    limit: usize,
) -> Result<Vec<Due>, JobsError> {
    let query = "SELECT id, created_at FROM job
         WHERE kind = ? AND state = 'queued' AND party = ? AND priority = ? AND not_before <= ?
         ORDER BY id LIMIT ?";
    let rows: Vec<(String, i64)> = on!(db, pool => sqlx::query_as(query)
        .bind(kind)
        .bind(party)
        .bind(priority.number())
        .bind(now.timestamp_millis())
        .bind(count(limit))
        .fetch_all(pool)
        .await?);
    let due =
        |(id, created_at)| Due { id, created_at: DateTime::from_timestamp_millis(created_at).unwrap_or(now) };
    Ok(rows.into_iter().map(due).collect())
}

/// Whose job this is, if it could run now.
pub(crate) async fn party_of_due(db: &Db, id: &str, now: DateTime<Utc>) -> Result<Option<String>, JobsError> {
    let query = format!("SELECT party FROM job WHERE id = ? AND {IS_DUE}");
    Ok(on!(db, pool => sqlx::query_scalar(sqlx::AssertSqlSafe(query))
        .bind(id)
        .bind(now.timestamp_millis())
        .bind(now.timestamp_millis())
        .fetch_optional(pool)
        .await?))
}

/// How many jobs of a party and kind run under a lease, in all processes.
pub(crate) async fn running_of(
    db: &Db,
    party: &str,
    kind: &str,
    now: DateTime<Utc>,
) -> Result<usize, JobsError> {
    let query = "SELECT COUNT(*) FROM job
         WHERE kind = ? AND state = 'running' AND party = ? AND lease_until > ?";
    let running: i64 = on!(db, pool => sqlx::query_scalar(query)
        .bind(kind)
        .bind(party)
        .bind(now.timestamp_millis())
        .fetch_one(pool)
        .await?);
    Ok(usize::try_from(running).unwrap_or(0))
}

/// Whether a job of this kind waits for another party.
pub(crate) async fn others_wait(db: &Db, party: &str, kind: &str) -> Result<bool, JobsError> {
    // Two probes of the index; `<>` would walk over all the party's own jobs.
    let before = "SELECT 1 FROM job WHERE kind = ? AND state = 'queued' AND party < ? LIMIT 1";
    let after = "SELECT 1 FROM job WHERE kind = ? AND state = 'queued' AND party > ? LIMIT 1";
    for query in [before, after] {
        let found: Option<i64> =
            on!(db, pool => sqlx::query_scalar(query).bind(kind).bind(party).fetch_optional(pool).await?);
        if found.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// How many jobs of a party and kind wait or run, counted no further than `enough`.
pub(crate) async fn unfinished_of(
    db: &Db,
    party: &str,
    kind: &str,
    enough: usize,
) -> Result<usize, JobsError> {
    let query = "SELECT COUNT(*) FROM (
             SELECT id FROM job WHERE kind = ? AND state IN ('queued', 'running') AND party = ? LIMIT ?
         ) AS some";
    let some: i64 = on!(db, pool => sqlx::query_scalar(query)
        .bind(kind)
        .bind(party)
        .bind(count(enough))
        .fetch_one(pool)
        .await?);
    Ok(usize::try_from(some).unwrap_or(0))
}

fn count(limit: usize) -> i64 {
    i64::try_from(limit).unwrap_or(i64::MAX)
}

/// Jobs whose last allowed attempt went silent.
pub(crate) async fn lost(db: &Db, now: DateTime<Utc>) -> Result<Vec<Job>, JobsError> {
    let query = "SELECT * FROM job
         WHERE state = 'running' AND lease_until <= ? AND attempt >= max_attempts LIMIT 1000";
    let now = now.timestamp_millis();
    let rows: Vec<Row> = on!(db, pool => sqlx::query_as(query).bind(now).fetch_all(pool).await?);
    rows.into_iter().map(Row::into_job).collect()
}
