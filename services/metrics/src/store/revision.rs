//! `metric_revision`: a number per app that goes up whenever a row of its other tables changes.

use muster_sql::{Db, Tx, is_unique_violation, on};

/// 0 for an app of which nothing was ever written.
pub async fn revision(db: &Db, app: &str) -> sqlx::Result<i64> {
    let query = "SELECT revision FROM metric_revision WHERE app_id = ?";
    let found: Option<i64> = on!(db, pool => sqlx::query_scalar(query).bind(app).fetch_optional(pool).await?);
    Ok(found.unwrap_or(0))
}

/// The last thing that a transaction does: whoever waits for it holds nothing that others wait for.
pub(super) async fn move_on(tx: &mut Tx, app: &str) -> sqlx::Result<()> {
    let update = "UPDATE metric_revision SET revision = revision + 1 WHERE app_id = ?";
    let insert = "INSERT INTO metric_revision (revision, app_id) VALUES (1, ?)";
    // Whoever inserts at the same moment makes the insert fail, and the next update hold.
    for query in [update, insert, update] {
        let done = on!(tx &mut *tx, connection =>
            sqlx::query(query).bind(app).execute(connection).await.map(|done| done.rows_affected()));
        match done {
            Ok(0) => {}
            Err(error) if is_unique_violation(&error) => {}
            done => return done.map(drop),
        }
    }
    Ok(())
}

/// Days were dropped, of whatever apps.
pub async fn move_all_on(db: &Db) -> sqlx::Result<()> {
    let query = "UPDATE metric_revision SET revision = revision + 1";
    on!(db, pool => sqlx::query(query).execute(pool).await.map(drop))
}
