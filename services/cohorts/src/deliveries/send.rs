//! The job that delivers a cohort.

use async_trait::async_trait;
use chrono::Utc;
use muster_http::{Kind, Problem};
use muster_jobs::{Failure, Handler, Run};
use serde::Deserialize;
use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

use super::answers::{DeliveryBody, Manifest, Mode, What};
use super::destination::{At, find};
use super::files::Files;
use super::store::{self, DeliveryRow};
use super::webhook::Webhook;
use crate::Cohorts;
use crate::audiences::{Exported, Newest, ToExport, Users, floor, size};
use crate::error::Error;

pub const DELIVERY: &str = "delivery";

/// Stored in the job's row: extend it, and keep reading old ones.
#[derive(Deserialize)]
struct Payload {
    delivery_id: String,
}

pub struct DeliveryHandler {
    pub cohorts: Cohorts,
}

#[async_trait]
impl Handler for DeliveryHandler {
    fn kind(&self) -> &'static str {
        DELIVERY
    }

    fn concurrency(&self) -> usize {
        2
    }

    async fn run(&self, run: &Run) -> Result<Value, Failure> {
        let Payload { delivery_id } = serde_json::from_value(run.job.payload.clone())
            .map_err(|error| Failure::new("bad_payload", format!("the job can't be read: {error}")))?;
        let app = run.job.app_id.as_deref();
        let app = app.ok_or_else(|| Failure::new("bad_payload", "the job names no app"))?;
        let manifest = deliver(&self.cohorts, app, &delivery_id, run).await?;
        serde_json::to_value(manifest).map_err(Failure::internal)
    }
}

/// What one attempt delivers, which is what every attempt delivers.
struct Load {
    asked: DeliveryBody,
    cohort: Newest,
    since: Option<String>,
    /// Users, and what is to be done with them.
    parts: Vec<(What, Users)>,
}

async fn deliver(cohorts: &Cohorts, app: &str, id: &str, run: &Run) -> Result<Manifest, Failure> {
    let row = store::delivery(&cohorts.db, app, id).await?;
    let row = row.ok_or_else(|| Failure::new("not_found", "there is no such delivery"))?;
    if let Some(manifest) = &row.manifest {
        return serde_json::from_str(manifest).map_err(Failure::internal);
    }
    let load = load(cohorts, app, &row).await?;
    let destination = find(&cohorts.destinations, app, &load.asked.destination)?;
    let mut manifest = load.manifest(app);
    match &destination.at {
        At::Webhook { url, secret_env, batch } => {
            let secret = super::operations::secret(secret_env)?;
            let batch = store::settle_batch(&cohorts.db, app, id, *batch).await?;
            let contents = contents(cohorts, app, &load, batch).await?;
            let settled = (load.since.as_deref(), &*contents);
            let mut webhook = Webhook::new(cohorts, &row, (url, secret, batch), &load.cohort, settled)?;
            for (what, users) in &load.parts {
                let exported = export(cohorts, app, &load, users, &mut manifest).await?;
                manifest.parts.push(webhook.send(*what, (exported, size(users)), run).await?);
            }
        }
        at => {
            let files = Files::open(at, app, &load.asked.of, &load.cohort)?;
            for (what, users) in &load.parts {
                let exported = export(cohorts, app, &load, users, &mut manifest).await?;
                let name = files.name(*what, load.since.as_deref(), exported.extension);
                manifest.parts.push(files.write(*what, &name, (exported, size(users)), run).await?);
            }
            if !run.still_mine().await.map_err(Failure::internal)? {
                return Err(Failure::stopped());
            }
            files.write_manifest(&manifest).await?;
        }
    }
    let text = serde_json::to_string(&manifest).map_err(Failure::internal)?;
    store::finish(&cohorts.db, (app, id), &text, Utc::now()).await?;
    Ok(manifest)
}

/// Which cohorts it is about is settled once.
async fn load(cohorts: &Cohorts, app: &str, row: &DeliveryRow) -> Result<Load, Error> {
    let asked: DeliveryBody = serde_json::from_str(&row.asked)?;
    let (cohort, since) = match &row.cohort_id {
        Some(cohort) => (cohort.clone(), row.since.clone()),
        None => settle(cohorts, app, row, &asked).await?,
    };
    let cohort = cohorts.audiences.newest(app, &cohort).await?;
    let users = cohorts.audiences.members(app, &cohort.id).await?;
    let parts = match &since {
        None => vec![(What::Full, users)],
        Some(since) => {
            let before = cohorts.audiences.members(app, since).await?;
            let less = |of: &Users, without: &Users| -> Users {
                let none = roaring::RoaringBitmap::new();
                of.iter().enumerate().map(|(bucket, of)| of - without.get(bucket).unwrap_or(&none)).collect()
            };
            let (entered, left) = (less(&users, &before), less(&before, &users));
            let floor = floor(&*cohorts.audiences.snapshot(app).await?);
            if floor.is_few(size(&entered)) || floor.is_few(size(&left)) {
                let detail = "Fewer users than the app's privacy floor have entered or left since then. Deliver \
                              the whole cohort, or wait for more.";
                return Err(Problem::new(Kind::Forbidden, "below_floor", detail).into());
            }
            vec![(What::Add, entered), (What::Remove, left)]
        }
    };
    Ok(Load { asked, cohort, since, parts })
}

/// The cohort, and since which. Of two attempts at once both take what the first has settled.
async fn settle(
    cohorts: &Cohorts,
    app: &str,
    row: &DeliveryRow,
    asked: &DeliveryBody,
) -> Result<(String, Option<String>), Error> {
    let cohort = cohorts.audiences.newest(app, &asked.of).await?.id;
    let since = match asked.mode {
        Mode::Full => None,
        Mode::Changes => since(cohorts, app, asked).await?,
    };
    store::settle(&cohorts.db, app, &row.id, (&cohort, since.as_deref())).await?;
    let settled = store::delivery(&cohorts.db, app, &row.id).await?;
    Ok(settled.and_then(|row| Some((row.cohort_id?, row.since))).unwrap_or((cohort, since)))
}

/// Tells batches of one cohort from each other that do not say the same: with other labels, of another size, or sent
/// again once another cohort was delivered.
async fn contents(cohorts: &Cohorts, app: &str, load: &Load, batch: usize) -> Result<String, Error> {
    let asked = &load.asked;
    let other = store::last_other(&cohorts.db, app, (&asked.destination, &asked.of), &load.cohort.id).await?;
    let text = format!("{:?} {batch} {other:?}", asked.labels);
    Ok(format!("{:08x}", xxh3_64(text.as_bytes()) as u32))
}

/// None where nothing was delivered before, or what was is gone, or something else may have been delivered in part
/// since then: then everything is.
async fn since(cohorts: &Cohorts, app: &str, asked: &DeliveryBody) -> Result<Option<String>, Error> {
    if let Some(since) = &asked.since {
        return Ok(Some(cohorts.audiences.newest(app, since).await?.id));
    }
    let last = store::last_delivered(&cohorts.db, app, (&asked.destination, &asked.of)).await?;
    let Some((last, id)) = last else { return Ok(None) };
    if store::any_in_part(&cohorts.db, app, (&asked.destination, &asked.of), &id).await? {
        return Ok(None);
    }
    match cohorts.audiences.newest(app, &last).await {
        Ok(cohort) => Ok(Some(cohort.id)),
        Err(problem) if problem.kind == Kind::NotFound => Ok(None),
        Err(problem) => Err(problem.into()),
    }
}

async fn export(
    cohorts: &Cohorts,
    app: &str,
    load: &Load,
    users: &Users,
    manifest: &mut Manifest,
) -> Result<Exported, Error> {
    let export = ToExport {
        app: app.to_owned(),
        users: users.clone(),
        ds: load.cohort.ds,
        format: load.asked.format.clone(),
        labels: load.asked.labels.clone(),
    };
    let exported = cohorts.audiences.export(export).await?;
    manifest.label_days.clone_from(&exported.label_days);
    Ok(exported)
}

impl Load {
    fn manifest(&self, app: &str) -> Manifest {
        Manifest {
            app_id: app.to_owned(),
            of: self.asked.of.clone(),
            cohort_id: self.cohort.id.clone(),
            ds: self.cohort.ds,
            version: self.cohort.version,
            hash: self.cohort.hash.clone(),
            users: self.cohort.users,
            mode: if self.since.is_some() { Mode::Changes } else { Mode::Full },
            since: self.since.clone(),
            format: self.asked.format.clone(),
            label_days: Vec::new(),
            parts: Vec::new(),
        }
    }
}
