//! `experiment_holdout`.

use chrono::{DateTime, Utc};
use muster_sql::{Db, is_unique_violation, on};

use crate::error::Error;

/// The share, in millionths, of the users who are in no experiment.
pub async fn holdout(db: &Db, app: &str) -> Result<Option<u32>, Error> {
    let query = "SELECT share FROM experiment_holdout WHERE app_id = ?";
    Ok(on!(db, pool => sqlx::query_scalar(query).bind(app).fetch_optional(pool).await?))
}

pub async fn put_holdout(db: &Db, app: &str, share: u32, by: &str, now: DateTime<Utc>) -> Result<(), Error> {
    let now = now.timestamp_millis();
    let update = "UPDATE experiment_holdout SET share = ?, updated_by = ?, updated_at = ? WHERE app_id = ?";
    let insert = "INSERT INTO experiment_holdout (app_id, share, updated_by, updated_at) VALUES (?, ?, ?, ?)";
    let put = || async {
        Ok::<u64, sqlx::Error>(on!(db, pool => sqlx::query(update)
            .bind(share).bind(by).bind(now).bind(app).execute(pool).await?.rows_affected()))
    };
    if put().await? > 0 {
        return Ok(());
    }
    let inserted = on!(db, pool => sqlx::query(insert)
        .bind(app).bind(share).bind(by).bind(now).execute(pool).await.map(drop));
    match inserted {
        // Another was first, or nothing differed from what was there.
        Err(error) if is_unique_violation(&error) => put().await.map(drop)?,
        inserted => inserted?,
    }
    Ok(())
}
