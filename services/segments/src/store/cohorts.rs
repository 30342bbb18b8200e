//! `cohort`; with one goes its row in `cohort_erasure`.

use std::collections::{BTreeMap, BTreeSet};

use muster_days::Ds;
use muster_sql::{Db, Tx, on};
use sqlx::{FromRow, QueryBuilder};

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

/// As it is read: with what its day came to, where it is one of a daily segment.
#[derive(FromRow)]
struct CohortRow {
    #[sqlx(flatten)]
    cohort: NewCohort,
    previous: Option<String>,
    entered: Option<i64>,
    gone: Option<i64>,
}

const SELECT: &str = "SELECT c.id, c.app_id, c.segment_id, c.segment_version, c.job_id, c.ds, c.size, \
     c.universe_size, c.hash, c.rule, c.freshness, c.inputs, c.created_at, d.previous, d.entered, d.gone \
     FROM cohort c LEFT JOIN segment_day d ON d.cohort_id = c.id ";

impl TryFrom<CohortRow> for Cohort {
    type Error = Error;

    fn try_from(row: CohortRow) -> Result<Cohort, Error> {
        let CohortRow { cohort: row, previous, entered, gone } = row;
        Ok(Cohort {
            previous,
            entered: entered.map(|users| users as u64),
            left: gone.map(|users| users as u64),
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
            job_id: job_of(row.job_id),
            hash: row.hash,
            inputs: row.inputs,
        })
    }
}

/// A routine run makes many: each of its rows has the job's id, a dot and the number of the segment in it.
fn job_of(id: String) -> String {
    id.split_once('.').map_or_else(|| id.clone(), |(job, _)| job.to_owned())
}

/// Fails with a unique violation when the job has made its cohort before.
pub async fn insert_cohort(db: &Db, new: &NewCohort) -> Result<(), Error> {
    let mut transaction = db.begin().await?;
    insert_in(&mut transaction, new).await?;
    Ok(transaction.commit().await?)
}

pub(super) async fn insert_in(tx: &mut Tx, new: &NewCohort) -> sqlx::Result<()> {
    on!(tx tx, connection => sqlx::query(
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
    .execute(connection)
    .await
    .map(drop))
}

/// False when there is no such cohort.
pub async fn remove_cohort(db: &Db, app: &str, id: &str) -> Result<bool, Error> {
    let mut transaction = db.begin().await?;
    let query = "DELETE FROM cohort WHERE app_id = ? AND id = ?";
    let done = on!(tx &mut transaction, connection =>
        sqlx::query(query).bind(app).bind(id).execute(connection).await?.rows_affected());
    if done == 1 {
        let query = "DELETE FROM cohort_erasure WHERE cohort_id = ?";
        on!(tx &mut transaction, connection =>
            sqlx::query(query).bind(id).execute(connection).await.map(drop)?);
    }
    transaction.commit().await?;
    Ok(done == 1)
}

pub async fn cohort(db: &Db, app: &str, id: &str) -> Result<Option<Cohort>, Error> {
    one(db, "WHERE c.app_id = ? AND c.id = ?", app, id).await
}

pub async fn cohort_of_job(db: &Db, app: &str, job: &str) -> Result<Option<Cohort>, Error> {
    one(db, "WHERE c.app_id = ? AND c.job_id = ?", app, job).await
}

pub async fn last_cohort(db: &Db, app: &str, segment: &str) -> Result<Option<Cohort>, Error> {
    one(
        db,
        "WHERE c.app_id = ? AND c.segment_id = ? ORDER BY c.created_at DESC, c.ds DESC, c.id DESC LIMIT 1",
        app,
        segment,
    )
    .await
}

async fn one(db: &Db, filter: &'static str, app: &str, id: &str) -> Result<Option<Cohort>, Error> {
    let query = sqlx::AssertSqlSafe(format!("{SELECT}{filter}"));
    let row: Option<CohortRow> =
        on!(db, pool => sqlx::query_as(query).bind(app).bind(id).fetch_optional(pool).await?);
    row.map(Cohort::try_from).transpose()
}

/// What is to be known of a cohort before its file is opened.
#[derive(Debug, Clone)]
pub struct Brief {
    pub id: String,
    pub ds: Ds,
    pub users: u64,
    /// Users of the universe it was made in.
    pub universe: u64,
}

/// Those of the cohorts that are there, by id.
pub async fn briefs(db: &Db, app: &str, ids: &BTreeSet<&str>) -> Result<BTreeMap<String, Brief>, Error> {
    if ids.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows: Vec<(String, u32, i64, i64)> = on!(db, pool => {
        let mut query = QueryBuilder::new("SELECT id, ds, size, universe_size FROM cohort WHERE app_id = ");
        query.push_bind(app).push(" AND id IN (");
        let mut list = query.separated(", ");
        ids.iter().for_each(|id| _ = list.push_bind(*id));
        query.push(")");
        query.build_query_as().fetch_all(pool).await?
    });
    let brief = |(id, ds, users, universe): (String, u32, i64, i64)| {
        let ds = Ds::from_number(ds.into()).map_err(|error| Error::Inside(error.to_string()))?;
        Ok((id.clone(), Brief { id, ds, users: users as u64, universe: universe as u64 }))
    };
    rows.into_iter().map(brief).collect()
}

/// The ids of those of the cohorts that are there.
pub async fn shown_of(db: &Db, app: &str, ids: &BTreeSet<&str>) -> Result<BTreeSet<String>, Error> {
    let found: Vec<String> = on!(db, pool => {
        let mut query = QueryBuilder::new("SELECT id FROM cohort WHERE app_id = ");
        query.push_bind(app).push(" AND id IN (");
        let mut list = query.separated(", ");
        ids.iter().for_each(|id| _ = list.push_bind(*id));
        query.push(")");
        query.build_query_scalar().fetch_all(pool).await?
    });
    Ok(found.into_iter().collect())
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
        "{SELECT} WHERE c.app_id = ? AND (? IS NULL OR c.segment_id = ?) AND (? IS NULL OR c.id < ?) \
         ORDER BY c.id DESC LIMIT ?"
    );
    let rows: Vec<CohortRow> = on!(db, pool => sqlx::query_as(sqlx::AssertSqlSafe(query))
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
