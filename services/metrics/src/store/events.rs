//! Totals of events as they are read.

use muster_days::Ds;
use muster_sql::{Db, on};
use sqlx::FromRow;

use crate::error::Error;

/// What an event came to on a day.
#[derive(Debug, FromRow)]
pub struct TotalRow {
    pub event: String,
    pub ds: u32,
    pub pv: i64,
    pub users: i64,
}

/// The first day that any event is worked out for, or this one, and the newest one up to `to`.
pub async fn newest_event_day(
    db: &Db,
    app: &str,
    event: Option<&str>,
    to: Option<Ds>,
) -> Result<(Option<u32>, Option<u32>), Error> {
    let query = "SELECT CAST(MIN(ds) AS SIGNED), CAST(MAX(CASE WHEN ds <= ? THEN ds END) AS SIGNED)
         FROM metric_event WHERE app_id = ? AND (? = '' OR event = ?)";
    let event = event.unwrap_or_default();
    let (first, newest): (Option<i64>, Option<i64>) = on!(db, pool => sqlx::query_as(query)
        .bind(to.map_or(99_999_999, Ds::number))
        .bind(app)
        .bind(event)
        .bind(event)
        .fetch_one(pool)
        .await?);
    Ok((first.map(|ds| ds as u32), newest.map(|ds| ds as u32)))
}

/// Every event of the day, that with most pv first.
pub async fn events_of(db: &Db, app: &str, ds: Ds) -> Result<Vec<TotalRow>, Error> {
    let query = "SELECT event, ds, pv, users FROM metric_event WHERE app_id = ? AND ds = ?
         ORDER BY pv DESC, event";
    Ok(on!(db, pool => sqlx::query_as(query).bind(app).bind(ds.number()).fetch_all(pool).await?))
}

/// The event's days, from old to new.
pub async fn event_days(
    db: &Db,
    app: &str,
    event: &str,
    (from, to): (Ds, Ds),
) -> Result<Vec<TotalRow>, Error> {
    let query = "SELECT event, ds, pv, users FROM metric_event
         WHERE app_id = ? AND event = ? AND ds BETWEEN ? AND ? ORDER BY ds";
    Ok(on!(db, pool => sqlx::query_as(query)
        .bind(app)
        .bind(event)
        .bind(from.number())
        .bind(to.number())
        .fetch_all(pool)
        .await?))
}
