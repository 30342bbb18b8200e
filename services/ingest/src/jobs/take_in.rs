//! Takes in the files that were kept aside while an app was disabled.

use std::fs::{self, File};
use std::sync::Arc;
use std::time::Duration;

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

/// How often a job looks whether another one of the same app is done.
const LOOK_EVERY: Duration = Duration::from_millis(100);

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
        let app = run.app()?.to_owned();
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

/// What became of the files that were kept.
#[derive(Default)]
struct Taken {
    files: u64,
    rows: u64,
    /// Why the first of those that can't be taken in can't be.
    refused: Option<Failure>,
}

impl TakeIn {
    fn work(&self, app: &str) -> Result<Value, Failure> {
        let own = self.store.catalogue(app).map_err(Failure::internal)?.settings;
        let mut taken = Taken::default();
        let bytes_before = self.bytes(app)?;
        if self.settings.builds(&own) {
            taken = self.take_all(app)?;
        }
        let bytes_after = self.bytes(app)?;
        let result = json!({
            "files": taken.files,
            "rows_published": taken.rows,
            "bytes_before": bytes_before,
            "bytes_after": bytes_after,
        });
        match taken.refused {
            Some(failure) => Err(failure.with_result(result)),
            None => Ok(result),
        }
    }

    /// File by file, as they came; each is forgotten once it is published, so that whoever goes on after a
    /// death does one again at most. What comes meanwhile is another job's.
    fn take_all(&self, app: &str) -> Result<Taken, Failure> {
        let mut taken = Taken::default();
        if !aside::waits(&self.settings, app).map_err(Failure::internal)? {
            return Ok(taken);
        }
        let _lock = self.lock(app)?;
        for aside in aside::of(&self.settings, app).map_err(Failure::internal)? {
            let result = match self.import(app, &aside) {
                Ok(Some(result)) => result,
                Ok(None) => continue,
                // It would be so for ever, and the files behind it would wait as long.
                Err(failure) if !failure.retry => {
                    let detail = format!("{}: {}", aside.payload.file, failure.detail);
                    taken.refused.get_or_insert(Failure { detail, ..failure });
                    aside.done().map_err(Failure::internal)?;
                    continue;
                }
                Err(failure) => return Err(failure),
            };
            let still_aside = result["apps_set_aside"].as_array();
            if still_aside.is_some_and(|apps| apps.iter().any(|other| other == app)) {
                // Disabled meanwhile: this file and those behind it wait until it is enabled again.
                break;
            }
            aside.done().map_err(Failure::internal)?;
            taken.files += 1;
            taken.rows += result["rows_published"].as_u64().unwrap_or_default();
        }
        Ok(taken)
    }

    /// Waits for another job that takes in files of the app.
    fn lock(&self, app: &str) -> Result<File, Failure> {
        loop {
            if let Some(lock) = aside::lock(&self.settings, app).map_err(Failure::internal)? {
                return Ok(lock);
            }
            if self.run.stopped() {
                return Err(Failure::stopped());
            }
            std::thread::sleep(LOOK_EVERY);
        }
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
            began: aside.began.unwrap_or(self.run.job.created_at),
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
