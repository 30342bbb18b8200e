//! Asking for a delivery, and what became of it.

use chrono::{DateTime, TimeDelta, Utc};
use muster_http::{Caller, Kind, Problem};
use muster_jobs::{Job, NewJob, Priority};
use serde_json::json;
use ulid::Ulid;

use super::answers::{Delivery, DeliveryBody, Mode};
use super::destination::{At, find};
use super::load;
use super::send::DELIVERY;
use super::store::{self, DeliveryRow};
use crate::Cohorts;
use crate::audiences::ToExport;
use crate::definition::fault;
use crate::error::Error;
use crate::store::time;

/// A row without a job is on its way into the queue for so long at most.
const LOST_AFTER: TimeDelta = TimeDelta::minutes(1);
/// A delivery that was lost for longer is nobody's any more.
const FORGOTTEN_AFTER: TimeDelta = TimeDelta::days(1);

/// The job that delivers. What can be said beforehand is refused here.
pub async fn ask(
    cohorts: &Cohorts,
    app: &str,
    asked: DeliveryBody,
    caller: &Caller,
    now: DateTime<Utc>,
) -> Result<(Delivery, Job), Error> {
    let destination = find(&cohorts.destinations, app, &asked.destination)?;
    if let At::Webhook { secret_env, .. } = &destination.at {
        secret(secret_env)?;
        if asked.format != "ndjson" {
            let detail = "A webhook gets NDJSON.".to_owned();
            return Err(fault("/format", "unknown_format", detail).into());
        }
    }
    if asked.since.is_some() && asked.mode != Mode::Changes {
        return Err(fault("/since", "since", "Only changes are since a cohort.".to_owned()).into());
    }
    if asked.is_of_groups() && asked.mode != Mode::Full {
        let detail = "An experiment's groups are delivered as a whole.".to_owned();
        return Err(fault("/mode", "mode", detail).into());
    }
    let who = load::newest(cohorts, app, &asked).await?;
    if let Some(since) = &asked.since {
        cohorts.audiences.newest(app, since).await?;
    }
    // Format and labels are looked at by exporting nobody.
    let nobody = ToExport {
        app: app.to_owned(),
        users: Vec::new(),
        ds: who.ds,
        format: asked.format.clone(),
        labels: asked.labels.clone(),
    };
    cohorts.audiences.export(nobody).await?;
    let (id, job) = (format!("dlv_{}", Ulid::generate()), format!("job_{}", Ulid::generate()));
    let row = DeliveryRow {
        app_id: app.to_owned(),
        destination: asked.destination.clone(),
        subject: asked.of.clone(),
        asked: serde_json::to_string(&asked)?,
        job_id: job.clone(),
        cohort_id: None,
        since: None,
        batches: 0,
        manifest: None,
        created_by: caller.id.clone(),
        created_at: now.timestamp_millis(),
        finished_at: None,
        erasure: None,
        attempt: None,
        removed_at: None,
        id,
    };
    store::create(&cohorts.db, &row).await?;
    let job = enqueue(cohorts, &row).await?;
    Ok((shown(row)?, job))
}

async fn enqueue(cohorts: &Cohorts, row: &DeliveryRow) -> Result<Job, Error> {
    let new = NewJob {
        id: Some(row.job_id.clone()),
        app_id: Some(row.app_id.clone()),
        owner: row.created_by.clone(),
        kind: DELIVERY,
        payload: json!({ "delivery_id": row.id }),
        priority: Priority::Interactive,
    };
    Ok(cohorts.jobs.enqueue(new).await?)
}

/// Deliveries whose process died between the row and the job get their job.
pub async fn take_up(cohorts: &Cohorts, now: DateTime<Utc>) -> Result<(), Error> {
    let waiting = now - LOST_AFTER;
    for row in store::begun_between(&cohorts.db, waiting - FORGOTTEN_AFTER, waiting).await? {
        let lost = cohorts.jobs.get(&row.job_id).await?.is_none();
        // Another process may do the same in this moment.
        if lost && let Err(error) = enqueue(cohorts, &row).await {
            tracing::warn!(delivery = row.id, %error, "it gets its job later");
        }
    }
    Ok(())
}

/// The secret with which batches are signed.
pub fn secret(variable: &str) -> Result<String, Error> {
    let secret = std::env::var(variable).ok().filter(|secret| !secret.is_empty());
    secret.ok_or_else(|| {
        let detail =
            format!("The server lacks the secret of this destination: its environment has no `{variable}`.");
        Problem::new(Kind::Conflict, "secret_missing", detail).into()
    })
}

pub fn shown(row: DeliveryRow) -> Result<Delivery, Error> {
    Ok(Delivery {
        asked: serde_json::from_str(&row.asked)?,
        manifest: row.manifest.as_deref().map(serde_json::from_str).transpose()?,
        created_at: time(row.created_at)?,
        finished_at: row.finished_at.map(time).transpose()?,
        removed_at: row.removed_at.map(time).transpose()?,
        id: row.id,
        app_id: row.app_id,
        job_id: row.job_id,
        created_by: row.created_by,
    })
}
