//! `user_list` and `user_list_version`.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use muster_sql::{Db, is_conflict, is_unique_violation, on};
use sqlx::{FromRow, QueryBuilder};

use super::cohorts::{NewCohort, insert_in};
use crate::error::Error;

/// How often a transaction that lost against another one is begun anew.
const TRIES: usize = 20;

#[derive(Debug, FromRow)]
pub struct ListRow {
    pub id: String,
    pub app_id: String,
    pub name: String,
    pub created_at: i64,
    pub updated_at: i64,
}

/// What an upload came to.
#[derive(Debug, Clone, FromRow)]
pub struct ListVersionRow {
    pub list_id: String,
    pub version: u32,
    pub app_id: String,
    pub upload: String,
    pub cohort_id: String,
    pub rows_read: i64,
    pub rows_rejected: i64,
    pub rows_repeated: i64,
    pub unknown_users: i64,
    pub ds: u32,
    pub users: i64,
    pub app_users: i64,
    pub entered: i64,
    pub gone: i64,
    pub created_by: String,
    pub created_at: i64,
}

const VERSION: &str = "SELECT list_id, version, app_id, upload, cohort_id, rows_read, rows_rejected, \
     rows_repeated, unknown_users, ds, users, app_users, entered, gone, created_by, created_at FROM user_list_version ";

pub async fn create_list(db: &Db, new: &ListRow) -> Result<(), Error> {
    let query = "INSERT INTO user_list (id, app_id, name, created_at, updated_at) VALUES (?, ?, ?, ?, ?)";
    on!(db, pool => sqlx::query(query)
        .bind(&new.id)
        .bind(&new.app_id)
        .bind(&new.name)
        .bind(new.created_at)
        .bind(new.updated_at)
        .execute(pool)
        .await
        .map(drop)?);
    Ok(())
}

pub async fn list(db: &Db, app: &str, id: &str) -> Result<Option<ListRow>, Error> {
    let query = "SELECT id, app_id, name, created_at, updated_at FROM user_list \
         WHERE app_id = ? AND id = ? AND deleted_at IS NULL";
    Ok(on!(db, pool => sqlx::query_as(query).bind(app).bind(id).fetch_optional(pool).await?))
}

/// Newest first, those before `cursor`; one more than `limit` when there are more.
pub async fn lists(db: &Db, app: &str, cursor: Option<&str>, limit: u32) -> Result<Vec<ListRow>, Error> {
    let query = "SELECT id, app_id, name, created_at, updated_at FROM user_list \
         WHERE app_id = ? AND deleted_at IS NULL AND (? IS NULL OR id < ?) ORDER BY id DESC LIMIT ?";
    Ok(on!(db, pool => sqlx::query_as(query)
        .bind(app)
        .bind(cursor)
        .bind(cursor)
        .bind(i64::from(limit) + 1)
        .fetch_all(pool)
        .await?))
}

/// False when there is no such list.
pub async fn rename_list(
    db: &Db,
    app: &str,
    (id, name): (&str, &str),
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    let query =
        "UPDATE user_list SET name = ?, updated_at = ? WHERE app_id = ? AND id = ? AND deleted_at IS NULL";
    let now = now.timestamp_millis();
    let done = on!(db, pool =>
        sqlx::query(query).bind(name).bind(now).bind(app).bind(id).execute(pool).await?.rows_affected());
    Ok(done == 1)
}

/// False when there is no such list.
pub async fn delete_list(db: &Db, app: &str, id: &str, now: DateTime<Utc>) -> Result<bool, Error> {
    let query = "UPDATE user_list SET deleted_at = ? WHERE app_id = ? AND id = ? AND deleted_at IS NULL";
    let now = now.timestamp_millis();
    let done = on!(db, pool =>
        sqlx::query(query).bind(now).bind(app).bind(id).execute(pool).await?.rows_affected());
    Ok(done == 1)
}

/// The newest version of each of the lists that anything was uploaded to.
pub async fn newest_versions(
    db: &Db,
    app: &str,
    lists: &[&str],
) -> Result<BTreeMap<String, ListVersionRow>, Error> {
    if lists.is_empty() {
        return Ok(BTreeMap::new());
    }
    let rows: Vec<ListVersionRow> = on!(db, pool => {
        let mut query = QueryBuilder::new(VERSION);
        query.push("v WHERE v.app_id = ").push_bind(app).push(" AND v.list_id IN (");
        let mut ids = query.separated(", ");
        lists.iter().for_each(|id| _ = ids.push_bind(*id));
        query.push(") AND v.version = (SELECT MAX(n.version) FROM user_list_version n WHERE n.list_id = v.list_id)");
        query.build_query_as().fetch_all(pool).await?
    });
    Ok(rows.into_iter().map(|row| (row.list_id.clone(), row)).collect())
}

/// The newest version, if anything was uploaded.
pub async fn newest_version(db: &Db, app: &str, list: &str) -> Result<Option<ListVersionRow>, Error> {
    Ok(list_versions(db, app, list, None, 1).await?.into_iter().next())
}

pub async fn list_version(
    db: &Db,
    app: &str,
    (list, version): (&str, u32),
) -> Result<Option<ListVersionRow>, Error> {
    let query = sqlx::AssertSqlSafe(format!("{VERSION} WHERE app_id = ? AND list_id = ? AND version = ?"));
    Ok(on!(db, pool =>
        sqlx::query_as(query).bind(app).bind(list).bind(version).fetch_optional(pool).await?))
}

/// Newest first, those below `before`; one more than `limit` when there are more.
pub async fn list_versions(
    db: &Db,
    app: &str,
    list: &str,
    before: Option<u32>,
    limit: u32,
) -> Result<Vec<ListVersionRow>, Error> {
    let query = format!(
        "{VERSION} WHERE app_id = ? AND list_id = ? AND (? IS NULL OR version < ?) ORDER BY version DESC LIMIT ?"
    );
    Ok(on!(db, pool => sqlx::query_as(sqlx::AssertSqlSafe(query))
        .bind(app)
        .bind(list)
        .bind(before)
        .bind(before)
        .bind(i64::from(limit) + 1)
        .fetch_all(pool)
        .await?))
}

/// The cohorts of lists that are deleted.
pub async fn cohorts_of_deleted_lists(db: &Db, app: &str) -> Result<Vec<String>, Error> {
    let query = "SELECT c.id FROM user_list l JOIN cohort c ON c.segment_id = l.id \
         WHERE l.app_id = ? AND l.deleted_at IS NOT NULL";
    Ok(on!(db, pool => sqlx::query_scalar(query).bind(app).fetch_all(pool).await?))
}

/// The cohorts of a list up to a version.
pub async fn cohorts_up_to(db: &Db, app: &str, (list, version): (&str, u32)) -> Result<Vec<String>, Error> {
    let query = "SELECT id FROM cohort WHERE app_id = ? AND segment_id = ? AND segment_version <= ?";
    Ok(on!(db, pool => sqlx::query_scalar(query).bind(app).bind(list).bind(version).fetch_all(pool).await?))
}

/// Shows a version and its cohort. False, and nothing is shown, when another upload has made this version
/// meanwhile; an error when the list is there no more.
pub async fn put_version(db: &Db, new: &ListVersionRow, cohort: &NewCohort) -> Result<bool, Error> {
    for _ in 0..TRIES {
        match try_put(db, new, cohort).await {
            Err(Error::Sql(error)) if is_unique_violation(&error) => return Ok(false),
            Err(Error::Sql(error)) if is_conflict(&error) => {}
            result => return result.map(|()| true),
        }
    }
    Err(Error::Inside(format!("list {} was written by others again and again", new.list_id)))
}

async fn try_put(db: &Db, new: &ListVersionRow, cohort: &NewCohort) -> Result<(), Error> {
    let mut transaction = db.begin().await?;
    let insert = "INSERT INTO user_list_version (list_id, version, app_id, upload, cohort_id, rows_read, \
         rows_rejected, rows_repeated, unknown_users, ds, users, app_users, entered, gone, created_by, created_at) \
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
    on!(tx &mut transaction, connection => sqlx::query(insert)
        .bind(&new.list_id)
        .bind(new.version)
        .bind(&new.app_id)
        .bind(&new.upload)
        .bind(&new.cohort_id)
        .bind(new.rows_read)
        .bind(new.rows_rejected)
        .bind(new.rows_repeated)
        .bind(new.unknown_users)
        .bind(new.ds)
        .bind(new.users)
        .bind(new.app_users)
        .bind(new.entered)
        .bind(new.gone)
        .bind(&new.created_by)
        .bind(new.created_at)
        .execute(connection)
        .await
        .map(drop)?);
    insert_in(&mut transaction, cohort).await?;
    let touch = "UPDATE user_list SET updated_at = ? WHERE app_id = ? AND id = ? AND deleted_at IS NULL";
    let touched = on!(tx &mut transaction, connection => sqlx::query(touch)
        .bind(new.created_at)
        .bind(&new.app_id)
        .bind(&new.list_id)
        .execute(connection)
        .await?
        .rows_affected());
    if touched == 0 {
        return Err(Error::NotFound("such list"));
    }
    Ok(transaction.commit().await?)
}
