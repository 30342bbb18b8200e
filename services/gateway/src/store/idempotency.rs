//! Table `idempotency`: what was asked with which `Idempotency-Key`, and what was answered.

use sqlx::{FromRow, SqlitePool};

/// Names a row: a key belongs to its caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    pub caller: String,
    pub request_key: String,
}

#[derive(Debug, Clone, FromRow)]
pub struct Row {
    pub fingerprint: String,
    pub instance: String,
    /// None while the request runs.
    pub status: Option<i64>,
    pub content_type: Option<String>,
    pub location: Option<String>,
    pub body: Option<Vec<u8>>,
}

/// Claims the key for a request that starts now; false when the key has a row already.
pub async fn claim(
    pool: &SqlitePool,
    key: &Key,
    fingerprint: &str,
    instance: &str,
    now: i64,
) -> sqlx::Result<bool> {
    let sql = "INSERT INTO idempotency (caller, request_key, fingerprint, instance, created_at) \
               VALUES (?, ?, ?, ?, ?) ON CONFLICT DO NOTHING";
    let done = sqlx::query(sql)
        .bind(&key.caller)
        .bind(&key.request_key)
        .bind(fingerprint)
        .bind(instance)
        .bind(now)
        .execute(pool)
        .await?;
    Ok(done.rows_affected() == 1)
}

pub async fn get(pool: &SqlitePool, key: &Key) -> sqlx::Result<Option<Row>> {
    sqlx::query_as("SELECT * FROM idempotency WHERE caller = ? AND request_key = ?")
        .bind(&key.caller)
        .bind(&key.request_key)
        .fetch_optional(pool)
        .await
}

/// Takes an unfinished row over from `from`; false when somebody else was faster.
pub async fn take_over(pool: &SqlitePool, key: &Key, from: &str, to: &str, now: i64) -> sqlx::Result<bool> {
    let sql = "UPDATE idempotency SET instance = ?, created_at = ? \
               WHERE caller = ? AND request_key = ? AND instance = ? AND status IS NULL";
    let done = sqlx::query(sql)
        .bind(to)
        .bind(now)
        .bind(&key.caller)
        .bind(&key.request_key)
        .bind(from)
        .execute(pool)
        .await?;
    Ok(done.rows_affected() == 1)
}

/// The answer as it will be given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub status: u16,
    pub content_type: Option<String>,
    pub location: Option<String>,
    pub body: Vec<u8>,
}

pub async fn finish(pool: &SqlitePool, key: &Key, instance: &str, kept: &Kept) -> sqlx::Result<()> {
    let sql = "UPDATE idempotency SET status = ?, content_type = ?, location = ?, body = ? \
               WHERE caller = ? AND request_key = ? AND instance = ?";
    sqlx::query(sql)
        .bind(i64::from(kept.status))
        .bind(&kept.content_type)
        .bind(&kept.location)
        .bind(&kept.body)
        .bind(&key.caller)
        .bind(&key.request_key)
        .bind(instance)
        .execute(pool)
        .await?;
    Ok(())
}

/// Forgets an unfinished request of `instance`, so that it may be sent again.
pub async fn release(pool: &SqlitePool, key: &Key, instance: &str) -> sqlx::Result<()> {
    let sql = "DELETE FROM idempotency \
               WHERE caller = ? AND request_key = ? AND instance = ? AND status IS NULL";
    sqlx::query(sql).bind(&key.caller).bind(&key.request_key).bind(instance).execute(pool).await?;
    Ok(())
}

/// Deletes rows from before `time`, except what `instance` still runs; the number of them.
pub async fn delete_before(pool: &SqlitePool, time: i64, instance: &str) -> sqlx::Result<u64> {
    let sql = "DELETE FROM idempotency WHERE created_at < ? AND (status IS NOT NULL OR instance <> ?)";
    Ok(sqlx::query(sql).bind(time).bind(instance).execute(pool).await?.rows_affected())
}
