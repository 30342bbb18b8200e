//! `cohort_erasure`, and the numbers of cohorts, days and versions that change with an erasure.

use muster_sql::{Db, on};
use sqlx::{FromRow, QueryBuilder};

use crate::error::Error;

/// A cohort that was not looked at since the last erasure.
#[derive(Debug, Clone, FromRow)]
pub struct Behind {
    pub id: String,
    pub size: i64,
}

/// Some of the app's cohorts that are not known to be clear of the erasure, by id, those behind `after`.
pub async fn cohorts_behind(
    db: &Db,
    app: &str,
    erasure: u64,
    after: &str,
    limit: u32,
) -> Result<Vec<Behind>, Error> {
    let query = "SELECT c.id, c.size FROM cohort c LEFT JOIN cohort_erasure e ON e.cohort_id = c.id \
         WHERE c.app_id = ? AND c.id > ? AND (e.generation IS NULL OR e.generation < ?) ORDER BY c.id LIMIT ?";
    Ok(on!(db, pool => sqlx::query_as(query)
        .bind(app)
        .bind(after)
        .bind(erasure as i64)
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?))
}

/// The cohort is clear of the erasure; nothing changes where it is of a later one. `now`: its size and hash, where they have changed.
pub async fn put_clear(
    db: &Db,
    (app, id): (&str, &str),
    erasure: u64,
    now: Option<(u64, &str)>,
) -> Result<(), Error> {
    let mut transaction = db.begin().await?;
    if let Some((size, hash)) = now {
        let update = "UPDATE cohort SET size = ?, hash = ? WHERE app_id = ? AND id = ? AND NOT EXISTS \
             (SELECT 1 FROM cohort_erasure e WHERE e.cohort_id = cohort.id AND e.generation > ?)";
        on!(tx &mut transaction, connection => sqlx::query(update)
            .bind(size as i64)
            .bind(hash)
            .bind(app)
            .bind(id)
            .bind(erasure as i64)
            .execute(connection)
            .await
            .map(drop)?);
    }
    let delete = "DELETE FROM cohort_erasure WHERE cohort_id = ? AND generation < ?";
    on!(tx &mut transaction, connection =>
        sqlx::query(delete).bind(id).bind(erasure as i64).execute(connection).await.map(drop)?);
    let insert = "INSERT INTO cohort_erasure (cohort_id, generation) SELECT c.id, ? FROM cohort c \
         LEFT JOIN cohort_erasure e ON e.cohort_id = c.id WHERE c.app_id = ? AND c.id = ? AND e.cohort_id IS NULL";
    on!(tx &mut transaction, connection =>
        sqlx::query(insert).bind(erasure as i64).bind(app).bind(id).execute(connection).await.map(drop)?);
    Ok(transaction.commit().await?)
}

/// No cohort and no list is looked at beside more users than the app has: whoever is in none of them would be hidden
/// by users who are erased.
pub async fn put_universes(db: &Db, app: &str, users: u64) -> Result<(), Error> {
    for query in [
        "UPDATE cohort SET universe_size = ? WHERE app_id = ? AND universe_size > ?",
        "UPDATE user_list_version SET app_users = ? WHERE app_id = ? AND app_users > ?",
    ] {
        let users = users as i64;
        on!(db, pool => sqlx::query(query).bind(users).bind(app).bind(users).execute(pool).await.map(drop)?);
    }
    Ok(())
}

/// What a cohort was compared with: the one before it.
#[derive(Debug, FromRow)]
pub struct Compared {
    /// Of the segment or list.
    pub owner: String,
    /// A day, or a version.
    pub number: u32,
    pub cohort_id: String,
    pub previous: Option<String>,
}

/// The days of daily segments that name any of the cohorts.
pub async fn days_comparing(db: &Db, app: &str, cohorts: &[String]) -> Result<Vec<Compared>, Error> {
    let text = "SELECT segment_id AS owner, ds AS number, cohort_id, previous FROM segment_day \
         WHERE previous IS NOT NULL AND cohort_id IS NOT NULL AND app_id = ";
    comparing(db, text, app, ("cohort_id", "previous"), cohorts).await
}

/// The versions of lists that rest on any of the cohorts.
pub async fn versions_comparing(db: &Db, app: &str, cohorts: &[String]) -> Result<Vec<Compared>, Error> {
    let text = "SELECT v.list_id AS owner, v.version AS number, v.cohort_id, p.cohort_id AS previous \
         FROM user_list_version v \
         LEFT JOIN user_list_version p ON p.list_id = v.list_id AND p.version = v.version - 1 WHERE v.app_id = ";
    comparing(db, text, app, ("v.cohort_id", "p.cohort_id"), cohorts).await
}

async fn comparing(
    db: &Db,
    text: &'static str,
    app: &str,
    (own, before): (&'static str, &'static str),
    cohorts: &[String],
) -> Result<Vec<Compared>, Error> {
    Ok(on!(db, pool => {
        let mut query = QueryBuilder::new(text);
        query.push_bind(app);
        for (column, word) in [(own, " AND ("), (before, " OR ")] {
            query.push(word).push(column).push(" IN (");
            let mut ids = query.separated(", ");
            cohorts.iter().for_each(|id| _ = ids.push_bind(id));
            query.push(")");
        }
        query.push(")");
        query.build_query_as().fetch_all(pool).await?
    }))
}

pub async fn put_day_changes(db: &Db, of: &Compared, (entered, gone): (u64, u64)) -> Result<(), Error> {
    let query = "UPDATE segment_day SET entered = ?, gone = ? WHERE segment_id = ? AND ds = ?";
    on!(db, pool => sqlx::query(query)
        .bind(entered as i64)
        .bind(gone as i64)
        .bind(&of.owner)
        .bind(of.number)
        .execute(pool)
        .await
        .map(drop)?);
    Ok(())
}

/// `changes`: who entered and who is gone, where that can be said still.
pub async fn put_version_users(
    db: &Db,
    of: &Compared,
    users: u64,
    changes: Option<(u64, u64)>,
) -> Result<(), Error> {
    let query = "UPDATE user_list_version SET users = ?, entered = COALESCE(?, entered), gone = COALESCE(?, gone) \
         WHERE list_id = ? AND version = ?";
    let (entered, gone) = changes.unzip();
    on!(db, pool => sqlx::query(query)
        .bind(users as i64)
        .bind(entered.map(|users| users as i64))
        .bind(gone.map(|users| users as i64))
        .bind(&of.owner)
        .bind(of.number)
        .execute(pool)
        .await
        .map(drop)?);
    Ok(())
}
