//! Table `audit`: one row per write that a known caller tried.

use muster_sql::{Db, on};
use sqlx::FromRow;

#[derive(Debug, Clone, FromRow)]
pub struct AuditRow {
    pub id: String,
    pub at: i64,
    pub caller: String,
    pub app_id: Option<String>,
    pub method: String,
    pub route: String,
    pub status: i64,
    pub request_id: String,
}

pub async fn insert(db: &Db, row: &AuditRow) -> sqlx::Result<()> {
    let sql = "INSERT INTO audit (id, at, caller, app_id, method, route, status, request_id) \
               VALUES (?, ?, ?, ?, ?, ?, ?, ?)";
    on!(db, pool => sqlx::query(sql)
        .bind(&row.id)
        .bind(row.at)
        .bind(&row.caller)
        .bind(&row.app_id)
        .bind(&row.method)
        .bind(&row.route)
        .bind(row.status)
        .bind(&row.request_id)
        .execute(pool)
        .await
        .map(drop)?);
    Ok(())
}

/// Up to `count` rows, newest first, older than the one named `before`.
pub async fn list(db: &Db, before: Option<&str>, count: u32) -> sqlx::Result<Vec<AuditRow>> {
    let sql = "SELECT * FROM audit WHERE id < COALESCE(?, '~') ORDER BY id DESC LIMIT ?";
    on!(db, pool => sqlx::query_as(sql).bind(before).bind(i64::from(count)).fetch_all(pool).await)
}
