//! Sizes of crowds, and who of them is new: replaced by day and crowd, read together.

use muster_days::Ds;
use muster_sql::{Db, is_conflict, on};
use sqlx::{FromRow, QueryBuilder};

use super::writes::{ROWS, TRIES, delete_lines, transact};
use crate::error::Error;

#[derive(Debug, Clone)]
pub struct CrowdRow {
    pub crowd: String,
    pub ds: Ds,
    pub users: u64,
    pub fingerprint: String,
}

/// Who of a window is new; without numbers where nothing is known of the days before it.
#[derive(Debug, Clone)]
pub struct NewRow {
    pub crowd: String,
    pub ds: Ds,
    /// New users and returning ones.
    pub users: Option<(u64, u64)>,
    /// The oldest day before the window that was looked at.
    pub from: Option<Ds>,
    pub fingerprint: String,
}

/// What is there of a crowd's day.
#[derive(Debug, FromRow)]
pub struct SizeRow {
    pub crowd: String,
    pub ds: u32,
    pub users: i64,
    /// Of the whole app, as the day's row has it.
    pub app_users: i64,
    pub new_users: Option<i64>,
    pub returning_users: Option<i64>,
    pub earlier_from: Option<u32>,
    pub computed_at: i64,
}

/// The first day of any crowd, or of this one, and the newest one up to `to`.
pub async fn newest_crowd_day(
    db: &Db,
    app: &str,
    crowd: &str,
    to: Option<Ds>,
) -> Result<(Option<u32>, Option<u32>), Error> {
    let query = "SELECT CAST(MIN(ds) AS SIGNED), CAST(MAX(CASE WHEN ds <= ? THEN ds END) AS SIGNED)
         FROM metric_crowd WHERE app_id = ? AND crowd = ?";
    let (first, newest): (Option<i64>, Option<i64>) = on!(db, pool => sqlx::query_as(query)
        .bind(to.map_or(99_999_999, Ds::number))
        .bind(app)
        .bind(crowd)
        .fetch_one(pool)
        .await?);
    Ok((first.map(|ds| ds as u32), newest.map(|ds| ds as u32)))
}

const SIZES: &str = "SELECT c.crowd, c.ds, c.users, a.users AS app_users, n.new_users, n.returning_users,
        n.earlier_from, c.computed_at
     FROM metric_crowd c
     JOIN metric_crowd a ON a.app_id = c.app_id AND a.crowd = 'all' AND a.ds = c.ds
     LEFT JOIN metric_crowd_new n ON n.app_id = c.app_id AND n.crowd = c.crowd AND n.ds = c.ds";

/// Every crowd of the day.
pub async fn sizes_of(db: &Db, app: &str, ds: Ds) -> Result<Vec<SizeRow>, Error> {
    let query = sqlx::AssertSqlSafe(format!("{SIZES} WHERE c.app_id = ? AND c.ds = ? ORDER BY c.crowd"));
    Ok(on!(db, pool => sqlx::query_as(query).bind(app).bind(ds.number()).fetch_all(pool).await?))
}

/// The crowd's days, from old to new.
pub async fn crowd_days(
    db: &Db,
    app: &str,
    crowd: &str,
    (from, to): (Ds, Ds),
) -> Result<Vec<SizeRow>, Error> {
    let query = format!("{SIZES} WHERE c.app_id = ? AND c.crowd = ? AND c.ds BETWEEN ? AND ? ORDER BY c.ds");
    Ok(on!(db, pool => sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(app)
        .bind(crowd)
        .bind(from.number())
        .bind(to.number())
        .fetch_all(pool)
        .await?))
}

pub async fn replace_crowds(db: &Db, app: &str, rows: &[CrowdRow], now: i64) -> Result<(), Error> {
    transact!(db, app, tx => async {
        let lines: Vec<(Ds, &str)> = rows.iter().map(|row| (row.ds, row.crowd.as_str())).collect();
        delete_lines(tx, ("metric_crowd", "crowd"), app, &lines).await?;
        for rows in rows.chunks(ROWS) {
            on!(tx tx, connection => {
                let mut query = QueryBuilder::new(
                    "INSERT INTO metric_crowd (app_id, crowd, ds, users, fingerprint, computed_at) ",
                );
                query.push_values(rows, |mut line, row| {
                    line.push_bind(app)
                        .push_bind(&row.crowd)
                        .push_bind(row.ds.number())
                        .push_bind(row.users as i64)
                        .push_bind(&row.fingerprint)
                        .push_bind(now);
                });
                query.build().execute(connection).await?;
            });
        }
        Ok(())
    })
}

pub async fn replace_new(db: &Db, app: &str, rows: &[NewRow], now: i64) -> Result<(), Error> {
    transact!(db, app, tx => async {
        let lines: Vec<(Ds, &str)> = rows.iter().map(|row| (row.ds, row.crowd.as_str())).collect();
        delete_lines(tx, ("metric_crowd_new", "crowd"), app, &lines).await?;
        for rows in rows.chunks(ROWS) {
            on!(tx tx, connection => {
                let mut query = QueryBuilder::new(
                    "INSERT INTO metric_crowd_new (app_id, crowd, ds, new_users, returning_users, \
                     earlier_from, fingerprint, computed_at) ",
                );
                query.push_values(rows, |mut line, row| {
                    line.push_bind(app)
                        .push_bind(&row.crowd)
                        .push_bind(row.ds.number())
                        .push_bind(row.users.map(|(new, _)| new as i64))
                        .push_bind(row.users.map(|(_, returning)| returning as i64))
                        .push_bind(row.from.map(Ds::number))
                        .push_bind(&row.fingerprint)
                        .push_bind(now);
                });
                query.build().execute(connection).await?;
            });
        }
        Ok(())
    })
}
