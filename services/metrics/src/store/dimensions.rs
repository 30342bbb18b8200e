//! Values of dimensions: replaced by event and day, read with the line they belong to.

use std::collections::HashMap;

use muster_days::Ds;
use muster_sql::{Db, Tx, is_conflict, on};
use sqlx::{FromRow, QueryBuilder};

use super::writes::{ROWS, TRIES, transact};
use crate::error::Error;

/// A line of `metric_dimension_day` with its values.
#[derive(Debug, Clone)]
pub struct DimensionRow {
    pub dimension: String,
    pub value_count: u64,
    pub pv: u64,
    pub rest_count: u64,
    pub rest_pv: u64,
    /// Value, pv and users; the one with most pv first.
    pub values: Vec<(String, u64, u64)>,
}

/// A value with its line; a line without any value comes once, without one.
#[derive(Debug, FromRow)]
pub struct ValueRow {
    pub value_count: i64,
    pub day_pv: i64,
    pub value: Option<String>,
    pub pv: Option<i64>,
    pub users: Option<i64>,
}

/// Fingerprints from a day on, by day, event and dimension.
pub type KnownDimensions = HashMap<(u32, String, String), String>;

pub async fn known_dimensions(db: &Db, app: &str, from: Ds) -> Result<KnownDimensions, Error> {
    let query = "SELECT ds, event, dimension, fingerprint FROM metric_dimension_day
         WHERE app_id = ? AND ds >= ?";
    let rows: Vec<(u32, String, String, String)> =
        on!(db, pool => sqlx::query_as(query).bind(app).bind(from.number()).fetch_all(pool).await?);
    let keyed = rows.into_iter().map(|(ds, event, dimension, print)| ((ds, event, dimension), print));
    Ok(keyed.collect())
}

/// The first values of the dimension on the newest day that is worked out up to `ds`.
pub async fn newest_dimension_day(
    db: &Db,
    app: &str,
    (event, dimension): (&str, &str),
    to: Option<Ds>,
) -> Result<(Option<u32>, Option<u32>), Error> {
    let query = "SELECT CAST(MIN(ds) AS SIGNED), CAST(MAX(CASE WHEN ds <= ? THEN ds END) AS SIGNED)
         FROM metric_dimension_day WHERE app_id = ? AND event = ? AND dimension = ?";
    let (first, newest): (Option<i64>, Option<i64>) = on!(db, pool => sqlx::query_as(query)
        .bind(to.map_or(99_999_999, Ds::number))
        .bind(app)
        .bind(event)
        .bind(dimension)
        .fetch_one(pool)
        .await?);
    Ok((first.map(|ds| ds as u32), newest.map(|ds| ds as u32)))
}

pub async fn dimension_values(
    db: &Db,
    app: &str,
    (event, dimension): (&str, &str),
    ds: Ds,
    top: usize,
) -> Result<Vec<ValueRow>, Error> {
    let query = "SELECT d.value_count, d.pv AS day_pv, v.value, v.pv, v.users
         FROM metric_dimension_day d LEFT JOIN metric_dimension v
           ON v.app_id = d.app_id AND v.event = d.event AND v.dimension = d.dimension AND v.ds = d.ds
              AND v.place <= ?
         WHERE d.app_id = ? AND d.event = ? AND d.dimension = ? AND d.ds = ?
         ORDER BY v.place";
    Ok(on!(db, pool => sqlx::query_as(query)
        .bind(top as i64)
        .bind(app)
        .bind(event)
        .bind(dimension)
        .bind(ds.number())
        .fetch_all(pool)
        .await?))
}

/// Every dimension of an event's day, in place of what was there.
pub async fn replace_dimensions(
    db: &Db,
    app: &str,
    (event, ds, fingerprint): (&str, Ds, &str),
    rows: &[DimensionRow],
    now: i64,
) -> Result<(), Error> {
    transact!(db, app, tx => async {
        delete(tx, "metric_dimension_day", app, event, ds).await?;
        insert_lines(tx, app, (event, ds, fingerprint), rows, now).await?;
        delete(tx, "metric_dimension", app, event, ds).await?;
        insert_values(tx, app, event, ds, rows).await
    })
}

async fn delete(tx: &mut Tx, table: &str, app: &str, event: &str, ds: Ds) -> sqlx::Result<()> {
    on!(tx tx, connection => {
        let mut query = QueryBuilder::new(format!("DELETE FROM {table} WHERE app_id = "));
        query.push_bind(app).push(" AND event = ").push_bind(event).push(" AND ds = ").push_bind(ds.number());
        query.build().execute(connection).await.map(drop)
    })
}

async fn insert_lines(
    tx: &mut Tx,
    app: &str,
    (event, ds, fingerprint): (&str, Ds, &str),
    rows: &[DimensionRow],
    now: i64,
) -> sqlx::Result<()> {
    for rows in rows.chunks(ROWS) {
        on!(tx tx, connection => {
            let mut query = QueryBuilder::new(
                "INSERT INTO metric_dimension_day (app_id, event, dimension, ds, value_count, pv, \
                 rest_count, rest_pv, fingerprint, computed_at) ",
            );
            query.push_values(rows, |mut line, row| {
                line.push_bind(app)
                    .push_bind(event)
                    .push_bind(&row.dimension)
                    .push_bind(ds.number())
                    .push_bind(row.value_count as i64)
                    .push_bind(row.pv as i64)
                    .push_bind(row.rest_count as i64)
                    .push_bind(row.rest_pv as i64)
                    .push_bind(fingerprint)
                    .push_bind(now);
            });
            query.build().execute(connection).await?;
        });
    }
    Ok(())
}

async fn insert_values(
    tx: &mut Tx,
    app: &str,
    event: &str,
    ds: Ds,
    rows: &[DimensionRow],
) -> sqlx::Result<()> {
    let values: Vec<(&str, i64, &(String, u64, u64))> = rows
        .iter()
        .flat_map(|row| (1..).zip(&row.values).map(|(place, value)| (row.dimension.as_str(), place, value)))
        .collect();
    for values in values.chunks(ROWS) {
        on!(tx tx, connection => {
            let mut query = QueryBuilder::new(
                "INSERT INTO metric_dimension (app_id, event, dimension, ds, place, value, pv, users) ",
            );
            query.push_values(values, |mut line, (dimension, place, (value, pv, users))| {
                line.push_bind(app)
                    .push_bind(event)
                    .push_bind(*dimension)
                    .push_bind(ds.number())
                    .push_bind(*place)
                    .push_bind(value)
                    .push_bind(*pv as i64)
                    .push_bind(*users as i64);
            });
            query.build().execute(connection).await?;
        });
    }
    Ok(())
}
