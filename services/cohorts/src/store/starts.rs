//! A start of an experiment: it takes what it needs of its layer, so that no other gets it.

use chrono::{DateTime, Utc};
use muster_days::Ds;
use muster_sql::{Db, Tx, is_conflict, is_unique_violation, on};

use super::ExperimentRow;
use crate::assignment::{Assignment, Range, Slice, WHOLE, take};
use crate::error::Error;

/// Starts of one layer at once that are waited for.
const TRIES: usize = 20;

/// What a start takes.
pub struct Reservation<'a> {
    pub experiment: &'a ExperimentRow,
    /// Millionths of the layer.
    pub traffic: u32,
    pub shares: Vec<u32>,
    pub holdout: Option<Slice>,
    pub from: Ds,
    pub job: &'a str,
    /// Of a start before this one that has come to nothing.
    pub instead_of: Option<&'a str>,
}

/// The experiment is being started by the job. False when it was changed meanwhile; an error when the layer has
/// no room.
pub async fn reserve(db: &Db, new: &Reservation<'_>, now: DateTime<Utc>) -> Result<bool, Error> {
    for _ in 0..TRIES {
        match try_reserve(db, new, now).await {
            Err(Error::Sql(error)) if is_conflict(&error) || is_unique_violation(&error) => {}
            Err(Error::Moved) => {}
            result => return result,
        }
    }
    Err(Error::Moved)
}

async fn try_reserve(db: &Db, new: &Reservation<'_>, now: DateTime<Utc>) -> Result<bool, Error> {
    let mut transaction = db.begin().await?;
    let traffic = take_traffic(&mut transaction, new.experiment, new.traffic).await?;
    let assignment = Assignment {
        holdout: new.holdout.clone(),
        traffic,
        salt: new.experiment.salt.clone(),
        shares: new.shares.clone(),
    };
    let query = "UPDATE experiment SET state = 'starting', assignment = ?, job_id = ?, failure = NULL, \
         from_ds = ?, revision = revision + 1, updated_at = ? WHERE app_id = ? AND id = ? AND revision = ? \
         AND (state = 'draft' OR (state = 'starting' AND job_id = ?))";
    let row = new.experiment;
    let done = on!(tx &mut transaction, connection => sqlx::query(query)
        .bind(serde_json::to_string(&assignment)?)
        .bind(new.job)
        .bind(new.from.number())
        .bind(now.timestamp_millis())
        .bind(&row.app_id)
        .bind(&row.id)
        .bind(row.revision)
        .bind(new.instead_of)
        .execute(connection)
        .await?
        .rows_affected());
    if done == 1 {
        transaction.commit().await?;
    }
    Ok(done == 1)
}

/// What the experiment would take if it were started now.
pub async fn would_take(db: &Db, row: &ExperimentRow, traffic: u32) -> Result<Slice, Error> {
    for _ in 0..TRIES {
        let mut transaction = db.begin().await?;
        // Not committed: nothing is taken.
        match take_traffic(&mut transaction, row, traffic).await {
            Err(Error::Sql(error)) if is_conflict(&error) || is_unique_violation(&error) => {}
            Err(Error::Moved) => {}
            taken => return taken,
        }
    }
    Err(Error::Moved)
}

/// Of the layer: what no other experiment has that is being started or runs. [`Error::Moved`] when another was
/// quicker.
async fn take_traffic(tx: &mut Tx, row: &ExperimentRow, traffic: u32) -> Result<Slice, Error> {
    let (app, layer) = (&row.app_id, &row.layer);
    if layer.is_empty() {
        return Ok(Slice {
            salt: format!("{}/traffic", row.id),
            ranges: vec![Range { from: 0, to: traffic }],
        });
    }
    let query = "SELECT revision FROM experiment_layer WHERE app_id = ? AND name = ?";
    let found: Option<u32> = on!(tx &mut *tx, connection =>
        sqlx::query_scalar(query).bind(app).bind(layer).fetch_optional(connection).await?);
    if found.is_none() {
        let insert = "INSERT INTO experiment_layer (app_id, name, revision) VALUES (?, ?, 0)";
        on!(tx &mut *tx, connection =>
            sqlx::query(insert).bind(app).bind(layer).execute(connection).await.map(drop)?);
    }
    let query =
        "UPDATE experiment_layer SET revision = revision + 1 WHERE app_id = ? AND name = ? AND revision = ?";
    let moved = on!(tx &mut *tx, connection => sqlx::query(query)
        .bind(app)
        .bind(layer)
        .bind(found.unwrap_or(0))
        .execute(connection)
        .await?
        .rows_affected());
    if moved == 0 {
        return Err(Error::Moved);
    }
    let query = "SELECT assignment FROM experiment WHERE app_id = ? AND layer = ? AND id <> ? \
         AND state IN ('starting', 'running') AND assignment IS NOT NULL";
    let others: Vec<String> = on!(tx &mut *tx, connection =>
        sqlx::query_scalar(query).bind(app).bind(layer).bind(&row.id).fetch_all(connection).await?);
    let mut taken: Vec<Range> = Vec::new();
    for other in &others {
        taken.extend(serde_json::from_str::<Assignment>(other)?.traffic.ranges);
    }
    let free = WHOLE.saturating_sub(taken.iter().map(|range| range.len()).sum());
    let ranges = take(&taken, traffic).ok_or_else(|| Error::LayerFull {
        layer: layer.clone(),
        wanted: traffic,
        free,
    })?;
    Ok(Slice { salt: format!("{app}/layer/{layer}"), ranges })
}
