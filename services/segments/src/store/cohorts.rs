//! `cohort`.

use muster_days::Ds;
use muster_sql::{Db, on};
use sqlx::FromRow;

use super::time;
use crate::answers::Cohort;
use crate::error::Error;

#[derive(Debug, FromRow)]
pub struct NewCohort {
    pub id: String,
    pub app_id: String,
    pub segment_id: String,
    pub segment_version: u32,
    pub job_id: String,
    pub ds: u32,
    pub size: i64,
    pub universe_size: i64,
    pub hash: String,
    pub rule: String,
    pub freshness: String,
    pub inputs: String,
    pub created_at: i64,
}

const SELECT: &str = "SELECT id, app_id, segment_id, segment_version, job_id, ds, size, universe_size, hash, \
     rule, freshness, inputs, created_at FROM cohort ";

impl TryFrom<NewCohort> for Cohort {
    type Error = Error;

    fn try_from(row: NewCohort) -> Result<Cohort, Error> {
        Ok(Cohort {
            ds: Ds::from_number(row.ds.into()).map_err(|error| Error::Inside(error.to_string()))?,
            size: Some(row.size as u64),
            universe_count: row.universe_size as u64,
            rule: serde_json::from_str(&row.rule)?,
            freshness: serde_json::from_str(&row.freshness)?,
            created_at: time(row.created_at)?,
            id: row.id,
            app_id: row.app_id,
            segment_id: row.segment_id,
            segment_version: row.segment_version,
            job_id: row.job_id,
            hash: row.hash,
            inputs: row.inputs,
        })
    }
}

/// Fails with a unique violation when the job has made its cohort before.
pub async fn insert_cohort(db: &Db, new: &NewCohort) -> Result<(), Error> {
    on!(db, pool => sqlx::query(
        "INSERT INTO cohort (id, app_id, segment_id, segment_version, job_id, ds, size, universe_size, hash, \
         rule, freshness, inputs, created_at) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(&new.id)
    .bind(&new.app_id)
    .bind(&new.segment_id)
    .bind(new.segment_version)
    .bind(&new.job_id)
    .bind(new.ds)
    .bind(new.size)
    .bind(new.universe_size)
    .bind(&new.hash)
    .bind(&new.rule)
    .bind(&new.freshness)
    .bind(&new.inputs)
    .bind(new.created_at)
    .execute(pool)
    .await
    .map(drop)?);
    Ok(())
}

/// False when there is no such cohort.
pub async fn remove_cohort(db: &Db, app: &str, id: &str) -> Result<bool, Error> {
    let query = "DELETE FROM cohort WHERE app_id = ? AND id = ?";
    let done = on!(db, pool => sqlx::query(query).bind(app).bind(id).execute(pool).await?.rows_affected());
    Ok(done == 1)
}

pub async fn cohort(db: &Db, app: &str, id: &str) -> Result<Option<Cohort>, Error> {
    one(db, "WHERE app_id = ? AND id = ?", app, id).await
}

pub async fn cohort_of_job(db: &Db, app: &str, job: &str) -> Result<Option<Cohort>, Error> {
    one(db, "WHERE app_id = ? AND job_id = ?", app, job).await
}

pub async fn last_cohort(db: &Db, app: &str, segment: &str) -> Result<Option<Cohort>, Error> {
    one(db, "WHERE app_id = ? AND segment_id = ? ORDER BY id DESC LIMIT 1", app, segment).await
}

async fn one(db: &Db, filter: &'static str, app: &str, id: &str) -> Result<Option<Cohort>, Error> {
    let query = sqlx::AssertSqlSafe(format!("{SELECT}{filter}"));
    let row: Option<NewCohort> =
        on!(db, pool => sqlx::query_as(query).bind(app).bind(id).fetch_optional(pool).await?);
    row.map(Cohort::try_from).transpose()
}

/// Newest first, those before `cursor`, of one segment or of all; one more than `limit` when there are more.
pub async fn cohorts(
    db: &Db,
    app: &str,
    segment: Option<&str>,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Vec<Cohort>, Error> {
    let query = format!(
        "{SELECT} WHERE app_id = ? AND (? IS NULL OR segment_id = ?) AND (? IS NULL OR id < ?) \
         ORDER BY id DESC LIMIT ?"
    );
    let rows: Vec<NewCohort> = on!(db, pool => sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(app)
        .bind(segment)
        .bind(segment)
        .bind(cursor)
        .bind(cursor)
        .bind(i64::from(limit) + 1)
        .fetch_all(pool)
        .await?);
    rows.into_iter().map(Cohort::try_from).collect()
}
