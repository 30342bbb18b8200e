//! Takes in the files that were kept aside while an app was disabled.

use std::fs;
use std::sync::Arc;

use async_trait::async_trait;
use muster_jobs::{Failure, Handler, Jobs, Run};
use muster_profile_store::{Store, StoreError};
use serde_json::{Value, json};

use super::import::Import;
use crate::aside::{self, gone};
use crate::folder::ImportFolder;
use crate::settings::Settings;

/// It needs no payload: the job names the app. Of an app that nothing is built for still it does nothing.
pub const TAKE_IN: &str = "take_in";

pub struct TakeInHandler {
    pub store: Arc<Store>,
    pub jobs: Jobs,
    pub settings: Settings,
}

#[async_trait]
impl Handler for TakeInHandler {
    fn kind(&self) -> &'static str {
        TAKE_IN
    }

    fn concurrency(&self) -> usize {
        1
    }

    async fn run(&self, run: &Run) -> Result<Value, Failure> {
        let app = run.job.app_id.clone();
        let app = app.ok_or_else(|| Failure::new("bad_payload", "the job names no app"))?;
        let folder = ImportFolder::of(&self.settings.folder, &run.job.id)
            .ok_or_else(|| Failure::new("bad_payload", "the job's id names no folder"))?;
        let work = TakeIn {
            store: self.store.clone(),
            jobs: self.jobs.clone(),
            settings: self.settings.clone(),
            run: run.clone(),
            folder: folder.clone(),
        };
        let done = tokio::task::spawn_blocking(move || work.work(&app)).await.map_err(Failure::internal)?;
        if !matches!(&done, Err(failure) if failure.retry) {
            folder.remove();
        }
        done
    }
}

struct TakeIn {
    store: Arc<Store>,
    jobs: Jobs,
    settings: Settings,
    run: Run,
    folder: ImportFolder,
}

impl TakeIn {
    fn work(&self, app: &str) -> Result<Value, Failure> {
        let own = self.store.catalogue(app).map_err(Failure::internal)?.settings;
        let (mut files, mut rows) = (0, 0);
        let bytes_before = self.bytes(app)?;
        if self.settings.builds(&own) {
            (files, rows) = self.take_all(app)?;
        }
        let bytes_after = self.bytes(app)?;
        Ok(json!({
            "files": files, "rows_published": rows, "bytes_before": bytes_before, "bytes_after": bytes_after,
        }))
    }

    /// File by file, as they came, and how many files and rows; each file is forgotten once it is published,
    /// so that whoever goes on after a death does one again at most.
    fn take_all(&self, app: &str) -> Result<(u64, u64), Failure> {
        let (mut files, mut rows) = (0, 0);
        for aside in aside::of(&self.settings, app).map_err(Failure::internal)? {
            let Some(result) = self.import(app, &aside)? else { continue };
            let still_aside = result["apps_set_aside"].as_array();
            if still_aside.is_some_and(|apps| apps.iter().any(|other| other == app)) {
                // Disabled meanwhile: this file and those behind it wait until it is enabled again.
                break;
            }
            aside.done().map_err(Failure::internal)?;
            files += 1;
            rows += result["rows_published"].as_u64().unwrap_or_default();
        }
        Ok((files, rows))
    }

    /// None for a file that was kept too long and is gone since it was listed.
    fn import(&self, app: &str, aside: &aside::Aside) -> Result<Option<Value>, Failure> {
        self.folder.create().map_err(Failure::internal)?;
        let body = self.folder.body();
        gone(fs::remove_file(&body)).map_err(Failure::internal)?;
        if gone(fs::hard_link(&aside.body, &body)).map_err(Failure::internal)?.is_none() {
            return Ok(None);
        }
        let import = Import {
            store: self.store.clone(),
            jobs: self.jobs.clone(),
            settings: self.settings.clone(),
            folder: self.folder.clone(),
            payload: aside.payload.clone(),
            run: self.run.clone(),
            only: Some(app.to_owned()),
        };
        import.run().map(Some)
    }

    /// Bytes of the files that the app's published data consist of.
    fn bytes(&self, app: &str) -> Result<u64, Failure> {
        let bytes = || -> Result<u64, StoreError> {
            match self.store.users(app)? {
                Some(_) => self.store.publish(app)?.bytes(),
                None => Ok(0),
            }
        };
        bytes().map_err(Failure::internal)
    }
}

#[cfg(test)]
mod tests;
