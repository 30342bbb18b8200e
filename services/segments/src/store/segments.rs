//! `segment` and `segment_version`.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use muster_sql::{Db, Tx, is_unique_violation, on};
use sqlx::FromRow;

use super::days::set_on_missing;
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
    /// None: as the deployment has it.
    pub on_missing: Option<String>,
    pub version: u32,
    pub rule: String,
    pub created_at: i64,
    pub updated_at: i64,
}

/// Somebody is bound to win a race for a version within this many rounds.
const ROUNDS: usize = 10;

const SELECT: &str = "SELECT s.id, s.app_id, s.name, s.refresh, r.on_missing, s.version, v.rule, s.created_at, \
     s.updated_at FROM segment s JOIN segment_version v ON v.segment_id = s.id AND v.version = s.version \
     LEFT JOIN segment_refresh r ON r.segment_id = s.id ";

/// Inserts the segment with version 1. `new.version` and both times are taken as they are.
pub async fn create(db: &Db, new: &SegmentRow, by: &str) -> Result<(), Error> {
    let mut transaction = db.begin().await?;
    on!(tx &mut transaction, connection => sqlx::query(
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
    .execute(connection)
    .await
    .map(drop)?);
    insert_version(&mut transaction, &new.id, new.version, &new.rule, by, new.updated_at).await?;
    if let Some(on_missing) = &new.on_missing {
        set_on_missing(&mut transaction, &new.id, on_missing).await?;
    }
    Ok(transaction.commit().await?)
}

async fn insert_version(
    transaction: &mut Tx,
    segment: &str,
    version: u32,
    rule: &str,
    by: &str,
    now: i64,
) -> sqlx::Result<()> {
    on!(tx transaction, connection => sqlx::query(
        "INSERT INTO segment_version (segment_id, version, rule, created_by, created_at) VALUES (?, ?, ?, ?, ?)",
    )
    .bind(segment)
    .bind(version)
    .bind(rule)
    .bind(by)
    .bind(now)
    .execute(connection)
    .await
    .map(drop))
}

/// What becomes of a segment.
#[derive(Debug, Clone, Copy)]
pub struct Change<'a> {
    pub name: &'a str,
    pub refresh: &'a str,
    /// None: stays as it is.
    pub on_missing: Option<&'a str>,
    /// Canonical JSON.
    pub rule: &'a str,
}

/// Replaces name, refresh and rule; another rule is a new version. False when there is no such segment.
pub async fn change(
    db: &Db,
    (app, id): (&str, &str),
    to: Change<'_>,
    by: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    for _ in 0..ROUNDS {
        let Some(old) = segment(db, app, id).await? else { return Ok(false) };
        if change_from(db, &old, to, by, now.timestamp_millis()).await? {
            return Ok(true);
        }
    }
    Err(Error::Inside(format!("segment {id} was changed by others again and again")))
}

/// False when the segment is no longer at the version of `old`: somebody else was faster.
async fn change_from(db: &Db, old: &SegmentRow, to: Change<'_>, by: &str, now: i64) -> Result<bool, Error> {
    let version = if old.rule == to.rule { old.version } else { old.version + 1 };
    let mut transaction = db.begin().await?;
    if version != old.version {
        match insert_version(&mut transaction, &old.id, version, to.rule, by, now).await {
            Err(error) if is_unique_violation(&error) => return Ok(false),
            inserted => inserted?,
        }
    }
    let query = "UPDATE segment SET name = ?, refresh = ?, version = ?, updated_at = ? \
         WHERE app_id = ? AND id = ? AND version = ? AND deleted_at IS NULL";
    let changed = on!(tx &mut transaction, connection => sqlx::query(query)
        .bind(to.name)
        .bind(to.refresh)
        .bind(version)
        .bind(now)
        .bind(&old.app_id)
        .bind(&old.id)
        .bind(old.version)
        .execute(connection)
        .await?
        .rows_affected());
    if changed == 1 {
        if let Some(on_missing) = to.on_missing {
            set_on_missing(&mut transaction, &old.id, on_missing).await?;
        }
        transaction.commit().await?;
    }
    Ok(changed == 1)
}

/// False when there is no such segment.
pub async fn delete(db: &Db, app: &str, id: &str, now: DateTime<Utc>) -> Result<bool, Error> {
    let query = "UPDATE segment SET deleted_at = ? WHERE app_id = ? AND id = ? AND deleted_at IS NULL";
    let now = now.timestamp_millis();
    let done = on!(db, pool =>
        sqlx::query(query).bind(now).bind(app).bind(id).execute(pool).await?.rows_affected());
    Ok(done == 1)
}

pub async fn segment(db: &Db, app: &str, id: &str) -> Result<Option<SegmentRow>, Error> {
    let query = format!("{SELECT} WHERE s.app_id = ? AND s.id = ? AND s.deleted_at IS NULL");
    let query = sqlx::AssertSqlSafe(query);
    Ok(on!(db, pool => sqlx::query_as(query).bind(app).bind(id).fetch_optional(pool).await?))
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
    Ok(on!(db, pool => sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(app)
        .bind(cursor)
        .bind(cursor)
        .bind(i64::from(limit) + 1)
        .fetch_all(pool)
        .await?))
}

/// The rule of one version, of a segment that may be deleted by now.
pub async fn version(db: &Db, app: &str, id: &str, version: u32) -> Result<Option<String>, Error> {
    let query = "SELECT v.rule FROM segment s JOIN segment_version v ON v.segment_id = s.id \
         WHERE s.app_id = ? AND s.id = ? AND v.version = ?";
    Ok(on!(db, pool =>
        sqlx::query_scalar(query).bind(app).bind(id).bind(version).fetch_optional(pool).await?))
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
    let rows: Vec<(u32, String, String, i64)> = on!(db, pool => sqlx::query_as(query)
        .bind(app)
        .bind(id)
        .bind(before)
        .bind(before)
        .bind(i64::from(limit) + 1)
        .fetch_all(pool)
        .await?);
    let version = |(version, rule, created_by, created_at): (u32, String, String, i64)| {
        let rule = serde_json::from_str(&rule)?;
        Ok(SegmentVersion { version, rule, created_by, created_at: time(created_at)? })
    };
    rows.into_iter().map(version).collect()
}

/// The cohorts that the newest rules of segments name.
pub async fn cohorts_in_rules(db: &Db, app: &str) -> Result<BTreeSet<String>, Error> {
    let query = "SELECT v.rule FROM segment s \
         JOIN segment_version v ON v.segment_id = s.id AND v.version = s.version \
         WHERE s.app_id = ? AND s.deleted_at IS NULL AND v.rule LIKE '%{\"cohort\":%'";
    let rules: Vec<String> = on!(db, pool => sqlx::query_scalar(query).bind(app).fetch_all(pool).await?);
    Ok(rules.iter().flat_map(|rule| named(rule, "cohort")).map(str::to_owned).collect())
}

/// The ids in the conditions of this kind, `cohort` or `segment`, of a rule as it is kept.
pub fn named<'r>(rule: &'r str, kind: &str) -> Vec<&'r str> {
    // It is canonical JSON: within a text the quotes would be escaped.
    let begin = format!("{{\"{kind}\":\"");
    rule.split(&begin).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect()
}

/// The newest rules that name segments, by segment.
pub async fn rules_with_segments(db: &Db, app: &str) -> Result<HashMap<String, String>, Error> {
    let query = "SELECT s.id, v.rule FROM segment s \
         JOIN segment_version v ON v.segment_id = s.id AND v.version = s.version \
         WHERE s.app_id = ? AND s.deleted_at IS NULL AND v.rule LIKE '%{\"segment\":%'";
    let rules: Vec<(String, String)> =
        on!(db, pool => sqlx::query_as(query).bind(app).fetch_all(pool).await?);
    Ok(rules.into_iter().collect())
}

/// Segments whose newest rule has a condition of this kind with the id.
pub async fn segments_naming(db: &Db, app: &str, (kind, id): (&str, &str)) -> Result<Vec<String>, Error> {
    // The rule is canonical JSON, and an id is letters, digits and `_`: only `_` means something to LIKE.
    let named = format!("%{{\"{kind}\":\"{}\"}}%", id.replace('_', "!_"));
    let query = "SELECT s.id FROM segment s \
         JOIN segment_version v ON v.segment_id = s.id AND v.version = s.version \
         WHERE s.app_id = ? AND s.deleted_at IS NULL AND v.rule LIKE ? ESCAPE '!' ORDER BY s.id";
    Ok(on!(db, pool => sqlx::query_scalar(query).bind(app).bind(named).fetch_all(pool).await?))
}
