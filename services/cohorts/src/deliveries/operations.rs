//! Asking for a delivery, and what became of it.

use chrono::{DateTime, Utc};
use muster_http::{Caller, Kind, Problem};
use muster_jobs::{Job, NewJob, Priority};
use serde_json::json;
use ulid::Ulid;

use super::answers::{Delivery, DeliveryBody, Mode};
use super::destination::{At, find};
use super::send::DELIVERY;
use super::store::{self, DeliveryRow};
use crate::Cohorts;
use crate::audiences::ToExport;
use crate::definition::fault;
use crate::error::Error;
use crate::store::time;

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
    let cohort = cohorts.audiences.newest(app, &asked.of).await?;
    if let Some(since) = &asked.since {
        cohorts.audiences.newest(app, since).await?;
    }
    // Format and labels are looked at by exporting nobody.
    let nobody = ToExport {
        app: app.to_owned(),
        users: Vec::new(),
        ds: cohort.ds,
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
        id,
    };
    store::create(&cohorts.db, &row).await?;
    let new = NewJob {
        id: Some(job),
        app_id: Some(app.to_owned()),
        owner: caller.id.clone(),
        kind: DELIVERY,
        payload: json!({ "delivery_id": row.id }),
        priority: Priority::Interactive,
    };
    let job = cohorts.jobs.enqueue(new).await?;
    Ok((shown(row)?, job))
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
        id: row.id,
        app_id: row.app_id,
        job_id: row.job_id,
        created_by: row.created_by,
    })
}
