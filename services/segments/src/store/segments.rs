//! `segment` and `segment_version`.

use chrono::{DateTime, Utc};
use muster_sql::Db;
use sqlx::FromRow;

use super::time;
use crate::answers::SegmentVersion;
use crate::error::Error;

/// A segment with the rule of its newest version.
#[derive(Debug, FromRow)]
pub struct SegmentRow {
    pub id: String,
    pub app_id: String,
    pub name: String,
    pub refresh: String,
    pub version: u32,
    pub rule: String,
    pub created_at: i64,
    pub updated_at: i64,
}

const SELECT: &str = "SELECT s.id, s.app_id, s.name, s.refresh, s.version, v.rule, s.created_at, s.updated_at \
     FROM segment s JOIN segment_version v ON v.segment_id = s.id AND v.version = s.version ";

/// Inserts the segment with version 1. `new.version` and both times are taken as they are.
pub async fn create(db: &Db, new: &SegmentRow, by: &str) -> Result<(), Error> {
    let mut transaction = db.begin().await?;
    sqlx::query(
        "INSERT INTO segment (id, app_id, name, refresh, version, created_at, updated_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&new.id)
    .bind(&new.app_id)
    .bind(&new.name)
    .bind(&new.refresh)
    .bind(new.version)
    .bind(new.created_at)
    .bind(new.updated_at)
    .execute(&mut *transaction)
    .await?;
    insert_version(&mut transaction, &new.id, new.version, &new.rule, by, new.updated_at).await?;
    Ok(transaction.commit().await?)
}

async fn insert_version(
    transaction: &mut sqlx::Transaction<'static, sqlx::Sqlite>,
    segment: &str,
    version: u32,
    rule: &str,
    by: &str,
    now: i64,
) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO segment_version (segment_id, version, rule, created_by, created_at) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(segment)
    .bind(version)
    .bind(rule)
    .bind(by)
    .bind(now)
    .execute(&mut **transaction)
    .await?;
    Ok(())
}

/// Replaces name, refresh and rule; another rule is a new version. False when there is no such segment.
pub async fn change(
    db: &Db,
    (app, id): (&str, &str),
    (name, refresh, rule): (&str, &str, &str),
    by: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let now = now.timestamp_millis();
    let mut transaction = db.begin().await?;
    let old: Option<(u32, String)> = sqlx::query_as(
        "SELECT s.version, v.rule FROM segment s \
         JOIN segment_version v ON v.segment_id = s.id AND v.version = s.version \
         WHERE s.app_id = ? AND s.id = ? AND s.deleted_at IS NULL",
    )
    .bind(app)
    .bind(id)
    .fetch_optional(&mut *transaction)
    .await?;
    let Some((version, old_rule)) = old else { return Ok(false) };
    let version = if old_rule == rule { version } else { version + 1 };
    if old_rule != rule {
        insert_version(&mut transaction, id, version, rule, by, now).await?;
    }
    sqlx::query(
        "UPDATE segment SET name = ?, refresh = ?, version = ?, updated_at = ? WHERE app_id = ? AND id = ?",
    )
    .bind(name)
    .bind(refresh)
    .bind(version)
    .bind(now)
    .bind(app)
    .bind(id)
    .execute(&mut *transaction)
    .await?;
    transaction.commit().await?;
    Ok(true)
}

/// False when there is no such segment.
pub async fn delete(db: &Db, app: &str, id: &str, now: DateTime<Utc>) -> Result<bool, Error> {
    let query = "UPDATE segment SET deleted_at = ? WHERE app_id = ? AND id = ? AND deleted_at IS NULL";
    let done = sqlx::query(query).bind(now.timestamp_millis()).bind(app).bind(id).execute(db.pool()).await?;
    Ok(done.rows_affected() == 1)
}

pub async fn segment(db: &Db, app: &str, id: &str) -> Result<Option<SegmentRow>, Error> {
    let query = format!("{SELECT} WHERE s.app_id = ? AND s.id = ? AND s.deleted_at IS NULL");
    let query = sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(app).bind(id);
    Ok(query.fetch_optional(db.pool()).await?)
}

/// Newest first, those before `cursor`; one more than `limit` when there are more.
pub async fn segments(
    db: &Db,
    app: &str,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Vec<SegmentRow>, Error> {
    let query = format!(
        "{SELECT} WHERE s.app_id = ? AND s.deleted_at IS NULL AND (? IS NULL OR s.id < ?) \
         ORDER BY s.id DESC LIMIT ?"
    );
    let query = sqlx::query_as(sqlx::AssertSqlSafe(query));
    Ok(query.bind(app).bind(cursor).bind(cursor).bind(limit + 1).fetch_all(db.pool()).await?)
}

/// The rule of one version, of a segment that may be deleted by now.
pub async fn version(db: &Db, app: &str, id: &str, version: u32) -> Result<Option<String>, Error> {
    let query = "SELECT v.rule FROM segment s JOIN segment_version v ON v.segment_id = s.id \
         WHERE s.app_id = ? AND s.id = ? AND v.version = ?";
    Ok(sqlx::query_scalar(query).bind(app).bind(id).bind(version).fetch_optional(db.pool()).await?)
}

/// Newest first, those below `before`; one more than `limit` when there are more.
pub async fn versions(
    db: &Db,
    app: &str,
    id: &str,
    before: Option<u32>,
    limit: u32,
) -> Result<Vec<SegmentVersion>, Error> {
    let query = "SELECT v.version, v.rule, v.created_by, v.created_at \
         FROM segment s JOIN segment_version v ON v.segment_id = s.id \
         WHERE s.app_id = ? AND s.id = ? AND s.deleted_at IS NULL AND (? IS NULL OR v.version < ?) \
         ORDER BY v.version DESC LIMIT ?";
    let rows: Vec<(u32, String, String, i64)> = sqlx::query_as(query)
        .bind(app)
        .bind(id)
        .bind(before)
        .bind(before)
        .bind(limit + 1)
        .fetch_all(db.pool())
        .await?;
    let version = |(version, rule, created_by, created_at): (u32, String, String, i64)| {
        let rule = serde_json::from_str(&rule)?;
        Ok(SegmentVersion { version, rule, created_by, created_at: time(created_at)? })
    };
    rows.into_iter().map(version).collect()
}

/// Segments whose newest rule names the cohort.
pub async fn segments_with_cohort(db: &Db, app: &str, cohort: &str) -> Result<Vec<String>, Error> {
    // The rule is canonical JSON, and an id is letters, digits and `_`: only `_` means something to LIKE.
    let named = format!("%{{\"cohort\":\"{}\"}}%", cohort.replace('_', "!_"));
    let query = "SELECT s.id FROM segment s \
         JOIN segment_version v ON v.segment_id = s.id AND v.version = s.version \
         WHERE s.app_id = ? AND s.deleted_at IS NULL AND v.rule LIKE ? ESCAPE '!' ORDER BY s.id";
    Ok(sqlx::query_scalar(query).bind(app).bind(named).fetch_all(db.pool()).await?)
}
