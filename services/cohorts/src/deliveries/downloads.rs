//! Deliveries that are kept here for a while, to be fetched. They go when their time is up, and when users are erased
//! whom they may have. Each attempt writes into a folder of its own beneath that of the delivery, and the row names the
//! one that was done: nobody writes over what is fetched.

use std::io::ErrorKind;
use std::path::Path;

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::TryStreamExt;
use futures::stream::BoxStream;
use muster_http::{Kind, Problem};
use object_store::ObjectStoreExt;

use super::answers::{Manifest, Part};
use super::destination::{At, DOWNLOAD, find};
use super::files::of_download;
use super::load::erasure;
use super::store::{self, DeliveryRow};
use crate::Cohorts;
use crate::audiences::floor;
use crate::error::Error;

/// A file on its way.
pub struct Fetched {
    pub part: Part,
    /// `ndjson`, `csv` or `parquet`.
    pub format: String,
    pub chunks: BoxStream<'static, object_store::Result<Bytes>>,
}

/// What may be exported now: of an app that is enabled, with nobody who was erased, and not too few.
pub async fn fetch(cohorts: &Cohorts, app: &str, id: &str, file: &str) -> Result<Fetched, Error> {
    let row = store::delivery(&cohorts.db, app, id).await?;
    let row = row.filter(DeliveryRow::is_download).ok_or_else(|| Problem::not_found("such download"))?;
    let snapshot = cohorts.audiences.snapshot(app).await?;
    let may_have_erased = row.erasure.is_some_and(|of| (of as u64) < snapshot.manifest().erasure());
    if row.removed_at.is_some() || may_have_erased {
        return Err(removed().into());
    }
    let (Some(manifest), Some(attempt)) = (&row.manifest, &row.attempt) else {
        let detail = format!("It is not done yet: see its job {}.", row.job_id);
        return Err(Problem::new(Kind::Conflict, "not_done", detail).into());
    };
    let manifest: Manifest = serde_json::from_str(manifest)?;
    let floor = floor(&snapshot);
    let groups = manifest.groups.iter().map(|group| group.users);
    let parts = manifest.parts.iter().map(|part| part.users);
    if groups.chain(parts).any(|users| floor.is_few(users)) {
        let detail = "It has fewer users than the app lets be shown.";
        return Err(Problem::new(Kind::Forbidden, "below_floor", detail).into());
    }
    let part = manifest.parts.into_iter().find(|part| part.file.as_deref() == Some(file));
    let part = part.ok_or_else(|| Problem::not_found("such file"))?;
    let (files, folder) = of_download(&find(&cohorts.destinations, app, DOWNLOAD)?.at, &row)?;
    match files.get(&folder.join(&**attempt).join(file)).await {
        Ok(found) => Ok(Fetched { part, format: manifest.format, chunks: found.into_stream() }),
        Err(object_store::Error::NotFound { .. }) => {
            let row = store::delivery(&cohorts.db, app, id).await?;
            match row.is_none_or(|row| row.removed_at.is_some()) {
                // It went in this moment.
                true => Err(removed().into()),
                false => {
                    Err(Error::Inside(format!("{id} lacks its file: do all processes share the store?")))
                }
            }
        }
        Err(error) => Err(Error::Inside(error.to_string())),
    }
}

fn removed() -> Problem {
    let detail = "Its files were removed: their time was up, or users were erased. Deliver it again.";
    Problem::new(Kind::NotFound, "download_removed", detail)
}

/// Removes the downloads that may have users who were erased since they were made. One whose job is on its way is left
/// to it: it looks itself, before it is done. Answers how many; an error once all were tried.
pub async fn clear(cohorts: &Cohorts, app: &str, now: DateTime<Utc>) -> Result<u64, Error> {
    let rows = store::downloads_before(&cohorts.db, app, erasure(cohorts, app).await?).await?;
    remove_all(cohorts, rows, now).await
}

/// Removes those whose time is up, and those that an erasure has missed because they were being made.
pub async fn sweep(cohorts: &Cohorts, now: DateTime<Utc>) -> Result<(), Error> {
    if let Some(old) = cohorts.kept.and_then(|kept| now.checked_sub_signed(kept)) {
        let rows = store::old_downloads(&cohorts.db, old).await?;
        if let Err(error) = remove_all(cohorts, rows, now).await {
            tracing::warn!(%error, "old downloads are looked at again later");
        }
    }
    for app in store::apps_with_downloads(&cohorts.db).await? {
        if let Err(error) = clear(cohorts, &app, now).await {
            tracing::warn!(app, %error, "downloads are looked at again later");
        }
    }
    Ok(())
}

async fn remove_all(cohorts: &Cohorts, rows: Vec<DeliveryRow>, now: DateTime<Utc>) -> Result<u64, Error> {
    let (mut done, mut failed) = (0, None);
    for row in rows {
        match remove(cohorts, &row, now).await {
            Ok(removed) => done += u64::from(removed),
            Err(error) => failed = Some(error),
        }
    }
    failed.map_or(Ok(done), Err)
}

/// Not while its job may still write files, which nobody would remove once the row says that they are gone.
async fn remove(cohorts: &Cohorts, row: &DeliveryRow, now: DateTime<Utc>) -> Result<bool, Error> {
    let job = cohorts.jobs.get(&row.job_id).await?;
    if row.finished_at.is_none() && job.is_some_and(|job| !job.state.is_final()) {
        return Ok(false);
    }
    remove_files(cohorts, row, None).await?;
    store::put_removed(&cohorts.db, &row.app_id, &row.id, now).await?;
    Ok(true)
}

/// Removes what attempts have written, `but` that of one.
pub async fn remove_files(cohorts: &Cohorts, row: &DeliveryRow, but: Option<&str>) -> Result<(), Error> {
    remove_beneath(cohorts, row, (None, but)).await
}

/// Removes what one attempt has written, that came to nothing.
pub async fn forget_attempt(cohorts: &Cohorts, row: &DeliveryRow, attempt: &str) -> Result<(), Error> {
    remove_beneath(cohorts, row, (Some(attempt), None)).await
}

/// Beneath the delivery, or one attempt of it.
async fn remove_beneath(
    cohorts: &Cohorts,
    row: &DeliveryRow,
    (attempt, but): (Option<&str>, Option<&str>),
) -> Result<(), Error> {
    let at = &find(&cohorts.destinations, &row.app_id, DOWNLOAD)?.at;
    let (files, folder) = of_download(at, row)?;
    let folder = attempt.iter().fold(folder, |folder, attempt| folder.join(*attempt));
    if let At::Folder { path } = at {
        // With what somebody who was killed has left unfinished, which is no file to a store of objects.
        return remove_folders(&path.join(folder.as_ref()), but)
            .map_err(|error| Error::Inside(error.to_string()));
    }
    let failed = |error: object_store::Error| Error::Inside(error.to_string());
    let kept = but.map(|attempt| folder.clone().join(attempt));
    let there: Vec<_> = files.list(Some(&folder)).try_collect().await.map_err(failed)?;
    for file in there {
        if kept.as_ref().is_none_or(|kept| !file.location.prefix_matches(kept)) {
            files.delete(&file.location).await.map_err(failed)?;
        }
    }
    Ok(())
}

fn remove_folders(folder: &Path, but: Option<&str>) -> std::io::Result<()> {
    let gone = |done: std::io::Result<()>| match done {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
        done => done,
    };
    let Some(but) = but else { return gone(std::fs::remove_dir_all(folder)) };
    let attempts = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        attempts => attempts?,
    };
    for attempt in attempts {
        let attempt = attempt?;
        if attempt.file_name() != but {
            gone(std::fs::remove_dir_all(attempt.path()))?;
        }
    }
    Ok(())
}
