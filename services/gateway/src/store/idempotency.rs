//! Table `idempotency`: what was asked with which `Idempotency-Key`, and what was answered.

use muster_sql::{Db, is_unique_violation, on};
use sqlx::FromRow;

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
    /// While the request runs, it is its instance's until then.
    pub lease_until: i64,
    /// None while the request runs.
    pub status: Option<i64>,
    pub content_type: Option<String>,
    pub location: Option<String>,
    pub body: Option<Vec<u8>>,
}

/// The process that runs a request, and until when nobody else may take it over.
#[derive(Debug, Clone, Copy)]
pub struct Holder<'a> {
    pub instance: &'a str,
    pub lease_until: i64,
}

/// Claims the key for a request that starts now; false when the key has a row already.
pub async fn claim(
    db: &Db,
    key: &Key,
    fingerprint: &str,
    holder: Holder<'_>,
    now: i64,
) -> sqlx::Result<bool> {
    let sql = "INSERT INTO idempotency (caller, request_key, fingerprint, instance, lease_until, created_at) \
               VALUES (?, ?, ?, ?, ?, ?)";
    let inserted = on!(db, pool => sqlx::query(sql)
        .bind(&key.caller)
        .bind(&key.request_key)
        .bind(fingerprint)
        .bind(holder.instance)
        .bind(holder.lease_until)
        .bind(now)
        .execute(pool)
        .await
        .map(drop));
    match inserted {
        Ok(()) => Ok(true),
        Err(error) if is_unique_violation(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

pub async fn get(db: &Db, key: &Key) -> sqlx::Result<Option<Row>> {
    let sql = "SELECT * FROM idempotency WHERE caller = ? AND request_key = ?";
    on!(db, pool => sqlx::query_as(sql).bind(&key.caller).bind(&key.request_key).fetch_optional(pool).await)
}

/// Takes an unfinished row over whose lease has ended; false when somebody else was faster.
pub async fn take_over(db: &Db, key: &Key, holder: Holder<'_>, now: i64) -> sqlx::Result<bool> {
    let sql = "UPDATE idempotency SET instance = ?, lease_until = ?, created_at = ? \
               WHERE caller = ? AND request_key = ? AND lease_until <= ? AND status IS NULL";
    let done = on!(db, pool => sqlx::query(sql)
        .bind(holder.instance)
        .bind(holder.lease_until)
        .bind(now)
        .bind(&key.caller)
        .bind(&key.request_key)
        .bind(now)
        .execute(pool)
        .await?
        .rows_affected());
    Ok(done == 1)
}

/// Renews the leases of everything that the instance runs.
pub async fn renew(db: &Db, holder: Holder<'_>) -> sqlx::Result<()> {
    let sql = "UPDATE idempotency SET lease_until = ? WHERE instance = ? AND status IS NULL";
    on!(db, pool =>
        sqlx::query(sql).bind(holder.lease_until).bind(holder.instance).execute(pool).await.map(drop))
}

/// The answer as it will be given again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    pub status: u16,
    pub content_type: Option<String>,
    pub location: Option<String>,
    pub body: Vec<u8>,
}

pub async fn finish(db: &Db, key: &Key, instance: &str, kept: &Kept) -> sqlx::Result<()> {
    let sql = "UPDATE idempotency SET status = ?, content_type = ?, location = ?, body = ? \
               WHERE caller = ? AND request_key = ? AND instance = ?";
    on!(db, pool => sqlx::query(sql)
        .bind(i64::from(kept.status))
        .bind(&kept.content_type)
        .bind(&kept.location)
        .bind(&kept.body)
        .bind(&key.caller)
        .bind(&key.request_key)
        .bind(instance)
        .execute(pool)
        .await
        .map(drop))
}

/// Forgets an unfinished request of `instance`, so that it may be sent again.
pub async fn release(db: &Db, key: &Key, instance: &str) -> sqlx::Result<()> {
    let sql = "DELETE FROM idempotency \
               WHERE caller = ? AND request_key = ? AND instance = ? AND status IS NULL";
    on!(db, pool => sqlx::query(sql)
        .bind(&key.caller)
        .bind(&key.request_key)
        .bind(instance)
        .execute(pool)
        .await
        .map(drop))
}

/// So many rows are looked for at a time; each is deleted by itself, since a server like TiDB bounds the size
/// of a transaction.
const SLICE: i64 = 500;

/// Deletes rows from before `time`, except what is still run; the number of them.
pub async fn delete_before(db: &Db, time: i64, now: i64) -> sqlx::Result<u64> {
    let select = "SELECT caller, request_key FROM idempotency \
                  WHERE created_at < ? AND (status IS NOT NULL OR lease_until < ?) LIMIT ?";
    let delete = "DELETE FROM idempotency WHERE caller = ? AND request_key = ? AND created_at < ?";
    let mut deleted = 0;
    loop {
        let old: Vec<(String, String)> = on!(db, pool => sqlx::query_as(select)
            .bind(time)
            .bind(now)
            .bind(SLICE)
            .fetch_all(pool)
            .await?);
        for (caller, key) in &old {
            deleted += on!(db, pool => sqlx::query(delete)
                .bind(caller)
                .bind(key)
                .bind(time)
                .execute(pool)
                .await?
                .rows_affected());
        }
        if (old.len() as i64) < SLICE {
            return Ok(deleted);
        }
    }
}
