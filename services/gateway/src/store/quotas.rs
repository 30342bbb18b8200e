//! Table `quota`: what an app may take where it differs from the configuration.

use muster_sql::{Db, is_unique_violation, on};
use sqlx::FromRow;

#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct QuotaRow {
    pub app_id: String,
    pub class: String,
    pub per_second: i64,
    pub burst: i64,
    pub updated_at: i64,
    pub updated_by: String,
}

pub async fn all(db: &Db) -> sqlx::Result<Vec<QuotaRow>> {
    on!(db, pool => sqlx::query_as("SELECT * FROM quota").fetch_all(pool).await)
}

pub async fn put(db: &Db, row: &QuotaRow) -> sqlx::Result<()> {
    let update = "UPDATE quota SET per_second = ?, burst = ?, updated_at = ?, updated_by = ? \
                  WHERE app_id = ? AND class = ?";
    let insert = "INSERT INTO quota (per_second, burst, updated_at, updated_by, app_id, class) \
                  VALUES (?, ?, ?, ?, ?, ?)";
    // Whoever inserts at the same moment makes the insert fail, and the next update hold.
    for sql in [update, insert, update] {
        let done = on!(db, pool => sqlx::query(sql)
            .bind(row.per_second)
            .bind(row.burst)
            .bind(row.updated_at)
            .bind(&row.updated_by)
            .bind(&row.app_id)
            .bind(&row.class)
            .execute(pool)
            .await
            .map(|done| done.rows_affected()));
        match done {
            Ok(0) => {}
            Ok(_) => return Ok(()),
            Err(error) if is_unique_violation(&error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

pub async fn remove(db: &Db, app: &str, class: &str) -> sqlx::Result<()> {
    let sql = "DELETE FROM quota WHERE app_id = ? AND class = ?";
    on!(db, pool => sqlx::query(sql).bind(app).bind(class).execute(pool).await.map(drop))
}
