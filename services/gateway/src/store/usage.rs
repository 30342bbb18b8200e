//! Table `app_usage`: what apps took, by UTC day and class. Every gateway adds to the same rows.

use muster_sql::{Db, SqlError, is_unique_violation, on};
use sqlx::FromRow;

#[derive(Debug, Clone, PartialEq, Eq, FromRow)]
pub struct UsageRow {
    pub ds: u32,
    pub app_id: String,
    pub class: String,
    pub calls: i64,
    pub units: i64,
    pub refused: i64,
}

/// Adds the row's numbers to what is there.
pub async fn add(db: &Db, row: &UsageRow) -> sqlx::Result<()> {
    let update = "UPDATE app_usage SET calls = calls + ?, units = units + ?, refused = refused + ? \
                  WHERE ds = ? AND app_id = ? AND class = ?";
    let insert = "INSERT INTO app_usage (calls, units, refused, ds, app_id, class) VALUES (?, ?, ?, ?, ?, ?)";
    for sql in [update, insert, update] {
        let done = on!(db, pool => sqlx::query(sql)
            .bind(row.calls)
            .bind(row.units)
            .bind(row.refused)
            .bind(row.ds)
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

/// The app's rows from a day on, newest day first.
pub async fn since(db: &Db, app: &str, ds: u32) -> sqlx::Result<Vec<UsageRow>> {
    let sql = "SELECT * FROM app_usage WHERE app_id = ? AND ds >= ? ORDER BY ds DESC, class";
    on!(db, pool => sqlx::query_as(sql).bind(app).bind(ds).fetch_all(pool).await)
}

/// Makes room for the days that come, and forgets those before `from`.
pub async fn keep_days(db: &Db, coming: &[u32], from: u32) -> Result<(), SqlError> {
    muster_sql::keep_days(db, "app_usage", coming, from).await
}
