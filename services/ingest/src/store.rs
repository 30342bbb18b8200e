//! `erasure`.

use muster_profile_store::Erased;
use muster_sql::{Db, on};
use sqlx::FromRow;

#[derive(Debug, FromRow)]
pub struct ErasureRow {
    pub id: String,
    pub app_id: String,
    pub job_id: String,
    pub asked: i64,
    pub known: Option<i64>,
    pub label_days: Option<i64>,
    pub event_days: Option<i64>,
    pub requested_by: String,
    pub requested_at: i64,
    pub finished_at: Option<i64>,
}

const SELECT: &str = "SELECT id, app_id, job_id, asked, known, label_days, event_days, requested_by, requested_at, \
     finished_at FROM erasure ";

/// `ids` is a JSON list.
pub async fn create(db: &Db, row: &ErasureRow, ids: &str) -> sqlx::Result<()> {
    let insert = "INSERT INTO erasure (id, app_id, job_id, asked, ids, requested_by, requested_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?)";
    on!(db, pool => sqlx::query(insert)
        .bind(&row.id)
        .bind(&row.app_id)
        .bind(&row.job_id)
        .bind(row.asked)
        .bind(ids)
        .bind(&row.requested_by)
        .bind(row.requested_at)
        .execute(pool)
        .await
        .map(drop))
}

pub async fn erasure(db: &Db, app: &str, id: &str) -> sqlx::Result<Option<ErasureRow>> {
    let query = sqlx::AssertSqlSafe(format!("{SELECT}WHERE app_id = ? AND id = ?"));
    on!(db, pool => sqlx::query_as(query).bind(app).bind(id).fetch_optional(pool).await)
}

/// Newest first, those before `cursor`; one more than `limit` when there are more.
pub async fn erasures(db: &Db, app: &str, cursor: Option<&str>, limit: u32) -> sqlx::Result<Vec<ErasureRow>> {
    let query = format!("{SELECT}WHERE app_id = ? AND (? IS NULL OR id < ?) ORDER BY id DESC LIMIT ?");
    on!(db, pool => sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(app)
        .bind(cursor)
        .bind(cursor)
        .bind(i64::from(limit) + 1)
        .fetch_all(pool)
        .await)
}

/// Of every app: those that were asked for before `before` and are not done, with their ids still there.
pub async fn unfinished(db: &Db, before: i64) -> sqlx::Result<Vec<ErasureRow>> {
    let query = sqlx::AssertSqlSafe(format!(
        "{SELECT}WHERE finished_at IS NULL AND ids IS NOT NULL AND requested_at < ? ORDER BY id"
    ));
    on!(db, pool => sqlx::query_as(query).bind(before).fetch_all(pool).await)
}

/// Another job has it now.
pub async fn hand_over(db: &Db, (app, id): (&str, &str), job: &str) -> sqlx::Result<()> {
    let query = "UPDATE erasure SET job_id = ? WHERE app_id = ? AND id = ?";
    on!(db, pool => sqlx::query(query).bind(job).bind(app).bind(id).execute(pool).await.map(drop))
}

/// Nobody wants it done any more.
pub async fn forget_ids(db: &Db, (app, id): (&str, &str)) -> sqlx::Result<()> {
    let query = "UPDATE erasure SET ids = NULL WHERE app_id = ? AND id = ?";
    on!(db, pool => sqlx::query(query).bind(app).bind(id).execute(pool).await.map(drop))
}

/// The ids, a JSON list; None once they are erased.
pub async fn ids(db: &Db, app: &str, id: &str) -> sqlx::Result<Option<String>> {
    let query = "SELECT ids FROM erasure WHERE app_id = ? AND id = ?";
    let found: Option<Option<String>> =
        on!(db, pool => sqlx::query_scalar(query).bind(app).bind(id).fetch_optional(pool).await?);
    Ok(found.flatten())
}

/// What is about to be published. An attempt that finds nobody any more leaves what the one before it has found.
pub async fn put_found(db: &Db, (app, id): (&str, &str), found: Erased) -> sqlx::Result<()> {
    let query = "UPDATE erasure SET known = ?, label_days = ?, event_days = ? \
         WHERE app_id = ? AND id = ? AND (known IS NULL OR known < ?)";
    on!(db, pool => sqlx::query(query)
        .bind(found.users as i64)
        .bind(found.label_days as i64)
        .bind(found.event_days as i64)
        .bind(app)
        .bind(id)
        .bind(found.users as i64)
        .execute(pool)
        .await
        .map(drop))
}

/// They are erased: the ids are forgotten.
pub async fn finish(db: &Db, (app, id): (&str, &str), now: i64) -> sqlx::Result<()> {
    let query =
        "UPDATE erasure SET ids = NULL, finished_at = ? WHERE app_id = ? AND id = ? AND finished_at IS NULL";
    on!(db, pool => sqlx::query(query).bind(now).bind(app).bind(id).execute(pool).await.map(drop))
}
