//! Deliveries that are kept here for a while, to be fetched. They go when their time is up, and when users are erased
//! whom they may have.

use std::io::ErrorKind;

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
use crate::error::Error;

/// A file on its way.
pub struct Fetched {
    pub part: Part,
    /// `ndjson`, `csv` or `parquet`.
    pub format: String,
    pub chunks: BoxStream<'static, object_store::Result<Bytes>>,
}

pub async fn fetch(cohorts: &Cohorts, app: &str, id: &str, file: &str) -> Result<Fetched, Error> {
    let row = store::delivery(&cohorts.db, app, id).await?;
    let row = row.filter(DeliveryRow::is_download).ok_or_else(|| Problem::not_found("such download"))?;
    if row.removed_at.is_some() {
        return Err(removed().into());
    }
    let Some(manifest) = &row.manifest else {
        let detail = format!("It is not done yet: see its job {}.", row.job_id);
        return Err(Problem::new(Kind::Conflict, "not_done", detail).into());
    };
    let Manifest { parts, format, .. } = serde_json::from_str(manifest)?;
    let part = parts.into_iter().find(|part| part.file.as_deref() == Some(file));
    let part = part.ok_or_else(|| Problem::not_found("such file"))?;
    let (files, folder) = of_download(&find(&cohorts.destinations, app, DOWNLOAD)?.at, &row)?;
    match files.get(&folder.join(file)).await {
        Ok(found) => Ok(Fetched { part, format, chunks: found.into_stream() }),
        // It goes in this moment.
        Err(object_store::Error::NotFound { .. }) => Err(removed().into()),
        Err(error) => Err(Error::Inside(error.to_string())),
    }
}

fn removed() -> Problem {
    let detail = "Its files were removed: their time was up, or users were erased. Deliver it again.";
    Problem::new(Kind::NotFound, "download_removed", detail)
}

/// Removes the downloads that may have users who were erased since they were made.
pub async fn clear(cohorts: &Cohorts, app: &str, now: DateTime<Utc>) -> Result<u64, Error> {
    let rows = store::downloads_before(&cohorts.db, app, erasure(cohorts, app).await?).await?;
    for row in &rows {
        remove(cohorts, row, now).await?;
    }
    Ok(rows.len() as u64)
}

/// Removes those whose time is up, and those that an erasure has missed because they were being made.
pub async fn sweep(cohorts: &Cohorts, now: DateTime<Utc>) -> Result<(), Error> {
    for row in store::old_downloads(&cohorts.db, now - cohorts.kept).await? {
        remove(cohorts, &row, now).await?;
    }
    for app in store::apps_with_downloads(&cohorts.db).await? {
        clear(cohorts, &app, now).await?;
    }
    Ok(())
}

async fn remove(cohorts: &Cohorts, row: &DeliveryRow, now: DateTime<Utc>) -> Result<(), Error> {
    let at = &find(&cohorts.destinations, &row.app_id, DOWNLOAD)?.at;
    let (files, folder) = of_download(at, row)?;
    if let At::Folder { path } = at {
        // With what an attempt that was killed has left unfinished, which is no file to a store of objects.
        match std::fs::remove_dir_all(path.join(folder.as_ref())) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(Error::Inside(error.to_string()));
            }
            _ => {}
        }
    } else {
        let failed = |error: object_store::Error| Error::Inside(error.to_string());
        let there: Vec<_> = files.list(Some(&folder)).try_collect().await.map_err(failed)?;
        for file in there {
            files.delete(&file.location).await.map_err(failed)?;
        }
    }
    store::put_removed(&cohorts.db, &row.app_id, &row.id, now).await
}
