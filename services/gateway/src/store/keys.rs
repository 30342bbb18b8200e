//! Table `api_key`.

use std::collections::BTreeSet;

use muster_http::{Apps, Role};
use muster_sql::{Db, on};
use sqlx::FromRow;
use sqlx::types::Json;

#[derive(Debug, Clone, FromRow)]
pub struct KeyRow {
    pub id: String,
    pub name: String,
    pub hash: String,
    pub apps: Json<Apps>,
    pub roles: Json<BTreeSet<Role>>,
    pub created_at: i64,
    pub revoked_at: Option<i64>,
    pub last_used: Option<i64>,
}

pub async fn insert(db: &Db, key: &KeyRow) -> sqlx::Result<()> {
    let sql = "INSERT INTO api_key (id, name, hash, apps, roles, created_at) VALUES (?, ?, ?, ?, ?, ?)";
    on!(db, pool => sqlx::query(sql)
        .bind(&key.id)
        .bind(&key.name)
        .bind(&key.hash)
        .bind(&key.apps)
        .bind(&key.roles)
        .bind(key.created_at)
        .execute(pool)
        .await
        .map(drop))
}

/// The key with this hash, unless it has been revoked.
pub async fn by_hash(db: &Db, hash: &str) -> sqlx::Result<Option<KeyRow>> {
    let sql = "SELECT * FROM api_key WHERE hash = ? AND revoked_at IS NULL";
    on!(db, pool => sqlx::query_as(sql).bind(hash).fetch_optional(pool).await)
}

/// Up to `count` keys in order of creation, after the one named `after`.
pub async fn list(db: &Db, after: &str, count: u32) -> sqlx::Result<Vec<KeyRow>> {
    let sql = "SELECT * FROM api_key WHERE id > ? ORDER BY id LIMIT ?";
    on!(db, pool => sqlx::query_as(sql).bind(after).bind(i64::from(count)).fetch_all(pool).await)
}

/// Whether any key is valid.
pub async fn any_valid(db: &Db) -> sqlx::Result<bool> {
    let sql = "SELECT 1 FROM api_key WHERE revoked_at IS NULL LIMIT 1";
    let found: Option<i64> = on!(db, pool => sqlx::query_scalar(sql).fetch_optional(pool).await?);
    Ok(found.is_some())
}

/// False when there is no such key. Revoking twice keeps the first time.
pub async fn revoke(db: &Db, id: &str, now: i64) -> sqlx::Result<bool> {
    let sql = "UPDATE api_key SET revoked_at = COALESCE(revoked_at, ?) WHERE id = ?";
    let done = on!(db, pool => sqlx::query(sql).bind(now).bind(id).execute(pool).await?.rows_affected());
    Ok(done == 1)
}

pub async fn touch(db: &Db, id: &str, now: i64) -> sqlx::Result<()> {
    let sql = "UPDATE api_key SET last_used = ? WHERE id = ?";
    on!(db, pool => sqlx::query(sql).bind(now).bind(id).execute(pool).await.map(drop))
}
