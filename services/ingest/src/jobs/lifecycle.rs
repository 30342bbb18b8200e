//! The lifecycle job: drops the days of an app that are past their retention.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;
use muster_days::Ds;
use muster_jobs::{Failure, Handler, Jobs, Run};
use muster_profile_store::Store;
use serde_json::Value;

use super::follow_up::follow_up;
use crate::operations::{Keep, Watch, expire};
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
        let app = run.app()?.to_owned();
        let now = Utc::now();
        let (store, name, watched) = (self.store.clone(), app.clone(), run.clone());
        let (settings, runtime) = (self.settings.clone(), tokio::runtime::Handle::current());
        let dropped = tokio::task::spawn_blocking(move || {
            let own = store.catalogue(&name).map_err(Failure::internal)?.settings;
            let today = Ds::of(now, settings.zone(&name, &own));
            let today = today.ok_or_else(|| Failure::internal("the clock is outside of the calendar"))?;
            let kept = |manifest: &_| settings.kept(&own, manifest, today);
            let keep = Keep { disabled: !settings.enabled(&own), of: &kept };
            let watch = Watch {
                // Asked of the job's row itself: a job that was just cancelled drops nothing.
                may_publish: &|| runtime.block_on(watched.still_mine()).unwrap_or(false),
                now_ms: now.timestamp_millis(),
            };
            expire(&store, &name, &keep, &watch).map_err(Failure::internal)
        });
        let dropped = dropped.await.map_err(Failure::internal)??;
        let Some(dropped) = dropped else { return Err(Failure::stopped()) };
        // Also where nothing was dropped: an earlier attempt may have died just here.
        follow_up(&self.jobs, &self.settings, run, &app).await?;
        serde_json::to_value(dropped).map_err(Failure::internal)
    }
}
