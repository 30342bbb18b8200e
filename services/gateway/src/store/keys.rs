//! Table `api_key`.

use muster_http::{Apps, Role};
use sqlx::types::Json;
use sqlx::{FromRow, SqlitePool};
use std::collections::BTreeSet;

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

pub async fn insert(pool: &SqlitePool, key: &KeyRow) -> sqlx::Result<()> {
    let sql = "INSERT INTO api_key (id, name, hash, apps, roles, created_at) VALUES (?, ?, ?, ?, ?, ?)";
    sqlx::query(sql)
        .bind(&key.id)
        .bind(&key.name)
        .bind(&key.hash)
        .bind(&key.apps)
        .bind(&key.roles)
        .bind(key.created_at)
        .execute(pool)
        .await?;
    Ok(())
}

/// The key with this hash, unless it has been revoked.
pub async fn by_hash(pool: &SqlitePool, hash: &str) -> sqlx::Result<Option<KeyRow>> {
    sqlx::query_as("SELECT * FROM api_key WHERE hash = ? AND revoked_at IS NULL")
        .bind(hash)
        .fetch_optional(pool)
        .await
}

/// Up to `count` keys in order of creation, after the one named `after`.
pub async fn list(pool: &SqlitePool, after: &str, count: u32) -> sqlx::Result<Vec<KeyRow>> {
    sqlx::query_as("SELECT * FROM api_key WHERE id > ? ORDER BY id LIMIT ?")
        .bind(after)
        .bind(count)
        .fetch_all(pool)
        .await
}

/// Whether any key is valid.
pub async fn any_valid(pool: &SqlitePool) -> sqlx::Result<bool> {
    let found: Option<i64> = sqlx::query_scalar("SELECT 1 FROM api_key WHERE revoked_at IS NULL LIMIT 1")
        .fetch_optional(pool)
        .await?;
    Ok(found.is_some())
}

/// False when there is no such key. Revoking twice keeps the first time.
pub async fn revoke(pool: &SqlitePool, id: &str, now: i64) -> sqlx::Result<bool> {
    let sql = "UPDATE api_key SET revoked_at = COALESCE(revoked_at, ?) WHERE id = ?";
    let done = sqlx::query(sql).bind(now).bind(id).execute(pool).await?;
    Ok(done.rows_affected() == 1)
}

pub async fn touch(pool: &SqlitePool, id: &str, now: i64) -> sqlx::Result<()> {
    sqlx::query("UPDATE api_key SET last_used = ? WHERE id = ?").bind(now).bind(id).execute(pool).await?;
    Ok(())
}
