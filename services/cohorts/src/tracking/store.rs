//! `tracked` and `tracked_day`.

use std::collections::BTreeMap;

use muster_days::Ds;
use muster_sql::{Db, is_unique_violation, on};
use serde::{Deserialize, Serialize};
use sqlx::FromRow;

use crate::error::Error;

#[derive(Debug, Clone, FromRow)]
pub struct TrackedRow {
    pub app_id: String,
    pub subject: String,
    pub from_ds: u32,
    pub first_cohort: String,
    pub first_users: i64,
    pub created_by: String,
    pub created_at: i64,
}

#[derive(Debug, Clone, FromRow)]
pub struct DayRow {
    pub ds: u32,
    pub cohort_id: String,
    pub inputs: String,
    pub figures: String,
}

/// Of a day, as they are kept. Exact.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    pub cohort: CrowdFigures,
    pub app: CrowdFigures,
    /// None where the first cohort is no longer kept.
    pub retained: Option<u64>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CrowdFigures {
    pub users: u64,
    pub active: u64,
    pub trades: u64,
    pub events: BTreeMap<String, EventFigures>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventFigures {
    pub users: u64,
    /// None where 64 bits do not hold it.
    pub pv: Option<i64>,
    pub measures: BTreeMap<String, Option<i64>>,
    /// What the event counted as.
    pub active: bool,
    pub trade: bool,
}

const SELECT: &str =
    "SELECT app_id, subject, from_ds, first_cohort, first_users, created_by, created_at FROM tracked ";

pub async fn apps(db: &Db) -> Result<Vec<String>, Error> {
    Ok(on!(db, pool => sqlx::query_scalar("SELECT DISTINCT app_id FROM tracked").fetch_all(pool).await?))
}

pub async fn all_of(db: &Db, app: &str) -> Result<Vec<TrackedRow>, Error> {
    let query = sqlx::AssertSqlSafe(format!("{SELECT}WHERE app_id = ? ORDER BY subject"));
    Ok(on!(db, pool => sqlx::query_as(query).bind(app).fetch_all(pool).await?))
}

pub async fn tracked(db: &Db, app: &str, subject: &str) -> Result<Option<TrackedRow>, Error> {
    let query = sqlx::AssertSqlSafe(format!("{SELECT}WHERE app_id = ? AND subject = ?"));
    Ok(on!(db, pool => sqlx::query_as(query).bind(app).bind(subject).fetch_optional(pool).await?))
}

/// By id, those behind `cursor`; one more than `limit` when there are more.
pub async fn page(db: &Db, app: &str, cursor: Option<&str>, limit: u32) -> Result<Vec<TrackedRow>, Error> {
    let query = format!("{SELECT}WHERE app_id = ? AND (? IS NULL OR subject > ?) ORDER BY subject LIMIT ?");
    Ok(on!(db, pool => sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(app)
        .bind(cursor)
        .bind(cursor)
        .bind(i64::from(limit) + 1)
        .fetch_all(pool)
        .await?))
}

/// False when it is followed already: it stays as it is.
pub async fn create(db: &Db, row: &TrackedRow) -> Result<bool, Error> {
    let insert = "INSERT INTO tracked (app_id, subject, from_ds, first_cohort, first_users, created_by, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?)";
    let inserted = on!(db, pool => sqlx::query(insert)
        .bind(&row.app_id)
        .bind(&row.subject)
        .bind(row.from_ds)
        .bind(&row.first_cohort)
        .bind(row.first_users)
        .bind(&row.created_by)
        .bind(row.created_at)
        .execute(pool)
        .await
        .map(drop));
    match inserted {
        Err(error) if is_unique_violation(&error) => Ok(false),
        inserted => Ok(inserted.map(|()| true)?),
    }
}

/// With its days. False when it was not followed.
pub async fn delete(db: &Db, app: &str, subject: &str) -> Result<bool, Error> {
    let mut transaction = db.begin().await?;
    let days = "DELETE FROM tracked_day WHERE app_id = ? AND subject = ?";
    on!(tx &mut transaction, connection =>
        sqlx::query(days).bind(app).bind(subject).execute(connection).await.map(drop)?);
    let query = "DELETE FROM tracked WHERE app_id = ? AND subject = ?";
    let done = on!(tx &mut transaction, connection =>
        sqlx::query(query).bind(app).bind(subject).execute(connection).await?.rows_affected());
    transaction.commit().await?;
    Ok(done == 1)
}

/// How many users its first cohort has by now.
pub async fn put_first_users(db: &Db, app: &str, subject: &str, users: u64) -> Result<(), Error> {
    let query = "UPDATE tracked SET first_users = ? WHERE app_id = ? AND subject = ?";
    on!(db, pool =>
        sqlx::query(query).bind(users as i64).bind(app).bind(subject).execute(pool).await.map(drop)?);
    Ok(())
}

/// Ascending, both ends included.
pub async fn days(db: &Db, app: &str, subject: &str, (from, to): (Ds, Ds)) -> Result<Vec<DayRow>, Error> {
    let query = "SELECT ds, cohort_id, inputs, figures FROM tracked_day \
         WHERE app_id = ? AND subject = ? AND ds BETWEEN ? AND ? ORDER BY ds";
    Ok(on!(db, pool => sqlx::query_as(query)
        .bind(app)
        .bind(subject)
        .bind(from.number())
        .bind(to.number())
        .fetch_all(pool)
        .await?))
}

/// Replaces the day, unless the subject is followed no more.
pub async fn put_day(db: &Db, app: &str, subject: &str, row: &DayRow, now: i64) -> Result<(), Error> {
    let mut transaction = db.begin().await?;
    let delete = "DELETE FROM tracked_day WHERE app_id = ? AND subject = ? AND ds = ?";
    on!(tx &mut transaction, connection =>
        sqlx::query(delete).bind(app).bind(subject).bind(row.ds).execute(connection).await.map(drop)?);
    let insert = "INSERT INTO tracked_day (app_id, subject, ds, cohort_id, inputs, figures, computed_at) \
         SELECT app_id, subject, ?, ?, ?, ?, ? FROM tracked WHERE app_id = ? AND subject = ?";
    on!(tx &mut transaction, connection => sqlx::query(insert)
        .bind(row.ds)
        .bind(&row.cohort_id)
        .bind(&row.inputs)
        .bind(&row.figures)
        .bind(now)
        .bind(app)
        .bind(subject)
        .execute(connection)
        .await
        .map(drop)?);
    Ok(transaction.commit().await?)
}
