//! Cells as they are read: with the line they belong to, in one statement, so that nobody sees half of a
//! label's day, whatever is replaced meanwhile.

use muster_days::Ds;
use muster_sql::{Db, on};
use sqlx::FromRow;

use crate::error::Error;

/// A cell with its line of `metric_label`; a line without any cell comes once, without a tag.
#[derive(Debug, Clone, FromRow)]
pub struct CellRow {
    pub crowd: String,
    pub ds: u32,
    pub label_ds: u32,
    pub crowd_users: i64,
    pub carrying: i64,
    pub computed_at: i64,
    pub tag_id: Option<i64>,
    pub users: Option<i64>,
}

/// The label's cells in the crowd and in the whole app, by day and tag.
pub async fn cells(
    db: &Db,
    app: &str,
    (label, crowd): (i64, &str),
    (from, to): (Ds, Ds),
) -> Result<Vec<CellRow>, Error> {
    let query =
        "SELECT l.crowd, l.ds, l.label_ds, l.crowd_users, l.carrying, l.computed_at, c.tag_id, c.users
         FROM metric_label l LEFT JOIN metric_cell c
           ON c.app_id = l.app_id AND c.label_id = l.label_id AND c.crowd = l.crowd AND c.ds = l.ds
         WHERE l.app_id = ? AND l.label_id = ? AND l.crowd IN (?, 'all') AND l.ds BETWEEN ? AND ?
         ORDER BY l.ds, c.tag_id";
    Ok(on!(db, pool => sqlx::query_as(query)
        .bind(app)
        .bind(label)
        .bind(crowd)
        .bind(from.number())
        .bind(to.number())
        .fetch_all(pool)
        .await?))
}

/// The first day of the label in the crowd, and the newest one up to `to`.
pub async fn newest_day(
    db: &Db,
    app: &str,
    (label, crowd): (i64, &str),
    to: Option<Ds>,
) -> Result<(Option<u32>, Option<u32>), Error> {
    let query = "SELECT CAST(MIN(ds) AS SIGNED), CAST(MAX(CASE WHEN ds <= ? THEN ds END) AS SIGNED)
         FROM metric_label
         WHERE app_id = ? AND label_id = ? AND crowd = ?";
    let (first, newest): (Option<i64>, Option<i64>) = on!(db, pool => sqlx::query_as(query)
        .bind(to.map_or(99_999_999, Ds::number))
        .bind(app)
        .bind(label)
        .bind(crowd)
        .fetch_one(pool)
        .await?);
    Ok((first.map(|ds| ds as u32), newest.map(|ds| ds as u32)))
}

/// Every label that is worked out for the day, with the day that counts of it.
pub async fn label_days(db: &Db, app: &str, ds: Ds) -> Result<Vec<(i64, u32)>, Error> {
    let query = "SELECT label_id, label_ds FROM metric_label WHERE app_id = ? AND ds = ? AND crowd = 'all'
         ORDER BY label_id";
    Ok(on!(db, pool => sqlx::query_as(query).bind(app).bind(ds.number()).fetch_all(pool).await?))
}
