//! The job that delivers.

use async_trait::async_trait;
use chrono::Utc;
use muster_jobs::{Failure, Handler, Run};
use serde::Deserialize;
use serde_json::Value;
use ulid::Ulid;
use xxhash_rust::xxh3::xxh3_64;

use super::answers::Manifest;
use super::destination::{At, DOWNLOAD, find};
use super::downloads;
use super::files::Files;
use super::load::{Load, count, erasure, load};
use super::store::{self, DeliveryRow};
use super::webhook::Webhook;
use crate::Cohorts;
use crate::audiences::{Exported, InGroup, ToExport};
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
        let Payload { delivery_id } = run.payload()?;
        let app = run.app()?;
        let manifest = deliver(&self.cohorts, app, &delivery_id, run).await?;
        serde_json::to_value(manifest).map_err(Failure::internal)
    }
}

async fn deliver(cohorts: &Cohorts, app: &str, id: &str, run: &Run) -> Result<Manifest, Failure> {
    let row = store::delivery(&cohorts.db, app, id).await?;
    let row = row.ok_or_else(|| Failure::new("not_found", "there is no such delivery"))?;
    if let Some(manifest) = &row.manifest {
        // Whoever was killed behind it may have left what attempts before had written.
        if let Some(attempt) = &row.attempt {
            downloads::remove_files(cohorts, &row, Some(attempt)).await?;
        }
        return serde_json::from_str(manifest).map_err(Failure::internal);
    }
    let load = load(cohorts, app, &row).await?;
    if row.is_download() {
        return keep(cohorts, (&row, &load), run).await;
    }
    let mut manifest = load.manifest(app);
    match &find(&cohorts.destinations, app, &load.asked.destination)?.at {
        At::Webhook { url, secret_env, batch } => {
            let webhook = (url, &**secret_env, *batch);
            send_batches(cohorts, (&row, &load), webhook, &mut manifest, run).await?;
        }
        at => write_files(cohorts, (&row, &load), (at, ""), &mut manifest, run).await?,
    }
    let text = serde_json::to_string(&manifest).map_err(Failure::internal)?;
    store::finish(&cohorts.db, (app, id), &text, None, Utc::now()).await?;
    Ok(manifest)
}

/// A download. Before its first byte the row says which erasures it knows of, so that one that comes later finds it; once
/// it is done nothing stays but its own files.
async fn keep(cohorts: &Cohorts, (row, load): (&DeliveryRow, &Load), run: &Run) -> Result<Manifest, Failure> {
    if !store::begin_download(&cohorts.db, &row.app_id, &row.id, load.erasure).await? {
        return ended(cohorts, row).await;
    }
    let attempt = Ulid::generate().to_string();
    let kept = keep_files(cohorts, (row, load), &attempt, run).await;
    if !matches!(kept, Ok((_, true))) {
        // What stays of it goes with the delivery; why it came to nothing is what matters.
        if let Err(error) = downloads::forget_attempt(cohorts, row, &attempt).await {
            tracing::warn!(delivery = row.id, %error, "what an attempt has written stays for now");
        }
    }
    match kept? {
        (manifest, true) => {
            downloads::remove_files(cohorts, row, Some(&attempt)).await?;
            Ok(manifest)
        }
        (_, false) => ended(cohorts, row).await,
    }
}

/// Another attempt was quicker, or its time is up.
async fn ended(cohorts: &Cohorts, row: &DeliveryRow) -> Result<Manifest, Failure> {
    let row = store::delivery(&cohorts.db, &row.app_id, &row.id).await?;
    match row.and_then(|row| row.manifest) {
        Some(manifest) => serde_json::from_str(&manifest).map_err(Failure::internal),
        None => Err(Failure::new("download_removed", "the time of the download was up before it was made")),
    }
}

/// Whether it is what the row names now.
async fn keep_files(
    cohorts: &Cohorts,
    (row, load): (&DeliveryRow, &Load),
    attempt: &str,
    run: &Run,
) -> Result<(Manifest, bool), Failure> {
    let mut manifest = load.manifest(&row.app_id);
    let at = &find(&cohorts.destinations, &row.app_id, DOWNLOAD)?.at;
    write_files(cohorts, (row, load), (at, attempt), &mut manifest, run).await?;
    if erasure(cohorts, &row.app_id).await? != load.erasure {
        return Err(Failure::passing("users_erased", "users were erased meanwhile"));
    }
    let text = serde_json::to_string(&manifest).map_err(Failure::internal)?;
    let ids = (&*row.app_id, &*row.id);
    let mine = store::finish(&cohorts.db, ids, &text, Some((attempt, load.erasure)), Utc::now()).await?;
    Ok((manifest, mine))
}

async fn send_batches(
    cohorts: &Cohorts,
    (row, load): (&DeliveryRow, &Load),
    (url, secret_env, batch): (&reqwest::Url, &str, usize),
    manifest: &mut Manifest,
    run: &Run,
) -> Result<(), Failure> {
    let secret = super::operations::secret(secret_env)?;
    let batch = store::settle_batch(&cohorts.db, &row.app_id, &row.id, batch).await?;
    let contents = contents(cohorts, row, load, batch).await?;
    let settled = (load.since.as_deref(), &*contents);
    let mut webhook = Webhook::new(cohorts, row, (url, secret, batch), &load.who, settled)?;
    for (what, users) in &load.parts {
        let exported = export(cohorts, row, load, users, manifest).await?;
        manifest.parts.push(webhook.send(*what, (exported, count(users)), run).await?);
    }
    Ok(())
}

async fn write_files(
    cohorts: &Cohorts,
    (row, load): (&DeliveryRow, &Load),
    (at, attempt): (&At, &str),
    manifest: &mut Manifest,
    run: &Run,
) -> Result<(), Failure> {
    let files = Files::open(at, row, &load.who, attempt)?;
    for (what, users) in &load.parts {
        let exported = export(cohorts, row, load, users, manifest).await?;
        let name = files.name(*what, load.since.as_deref(), exported.extension);
        manifest.parts.push(files.write(*what, &name, (exported, count(users)), run).await?);
    }
    if !run.still_mine().await.map_err(Failure::internal)? {
        return Err(Failure::stopped());
    }
    files.write_manifest(manifest).await
}

/// Tells batches for the same users from each other that do not say the same: with other labels, of another size, or
/// sent again once others were delivered.
async fn contents(cohorts: &Cohorts, row: &DeliveryRow, load: &Load, batch: usize) -> Result<String, Error> {
    let asked = &load.asked;
    let to = (&*asked.destination, &*asked.of);
    let other = store::last_other(&cohorts.db, &row.app_id, to, &load.who.name).await?;
    let text = format!("{:?} {batch} {other:?}", asked.labels);
    Ok(format!("{:08x}", xxh3_64(text.as_bytes()) as u32))
}

async fn export(
    cohorts: &Cohorts,
    row: &DeliveryRow,
    load: &Load,
    users: &[InGroup],
    manifest: &mut Manifest,
) -> Result<Exported, Error> {
    let export = ToExport {
        app: row.app_id.clone(),
        users: users.to_vec(),
        ds: load.who.ds,
        format: load.asked.format.clone(),
        labels: load.asked.labels.clone(),
    };
    let exported = cohorts.audiences.export(export).await?;
    manifest.label_days.clone_from(&exported.label_days);
    Ok(exported)
}
