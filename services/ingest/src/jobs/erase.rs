//! The job that takes users out of everything an app has of them.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use chrono::Utc;
use muster_jobs::{Failure, Filter, Handler, Jobs, NewJob, Priority, Run, State};
use muster_profile_store::{Erased, Store, StoreError};
use muster_sql::Db;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{IMPORT, TAKE_IN};
use crate::aside;
use crate::settings::Settings;
use crate::store;

pub const ERASE: &str = "erasure";

/// Other jobs are looked at so often while they are waited for.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// Imports of one look.
const IMPORTS: u32 = 500;

/// Stored in the job's row: extend it, and keep reading old ones. The ids are none of it, for the row stays.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErasePayload {
    pub erasure_id: String,
}

pub struct EraseHandler {
    pub store: Arc<Store>,
    pub db: Db,
    pub jobs: Jobs,
    pub settings: Settings,
}

#[async_trait]
impl Handler for EraseHandler {
    fn kind(&self) -> &'static str {
        ERASE
    }

    fn concurrency(&self) -> usize {
        1
    }

    /// Killed anywhere and done again it erases who is left; the ids stay until everything is done.
    async fn run(&self, run: &Run) -> Result<Value, Failure> {
        let ErasePayload { erasure_id: id } = run.payload()?;
        let app = run.app()?.to_owned();
        if let Some(ids) = store::ids(&self.db, &app, &id).await.map_err(Failure::internal)? {
            let ids: Vec<String> = serde_json::from_str(&ids).map_err(Failure::internal)?;
            self.imports_before(run).await?;
            self.erase(run, (&app, &id), ids).await?;
            run.progress(0.7);
            for &kind in &self.settings.erase_elsewhere {
                self.elsewhere(run, &app, kind).await?;
            }
            if aside::waits(&self.settings, &app).map_err(Failure::internal)? {
                let detail = "files of the disabled app are kept aside that may name the users: they are erased \
                              again until these are taken in, or dropped";
                return Err(Failure::new("files_aside", detail));
            }
            store::finish(&self.db, (&app, &id), Utc::now().timestamp_millis())
                .await
                .map_err(Failure::internal)?;
        }
        let row = store::erasure(&self.db, &app, &id).await.map_err(Failure::internal)?;
        let row = row.ok_or_else(|| Failure::new("bad_payload", "there is no such erasure"))?;
        Ok(json!({
            "erasure_id": id, "asked": row.asked, "known": row.known,
            "label_days": row.label_days, "event_days": row.event_days,
        }))
    }
}

impl EraseHandler {
    /// Waits for the imports that were accepted before: they could bring the users back.
    async fn imports_before(&self, run: &Run) -> Result<(), Failure> {
        while let Some(import) = self.import_before(run).await? {
            self.end_of(run, &import).await?;
        }
        Ok(())
    }

    /// One of those that are not done.
    async fn import_before(&self, run: &Run) -> Result<Option<String>, Failure> {
        for kind in [IMPORT, TAKE_IN] {
            // One that is tried again goes from running to queued, and later back.
            for state in [State::Running, State::Queued, State::Running] {
                let filter = Filter { kind: Some(kind.to_owned()), state: Some(state), ..Filter::default() };
                let mut cursor = None;
                loop {
                    let page = self.jobs.list(&filter, cursor.as_deref(), IMPORTS).await;
                    let page = page.map_err(Failure::internal)?;
                    let before = page.items.into_iter().find(|it| it.created_at <= run.job.created_at);
                    if let Some(import) = before {
                        return Ok(Some(import.id));
                    }
                    if page.next.is_none() {
                        break;
                    }
                    cursor = page.next;
                }
            }
        }
        Ok(None)
    }

    /// How the job ended; None when it is no longer known.
    async fn end_of(&self, run: &Run, job: &str) -> Result<Option<State>, Failure> {
        loop {
            let state = self.jobs.get(job).await.map_err(Failure::internal)?.map(|job| job.state);
            if state.is_none_or(State::is_final) {
                return Ok(state);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                () = run.until_stopped() => return Err(Failure::stopped()),
            }
        }
    }

    async fn erase(&self, run: &Run, (app, id): (&str, &str), ids: Vec<String>) -> Result<(), Failure> {
        let (store, db, watched) = (self.store.clone(), self.db.clone(), run.clone());
        let (app, id, runtime) = (app.to_owned(), id.to_owned(), tokio::runtime::Handle::current());
        let erased = tokio::task::spawn_blocking(move || -> Result<bool, Failure> {
            // An app without data would get a manifest by being asked.
            if store.users(&app).map_err(of_store)?.is_none() {
                runtime
                    .block_on(store::put_found(&db, (&app, &id), Erased::default()))
                    .map_err(Failure::internal)?;
                return Ok(true);
            }
            let mut publication = store.publish(&app).map_err(of_store)?;
            let found = publication.erase(&ids).map_err(of_store)?;
            if !runtime.block_on(watched.still_mine()).unwrap_or(false) {
                return Ok(false);
            }
            runtime.block_on(store::put_found(&db, (&app, &id), found)).map_err(Failure::internal)?;
            if found.users > 0 {
                publication.commit(Utc::now().timestamp_millis()).map_err(of_store)?;
            }
            store.refresh(&app).map_err(of_store)?;
            Ok(true)
        });
        if erased.await.map_err(Failure::internal)?? { Ok(()) } else { Err(Failure::stopped()) }
    }

    /// Has what rests on the data be cleared, and waits for it.
    async fn elsewhere(&self, run: &Run, app: &str, kind: &'static str) -> Result<(), Failure> {
        let job = NewJob::of_app(app, &run.job.owner, kind, Priority::Interactive);
        let job = self.jobs.enqueue_unless_waiting(job).await.map_err(Failure::internal)?;
        match self.end_of(run, &job.id).await? {
            Some(State::Done) => Ok(()),
            _ => {
                Err(Failure::passing("not_cleared", format!("the job {} of kind {kind} is not done", job.id)))
            }
        }
    }
}

fn of_store(error: StoreError) -> Failure {
    match error {
        // Another publication was quicker.
        StoreError::Conflict { .. } => Failure::passing("overtaken", "another publication was quicker"),
        StoreError::Damaged { .. } | StoreError::Newer { .. } => {
            tracing::error!(%error, "nobody is erased while a file can't be read");
            let detail = "A file of the app can't be read; the server's log names it. Import its day again.";
            Failure::passing("damaged_file", detail)
        }
        error => Failure::internal(error),
    }
}
