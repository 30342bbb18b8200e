//! `segment_claim`: segments, lists and cohorts that are needed elsewhere.

use std::collections::BTreeSet;

use muster_sql::{Db, on};

use crate::error::Error;

/// Owners that are experiments.
const EXPERIMENTS: &str = "owner LIKE 'exp!_%' ESCAPE '!'";

/// What the owner needs from now on.
pub async fn put_claims(db: &Db, app: &str, owner: &str, targets: &BTreeSet<String>) -> Result<(), Error> {
    let query = "SELECT target FROM segment_claim WHERE app_id = ? AND owner = ?";
    let there: Vec<String> =
        on!(db, pool => sqlx::query_scalar(query).bind(app).bind(owner).fetch_all(pool).await?);
    if BTreeSet::from_iter(there) == *targets {
        return Ok(());
    }
    let mut transaction = db.begin().await?;
    let delete = "DELETE FROM segment_claim WHERE app_id = ? AND owner = ?";
    on!(tx &mut transaction, connection =>
        sqlx::query(delete).bind(app).bind(owner).execute(connection).await.map(drop)?);
    for target in targets {
        let insert = "INSERT INTO segment_claim (app_id, owner, target) VALUES (?, ?, ?)";
        on!(tx &mut transaction, connection => sqlx::query(insert)
            .bind(app)
            .bind(owner)
            .bind(target)
            .execute(connection)
            .await
            .map(drop)?);
    }
    Ok(transaction.commit().await?)
}

/// App and owner of all claims.
pub async fn claimants(db: &Db) -> Result<Vec<(String, String)>, Error> {
    let query = "SELECT DISTINCT app_id, owner FROM segment_claim";
    Ok(on!(db, pool => sqlx::query_as(query).fetch_all(pool).await?))
}

/// The experiments that need it.
pub async fn experiments_on(db: &Db, app: &str, target: &str) -> Result<Vec<String>, Error> {
    let query = format!(
        "SELECT owner FROM segment_claim WHERE app_id = ? AND target = ? AND {EXPERIMENTS} ORDER BY owner"
    );
    let query = sqlx::AssertSqlSafe(query);
    Ok(on!(db, pool => sqlx::query_scalar(query).bind(app).bind(target).fetch_all(pool).await?))
}

/// Everything of the app that experiments need.
pub async fn claimed_by_experiments(db: &Db, app: &str) -> Result<BTreeSet<String>, Error> {
    let query = format!("SELECT target FROM segment_claim WHERE app_id = ? AND {EXPERIMENTS}");
    let query = sqlx::AssertSqlSafe(query);
    let targets: Vec<String> = on!(db, pool => sqlx::query_scalar(query).bind(app).fetch_all(pool).await?);
    Ok(targets.into_iter().collect())
}

/// Everything of the app that anybody needs.
pub async fn claimed(db: &Db, app: &str) -> Result<BTreeSet<String>, Error> {
    let query = "SELECT target FROM segment_claim WHERE app_id = ?";
    let targets: Vec<String> = on!(db, pool => sqlx::query_scalar(query).bind(app).fetch_all(pool).await?);
    Ok(targets.into_iter().collect())
}
