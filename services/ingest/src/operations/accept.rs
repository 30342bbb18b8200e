//! Takes an upload: stores it durably, then makes the job that imports it.

use std::collections::BTreeSet;
use std::io;

use actix_web::error::PayloadError;
use actix_web::web::Bytes;
use futures::{Stream, StreamExt};
use muster_http::{Apps, Caller, Kind as Status, Problem, Role};
use muster_jobs::{Job, NewJob, Priority};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;
use ulid::Ulid;

use super::jobs_problem;
use crate::Ingest;
use crate::folder::ImportFolder;
use crate::formats::{Format, Kind};
use crate::jobs::{IMPORT, ImportPayload, format_name};
use crate::rejects::RejectLimit;

/// What the request says about the file.
pub struct Upload {
    pub kind: Kind,
    pub format: Format,
    pub gzip: bool,
    /// Rows of other apps are refused.
    pub app: Option<String>,
    pub file: Option<String>,
    pub reject_limit: Option<RejectLimit>,
}

/// Once this returns, the file is on disk and the job is in the database.
pub async fn accept(
    ingest: &Ingest,
    caller: &Caller,
    upload: Upload,
    body: impl Stream<Item = Result<Bytes, PayloadError>> + Unpin,
) -> Result<Job, Problem> {
    let apps = permitted(caller, upload.app.as_deref())?;
    let id = format!("job_{}", Ulid::generate());
    let folder = ImportFolder::of(&ingest.settings.folder, &id)
        .ok_or_else(|| Problem::internal("a fresh job id names no folder"))?;
    let stored = store_body(&folder, body).await;
    if let Err(problem) = stored {
        folder.remove();
        return Err(problem);
    }
    let payload = ImportPayload {
        kind: upload.kind.name().into(),
        format: format_name(upload.format).into(),
        gzip: upload.gzip,
        file: upload.file.unwrap_or_else(|| "body".into()),
        reject_limit: upload.reject_limit.unwrap_or(ingest.settings.reject_limit).share(),
        apps: apps.clone(),
    };
    let job = NewJob {
        id: Some(id),
        // A job of one app is seen by everyone who has the app, others by their owner.
        app_id: apps.filter(|apps| apps.len() == 1).and_then(|apps| apps.into_iter().next()),
        owner: caller.id.clone(),
        kind: IMPORT,
        payload: serde_json::to_value(payload).map_err(Problem::internal)?,
        priority: Priority::Interactive,
    };
    ingest.jobs.enqueue(job).await.map_err(jobs_problem)
}

/// The longest id of an app, here and in rows.
const APP_BYTES: usize = 128;

/// The apps whose rows the upload may hold; None for all.
fn permitted(caller: &Caller, app: Option<&str>) -> Result<Option<BTreeSet<String>>, Problem> {
    if let Some(app) = app {
        if !(1..=APP_BYTES).contains(&app.len()) {
            let detail = format!("An app id has 1 to {APP_BYTES} bytes.");
            return Err(Problem::new(Status::BadRequest, "invalid_parameter", detail));
        }
        // Refuses what is no id of an app, too.
        caller.require(app, Role::Import)?;
        return Ok(Some(BTreeSet::from([app.to_owned()])));
    }
    caller.require_role(Role::Import)?;
    Ok(match &caller.apps {
        Apps::All => None,
        Apps::Some(apps) => Some(apps.clone()),
    })
}

async fn store_body(
    folder: &ImportFolder,
    mut body: impl Stream<Item = Result<Bytes, PayloadError>> + Unpin,
) -> Result<(), Problem> {
    folder.create().map_err(Problem::internal)?;
    let mut file = File::create(folder.arriving()).await.map_err(Problem::internal)?;
    let mut bytes: u64 = 0;
    while let Some(chunk) = body.next().await {
        let chunk = chunk.map_err(broken_off)?;
        bytes += chunk.len() as u64;
        file.write_all(&chunk).await.map_err(not_stored)?;
    }
    if bytes == 0 {
        let detail = "The body is empty: send the file as the request's body.";
        return Err(Problem::new(Status::BadRequest, "empty_body", detail));
    }
    file.sync_all().await.map_err(not_stored)?;
    let folder = folder.clone();
    let kept = tokio::task::spawn_blocking(move || {
        std::fs::rename(folder.arriving(), folder.body())?;
        std::fs::File::open(folder.path())?.sync_all()
    });
    kept.await.map_err(Problem::internal)?.map_err(Problem::internal)
}

fn broken_off(error: PayloadError) -> Problem {
    match error {
        PayloadError::Overflow => {
            Problem::new(Status::TooLarge, "body_too_large", "The file is larger than imports may be.")
        }
        error => Problem::new(Status::BadRequest, "body_unreadable", format!("The body broke off: {error}.")),
    }
}

fn not_stored(error: io::Error) -> Problem {
    if error.kind() == io::ErrorKind::StorageFull {
        let detail = "There is no room for the file on the server's disk.";
        return Problem::new(Status::Unavailable, "storage_full", detail).retry_after(60);
    }
    Problem::internal(error)
}
