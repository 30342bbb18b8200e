//! `segment_day` and `segment_refresh`: what the days of daily segments came to.

use std::collections::HashMap;

use muster_days::Ds;
use muster_sql::{Db, Tx, is_conflict, is_unique_violation, on};
use serde::Serialize;
use sqlx::{FromRow, QueryBuilder};

use super::cohorts::{NewCohort, insert_in};
use super::time;
use crate::answers::SegmentDay;
use crate::error::Error;

/// A segment that is refreshed daily, with the rule of its newest version.
#[derive(Debug, Clone, FromRow)]
pub struct DailyRow {
    pub id: String,
    pub version: u32,
    pub rule: String,
    pub on_missing: Option<String>,
}

/// What a day came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It has a cohort.
    Made,
    /// Data are missing that the segment waits for.
    Waiting,
    /// Data were missing, and the segment leaves such days out.
    Skipped,
    /// The rule does not fit the data.
    Refused,
    /// So few users, or all but so few, that the app does not let them be shown.
    BelowFloor,
}

impl Outcome {
    const ALL: [Outcome; 5] =
        [Outcome::Made, Outcome::Waiting, Outcome::Skipped, Outcome::Refused, Outcome::BelowFloor];

    /// As in rows and in the API.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Made => "made",
            Outcome::Waiting => "waiting",
            Outcome::Skipped => "skipped",
            Outcome::Refused => "refused",
            Outcome::BelowFloor => "below_floor",
        }
    }
}

impl TryFrom<String> for Outcome {
    type Error = Error;

    fn try_from(name: String) -> Result<Outcome, Error> {
        let known = Outcome::ALL.into_iter().find(|outcome| outcome.name() == name);
        known.ok_or_else(|| Error::Inside(format!("`{name}` is no outcome of a day")))
    }
}

/// A day of a segment.
#[derive(Debug, Clone, FromRow)]
pub struct DayRow {
    pub segment_id: String,
    pub ds: u32,
    #[sqlx(try_from = "String")]
    pub outcome: Outcome,
    /// JSON.
    pub detail: String,
    pub cohort_id: Option<String>,
    pub previous: Option<String>,
    pub entered: Option<i64>,
    pub gone: Option<i64>,
    pub job_id: String,
    pub updated_at: i64,
}

impl TryFrom<DayRow> for SegmentDay {
    type Error = Error;

    fn try_from(row: DayRow) -> Result<SegmentDay, Error> {
        Ok(SegmentDay {
            ds: Ds::from_number(row.ds.into()).map_err(|error| Error::Inside(error.to_string()))?,
            outcome: row.outcome.name().to_owned(),
            detail: serde_json::from_str(&row.detail)?,
            cohort_id: row.cohort_id,
            job_id: row.job_id,
            updated_at: time(row.updated_at)?,
        })
    }
}

/// How often a transaction that lost against another one is begun anew.
const TRIES: usize = 20;
/// Rows of one INSERT.
const ROWS: usize = 200;

const DAY: &str = "SELECT segment_id, ds, outcome, detail, cohort_id, previous, entered, gone, job_id, updated_at \
     FROM segment_day ";

/// By id.
pub async fn daily_segments(db: &Db, app: &str) -> Result<Vec<DailyRow>, Error> {
    let query = "SELECT s.id, s.version, v.rule, r.on_missing FROM segment s \
         JOIN segment_version v ON v.segment_id = s.id AND v.version = s.version \
         LEFT JOIN segment_refresh r ON r.segment_id = s.id \
         WHERE s.app_id = ? AND s.deleted_at IS NULL AND s.refresh = 'daily' ORDER BY s.id";
    Ok(on!(db, pool => sqlx::query_as(query).bind(app).fetch_all(pool).await?))
}

/// Apps with a segment that is refreshed daily.
pub async fn daily_apps(db: &Db) -> Result<Vec<String>, Error> {
    let query =
        "SELECT DISTINCT app_id FROM segment WHERE deleted_at IS NULL AND refresh = 'daily' ORDER BY app_id";
    Ok(on!(db, pool => sqlx::query_scalar(query).fetch_all(pool).await?))
}

/// Days of the app's segments from `from` on.
pub async fn days_from(db: &Db, app: &str, from: Ds) -> Result<Vec<DayRow>, Error> {
    let query = sqlx::AssertSqlSafe(format!("{DAY} WHERE app_id = ? AND ds >= ?"));
    Ok(on!(db, pool => sqlx::query_as(query).bind(app).bind(from.number()).fetch_all(pool).await?))
}

/// The newest day before `ds` that is made of each segment: its cohort, by segment.
pub async fn cohorts_before(db: &Db, app: &str, ds: Ds) -> Result<HashMap<String, (u32, String)>, Error> {
    let query = "SELECT d.segment_id, d.ds, d.cohort_id FROM segment_day d JOIN (\
             SELECT segment_id, MAX(ds) AS ds FROM segment_day \
             WHERE app_id = ? AND outcome = 'made' AND ds < ? GROUP BY segment_id) n \
         ON n.segment_id = d.segment_id AND n.ds = d.ds WHERE d.cohort_id IS NOT NULL";
    let rows: Vec<(String, u32, String)> =
        on!(db, pool => sqlx::query_as(query).bind(app).bind(ds.number()).fetch_all(pool).await?);
    Ok(rows.into_iter().map(|(segment, ds, cohort)| (segment, (ds, cohort))).collect())
}

/// Cohorts of days before `ds` that are there, without the newest one of each segment that is.
pub async fn daily_cohorts_before(db: &Db, app: &str, ds: Ds) -> Result<Vec<String>, Error> {
    let query = "SELECT c.id FROM segment_day d JOIN cohort c ON c.id = d.cohort_id LEFT JOIN (\
             SELECT m.segment_id, MAX(m.ds) AS ds FROM segment_day m JOIN cohort k ON k.id = m.cohort_id \
             JOIN segment s ON s.id = m.segment_id AND s.deleted_at IS NULL \
             WHERE m.app_id = ? GROUP BY m.segment_id) n ON n.segment_id = d.segment_id \
         WHERE d.app_id = ? AND d.ds < ? AND (n.ds IS NULL OR d.ds < n.ds) ORDER BY c.id";
    Ok(on!(db, pool =>
        sqlx::query_scalar(query).bind(app).bind(app).bind(ds.number()).fetch_all(pool).await?))
}

/// Days of a segment, newest first, those before `before`; one more than `limit` when there are more.
pub async fn days_of(
    db: &Db,
    app: &str,
    segment: &str,
    before: Option<u32>,
    limit: u32,
) -> Result<Vec<DayRow>, Error> {
    let query = format!(
        "{DAY} WHERE app_id = ? AND segment_id = ? AND (? IS NULL OR ds < ?) ORDER BY ds DESC LIMIT ?"
    );
    Ok(on!(db, pool => sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(app)
        .bind(segment)
        .bind(before)
        .bind(before)
        .bind(i64::from(limit) + 1)
        .fetch_all(pool)
        .await?))
}

/// Writes days with the cohorts that they made, in place of days that made none. False, and nothing is
/// written, when another run has made one of them meanwhile.
pub async fn put_days(db: &Db, app: &str, days: &[DayRow], cohorts: &[NewCohort]) -> Result<bool, Error> {
    let mut tries = 0;
    loop {
        let mut tx = db.begin().await?;
        let written = match put_in(&mut tx, app, days, cohorts).await {
            Ok(()) => tx.commit().await,
            Err(error) => {
                // What could not be undone is undone when the connection is dropped.
                _ = tx.rollback().await;
                Err(error)
            }
        };
        tries += 1;
        match written {
            Err(error) if is_unique_violation(&error) => return Ok(false),
            Err(error) if tries < TRIES && is_conflict(&error) => {}
            written => return Ok(written.map(|()| true)?),
        }
    }
}

async fn put_in(tx: &mut Tx, app: &str, days: &[DayRow], cohorts: &[NewCohort]) -> sqlx::Result<()> {
    for days in days.chunks(ROWS) {
        let Some(first) = days.first() else { break };
        on!(tx &mut *tx, connection => {
            let mut query = QueryBuilder::new("DELETE FROM segment_day WHERE outcome <> 'made' AND ds = ");
            query.push_bind(first.ds).push(" AND segment_id IN (");
            let mut ids = query.separated(", ");
            days.iter().for_each(|day| _ = ids.push_bind(&day.segment_id));
            query.push(")");
            query.build().execute(connection).await?;
        });
        on!(tx &mut *tx, connection => {
            let mut query = QueryBuilder::new(
                "INSERT INTO segment_day (segment_id, ds, app_id, outcome, detail, cohort_id, previous, \
                 entered, gone, job_id, updated_at) ",
            );
            query.push_values(days, |mut line, day| {
                line.push_bind(&day.segment_id)
                    .push_bind(day.ds)
                    .push_bind(app)
                    .push_bind(day.outcome.name())
                    .push_bind(&day.detail)
                    .push_bind(&day.cohort_id)
                    .push_bind(&day.previous)
                    .push_bind(day.entered)
                    .push_bind(day.gone)
                    .push_bind(&day.job_id)
                    .push_bind(day.updated_at);
            });
            query.build().execute(connection).await?;
        });
    }
    for cohort in cohorts {
        insert_in(tx, cohort).await?;
    }
    Ok(())
}

/// What the segment does when a day's data are not all in.
pub async fn set_on_missing(tx: &mut Tx, segment: &str, on_missing: &str) -> sqlx::Result<()> {
    on!(tx &mut *tx, connection => sqlx::query("DELETE FROM segment_refresh WHERE segment_id = ?")
        .bind(segment)
        .execute(connection)
        .await
        .map(drop)?);
    on!(tx tx, connection => {
        let insert = "INSERT INTO segment_refresh (segment_id, on_missing) VALUES (?, ?)";
        sqlx::query(insert).bind(segment).bind(on_missing).execute(connection).await.map(drop)
    })
}
