//! The lifecycle job: drops the days of an app that are past their retention.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use muster_days::Ds;
use muster_jobs::{Failure, Handler, Jobs, Run};
use muster_profile_store::{Kept, Store};
use serde_json::Value;

use super::follow_up::follow_up;
use crate::operations::{Watch, expire};
use crate::settings::Settings;

/// It needs no payload: the job names the app, and what is too old is told by the day on which it runs.
pub const LIFECYCLE: &str = "lifecycle";

pub struct LifecycleHandler {
    pub store: Arc<Store>,
    pub jobs: Jobs,
    pub settings: Settings,
}

#[async_trait]
impl Handler for LifecycleHandler {
    fn kind(&self) -> &'static str {
        LIFECYCLE
    }

    fn concurrency(&self) -> usize {
        1
    }

    async fn run(&self, run: &Run) -> Result<Value, Failure> {
        let app = run.job.app_id.clone();
        let app = app.ok_or_else(|| Failure::new("bad_payload", "the job names no app"))?;
        let now = Utc::now();
        let kept = self.kept(&app, now).await?;
        let (store, name, watched) = (self.store.clone(), app.clone(), run.clone());
        let runtime = tokio::runtime::Handle::current();
        let dropped = tokio::task::spawn_blocking(move || {
            let watch = Watch {
                // Asked of the job's row itself: a job that was just cancelled drops nothing.
                may_publish: &|| runtime.block_on(watched.still_mine()).unwrap_or(false),
                now_ms: now.timestamp_millis(),
            };
            expire(&store, &name, kept, &watch)
        });
        let dropped = dropped.await.map_err(Failure::internal)?.map_err(Failure::internal)?;
        let Some(dropped) = dropped else { return Err(Failure::stopped()) };
        // Also where nothing was dropped: an earlier attempt may have died just here.
        follow_up(&self.jobs, &self.settings, run, &app).await?;
        serde_json::to_value(dropped).map_err(Failure::internal)
    }
}

impl LifecycleHandler {
    /// Of an app that is disabled nothing is kept.
    async fn kept(&self, app: &str, now: DateTime<Utc>) -> Result<Kept, Failure> {
        let (store, name) = (self.store.clone(), app.to_owned());
        let own = tokio::task::spawn_blocking(move || store.catalogue(&name)).await;
        let own = own.map_err(Failure::internal)?.map_err(Failure::internal)?.settings;
        if !self.settings.enabled(&own) {
            return Ok(Kept { nothing: true, ..Kept::default() });
        }
        let today = Ds::of(now, self.settings.zone(app, &own));
        let today = today.ok_or_else(|| Failure::internal("the clock is outside of the calendar"))?;
        Ok(self.settings.retention(&own).on(today))
    }
}
