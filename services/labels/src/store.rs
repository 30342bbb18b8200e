//! The tables of this service, `catalogue_change` and `catalogue_entry`: the app first in each query, the
//! time an argument.

use muster_catalogue::{AppCatalogue, Entry, Kind};
use muster_sql::{Db, Tx, is_unique_violation, on};
use sqlx::FromRow;

use crate::error::{Error, Result};

#[derive(Debug, FromRow)]
pub struct ChangeRow {
    pub version: u32,
    pub changed_at: i64,
    pub changed_by: String,
    pub what: String,
}

/// The newest version of the app; 0 where nobody has said anything.
pub async fn newest(db: &Db, app: &str) -> Result<u32> {
    let query = "SELECT MAX(version) FROM catalogue_change WHERE app_id = ?";
    let newest: Option<u32> = on!(db, pool => sqlx::query_scalar(query).bind(app).fetch_one(pool).await?);
    Ok(newest.unwrap_or(0))
}

/// The app's document as it was at `version`.
pub async fn document(db: &Db, app: &str, version: u32) -> Result<AppCatalogue> {
    let query = "SELECT e.kind, e.name, e.body FROM catalogue_entry e \
         JOIN (SELECT kind, name, MAX(version) AS version FROM catalogue_entry \
               WHERE app_id = ? AND version <= ? GROUP BY kind, name) newest \
           ON newest.kind = e.kind AND newest.name = e.name AND newest.version = e.version \
         WHERE e.app_id = ? AND e.body IS NOT NULL";
    let rows: Vec<(String, String, Option<String>)> = on!(db, pool =>
        sqlx::query_as(query).bind(app).bind(version).bind(app).fetch_all(pool).await?);
    let mut document = AppCatalogue { version, ..AppCatalogue::default() };
    for row in rows {
        document.set(&entry(row)?).map_err(Error::inside)?;
    }
    Ok(document)
}

/// The entries that a version replaced.
pub async fn entries_of(db: &Db, app: &str, version: u32) -> Result<Vec<Entry>> {
    let query = "SELECT kind, name, body FROM catalogue_entry WHERE app_id = ? AND version = ? \
         ORDER BY kind, name";
    let rows: Vec<(String, String, Option<String>)> =
        on!(db, pool => sqlx::query_as(query).bind(app).bind(version).fetch_all(pool).await?);
    rows.into_iter().map(entry).collect()
}

fn entry((kind, name, body): (String, String, Option<String>)) -> Result<Entry> {
    let kind = Kind::named(&kind).ok_or_else(|| Error::inside(format!("entry of the kind {kind}")))?;
    let body = body.map(|body| serde_json::from_str(&body)).transpose().map_err(Error::inside)?;
    Ok(Entry { kind, name, body })
}

/// Newest first, those below `before`; one more than `limit` when there are more.
pub async fn changes(db: &Db, app: &str, before: Option<u32>, limit: u32) -> Result<Vec<ChangeRow>> {
    let query = "SELECT version, changed_at, changed_by, what FROM catalogue_change \
         WHERE app_id = ? AND version < ? ORDER BY version DESC LIMIT ?";
    Ok(on!(db, pool => sqlx::query_as(query)
        .bind(app)
        .bind(before.unwrap_or(u32::MAX))
        .bind(i64::from(limit))
        .fetch_all(pool)
        .await?))
}

/// One change, if there was one of this version.
pub async fn change(db: &Db, app: &str, version: u32) -> Result<Option<ChangeRow>> {
    let query = "SELECT version, changed_at, changed_by, what FROM catalogue_change \
         WHERE app_id = ? AND version = ?";
    Ok(on!(db, pool => sqlx::query_as(query).bind(app).bind(version).fetch_optional(pool).await?))
}

/// Adds a version with its entries: all or nothing. False when somebody else has added that version.
pub async fn append(db: &Db, app: &str, change: &ChangeRow, entries: &[Entry]) -> Result<bool> {
    let mut transaction = db.begin().await?;
    let query = "INSERT INTO catalogue_change (app_id, version, changed_at, changed_by, what) \
         VALUES (?, ?, ?, ?, ?)";
    let added = on!(tx &mut transaction, connection => sqlx::query(query)
        .bind(app)
        .bind(change.version)
        .bind(change.changed_at)
        .bind(&change.changed_by)
        .bind(&change.what)
        .execute(connection)
        .await
        .map(drop));
    match added {
        Err(error) if is_unique_violation(&error) => return Ok(false),
        added => added?,
    }
    for entry in entries {
        insert(&mut transaction, app, change.version, entry).await?;
    }
    transaction.commit().await?;
    Ok(true)
}

async fn insert(transaction: &mut Tx, app: &str, version: u32, entry: &Entry) -> Result<()> {
    let query = "INSERT INTO catalogue_entry (app_id, kind, name, version, body) VALUES (?, ?, ?, ?, ?)";
    let body = entry.body.as_ref().map(|body| body.to_string());
    on!(tx transaction, connection => sqlx::query(query)
        .bind(app)
        .bind(entry.kind.name())
        .bind(&entry.name)
        .bind(version)
        .bind(body)
        .execute(connection)
        .await
        .map(drop)?);
    Ok(())
}

/// Every app with a catalogue, and its newest version.
pub async fn apps(db: &Db) -> Result<Vec<(String, u32)>> {
    let query = "SELECT app_id, MAX(version) FROM catalogue_change GROUP BY app_id";
    Ok(on!(db, pool => sqlx::query_as(query).fetch_all(pool).await?))
}
