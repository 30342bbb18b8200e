//! `delivery`.

use chrono::{DateTime, Utc};
use muster_sql::{Db, on};
use sqlx::FromRow;

use super::destination::DOWNLOAD;
use crate::error::Error;

#[derive(Debug, Clone, FromRow)]
pub struct DeliveryRow {
    pub id: String,
    pub app_id: String,
    pub destination: String,
    pub subject: String,
    pub asked: String,
    pub job_id: String,
    pub cohort_id: Option<String>,
    pub since: Option<String>,
    pub batches: i64,
    pub manifest: Option<String>,
    pub created_by: String,
    pub created_at: i64,
    pub finished_at: Option<i64>,
    /// Of a download: the last erasure of the app's users that it knows of, once anything of it was written.
    pub erasure: Option<i64>,
    /// Of a download that is done: the folder of its files.
    pub attempt: Option<String>,
    /// When a download's files went.
    pub removed_at: Option<i64>,
}

impl DeliveryRow {
    pub fn is_download(&self) -> bool {
        self.destination == DOWNLOAD
    }
}

const SELECT: &str = "SELECT id, app_id, destination, subject, asked, job_id, cohort_id, since, batches, manifest, \
     created_by, created_at, finished_at, erasure, attempt, removed_at FROM delivery ";

pub async fn create(db: &Db, row: &DeliveryRow) -> Result<(), Error> {
    let insert = "INSERT INTO delivery (id, app_id, destination, subject, asked, job_id, batches, created_by, \
         created_at) VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?)";
    on!(db, pool => sqlx::query(insert)
        .bind(&row.id)
        .bind(&row.app_id)
        .bind(&row.destination)
        .bind(&row.subject)
        .bind(&row.asked)
        .bind(&row.job_id)
        .bind(&row.created_by)
        .bind(row.created_at)
        .execute(pool)
        .await
        .map(drop)?);
    Ok(())
}

pub async fn delivery(db: &Db, app: &str, id: &str) -> Result<Option<DeliveryRow>, Error> {
    let query = sqlx::AssertSqlSafe(format!("{SELECT}WHERE app_id = ? AND id = ?"));
    Ok(on!(db, pool => sqlx::query_as(query).bind(app).bind(id).fetch_optional(pool).await?))
}

/// Newest first, those before `cursor`; one more than `limit` when there are more.
pub async fn deliveries(
    db: &Db,
    app: &str,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Vec<DeliveryRow>, Error> {
    let query = format!("{SELECT}WHERE app_id = ? AND (? IS NULL OR id < ?) ORDER BY id DESC LIMIT ?");
    Ok(on!(db, pool => sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(app)
        .bind(cursor)
        .bind(cursor)
        .bind(i64::from(limit) + 1)
        .fetch_all(pool)
        .await?))
}

/// The cohort that was delivered last of a subject to a destination, and the delivery.
pub async fn last_delivered(
    db: &Db,
    app: &str,
    (destination, subject): (&str, &str),
) -> Result<Option<(String, String)>, Error> {
    let query = "SELECT cohort_id, id FROM delivery WHERE app_id = ? AND destination = ? AND subject = ? \
         AND finished_at IS NOT NULL ORDER BY finished_at DESC, id DESC LIMIT 1";
    Ok(on!(db, pool => sqlx::query_as(query)
        .bind(app)
        .bind(destination)
        .bind(subject)
        .fetch_optional(pool)
        .await?))
}

/// Whether a delivery behind `id` has begun and is not done: it may have been taken in part.
pub async fn any_in_part(
    db: &Db,
    app: &str,
    (destination, subject): (&str, &str),
    id: &str,
) -> Result<bool, Error> {
    let query = "SELECT COUNT(*) FROM delivery WHERE app_id = ? AND destination = ? AND subject = ? \
         AND finished_at IS NULL AND cohort_id IS NOT NULL AND id > ?";
    let found: i64 = on!(db, pool => sqlx::query_scalar(query)
        .bind(app)
        .bind(destination)
        .bind(subject)
        .bind(id)
        .fetch_one(pool)
        .await?);
    Ok(found > 0)
}

/// The last delivery of another cohort.
pub async fn last_other(
    db: &Db,
    app: &str,
    (destination, subject): (&str, &str),
    cohort: &str,
) -> Result<Option<String>, Error> {
    let query = "SELECT id FROM delivery WHERE app_id = ? AND destination = ? AND subject = ? \
         AND finished_at IS NOT NULL AND cohort_id <> ? ORDER BY finished_at DESC, id DESC LIMIT 1";
    Ok(on!(db, pool => sqlx::query_scalar(query)
        .bind(app)
        .bind(destination)
        .bind(subject)
        .bind(cohort)
        .fetch_optional(pool)
        .await?))
}

/// Users of a batch, as the first attempt has settled it: whoever goes on counts in the same.
pub async fn settle_batch(db: &Db, app: &str, id: &str, batch: usize) -> Result<usize, Error> {
    let update = "UPDATE delivery SET batch_size = ? WHERE app_id = ? AND id = ? AND batch_size IS NULL";
    on!(db, pool =>
        sqlx::query(update).bind(batch as i64).bind(app).bind(id).execute(pool).await.map(drop)?);
    let query = "SELECT batch_size FROM delivery WHERE app_id = ? AND id = ?";
    let settled: i64 = on!(db, pool => sqlx::query_scalar(query).bind(app).bind(id).fetch_one(pool).await?);
    Ok(settled as usize)
}

/// What it delivers, once it is settled: a second attempt delivers the same.
pub async fn settle(
    db: &Db,
    app: &str,
    id: &str,
    (cohort, since): (&str, Option<&str>),
) -> Result<(), Error> {
    let query =
        "UPDATE delivery SET cohort_id = ?, since = ? WHERE app_id = ? AND id = ? AND cohort_id IS NULL";
    on!(db, pool =>
        sqlx::query(query).bind(cohort).bind(since).bind(app).bind(id).execute(pool).await.map(drop)?);
    Ok(())
}

/// So many batches have been taken: a further attempt goes on behind them.
pub async fn put_batches(db: &Db, app: &str, id: &str, batches: u64) -> Result<(), Error> {
    let query = "UPDATE delivery SET batches = ? WHERE app_id = ? AND id = ? AND batches < ?";
    let batches = batches as i64;
    on!(db, pool =>
        sqlx::query(query).bind(batches).bind(app).bind(id).bind(batches).execute(pool).await.map(drop)?);
    Ok(())
}

/// Of a download with the folder of its files, and the erasure that they know of. False when it was done before, or is a
/// download whose time is up.
pub async fn finish(
    db: &Db,
    (app, id): (&str, &str),
    manifest: &str,
    download: Option<(&str, u64)>,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let query = "UPDATE delivery SET manifest = ?, attempt = ?, erasure = ?, finished_at = ? \
         WHERE app_id = ? AND id = ? AND finished_at IS NULL AND removed_at IS NULL";
    let done = on!(db, pool => sqlx::query(query)
        .bind(manifest)
        .bind(download.map(|(attempt, _)| attempt))
        .bind(download.map(|(_, erasure)| erasure as i64))
        .bind(now.timestamp_millis())
        .bind(app)
        .bind(id)
        .execute(pool)
        .await?
        .rows_affected());
    Ok(done == 1)
}

/// Those that are not done and were asked for in this time.
pub async fn begun_between(
    db: &Db,
    from: DateTime<Utc>,
    to: DateTime<Utc>,
) -> Result<Vec<DeliveryRow>, Error> {
    let query = format!("{SELECT}WHERE finished_at IS NULL AND created_at BETWEEN ? AND ? ORDER BY id");
    Ok(on!(db, pool => sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(from.timestamp_millis())
        .bind(to.timestamp_millis())
        .fetch_all(pool)
        .await?))
}

/// Files of a download are about to be written. It keeps the first erasure it is told of until it is done, since what
/// an attempt before has written may still be there. False when it is done, or its time is up.
pub async fn begin_download(db: &Db, app: &str, id: &str, erasure: u64) -> Result<bool, Error> {
    let query = "UPDATE delivery SET erasure = COALESCE(erasure, ?) \
         WHERE app_id = ? AND id = ? AND finished_at IS NULL AND removed_at IS NULL";
    let done = on!(db, pool => sqlx::query(query)
        .bind(erasure as i64)
        .bind(app)
        .bind(id)
        .execute(pool)
        .await?
        .rows_affected());
    Ok(done == 1)
}

/// Of all apps, those that were done before, and those that were asked for before and are not done.
pub async fn old_downloads(db: &Db, before: DateTime<Utc>) -> Result<Vec<DeliveryRow>, Error> {
    let query = format!(
        "{SELECT}WHERE destination = ? AND removed_at IS NULL AND COALESCE(finished_at, created_at) < ? ORDER BY id"
    );
    Ok(on!(db, pool => sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(DOWNLOAD)
        .bind(before.timestamp_millis())
        .fetch_all(pool)
        .await?))
}

/// Those that may have users who were erased since.
pub async fn downloads_before(db: &Db, app: &str, erasure: u64) -> Result<Vec<DeliveryRow>, Error> {
    let query = format!(
        "{SELECT}WHERE app_id = ? AND destination = ? AND removed_at IS NULL AND erasure < ? ORDER BY id"
    );
    Ok(on!(db, pool => sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(app)
        .bind(DOWNLOAD)
        .bind(erasure as i64)
        .fetch_all(pool)
        .await?))
}

/// Apps with downloads that are there.
pub async fn apps_with_downloads(db: &Db) -> Result<Vec<String>, Error> {
    let query = "SELECT DISTINCT app_id FROM delivery WHERE destination = ? AND removed_at IS NULL";
    Ok(on!(db, pool => sqlx::query_scalar(query).bind(DOWNLOAD).fetch_all(pool).await?))
}

pub async fn put_removed(db: &Db, app: &str, id: &str, now: DateTime<Utc>) -> Result<(), Error> {
    let query = "UPDATE delivery SET removed_at = ? WHERE app_id = ? AND id = ?";
    let now = now.timestamp_millis();
    on!(db, pool => sqlx::query(query).bind(now).bind(app).bind(id).execute(pool).await.map(drop)?);
    Ok(())
}
