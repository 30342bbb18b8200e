//! What is to be done for an app once its published data have changed.

use muster_jobs::{Failure, Jobs, NewJob, Priority, Run};
use serde_json::json;

use crate::settings::Settings;

/// Has it done, unless it waits to be done already. A job that dies before this is done again, with this.
pub async fn follow_up(jobs: &Jobs, settings: &Settings, run: &Run, app: &str) -> Result<(), Failure> {
    for &kind in &settings.follow_up {
        let job = NewJob {
            id: None,
            app_id: Some(app.to_owned()),
            owner: run.job.owner.clone(),
            kind,
            payload: json!({}),
            priority: Priority::Routine,
        };
        jobs.enqueue_unless_waiting(job).await.map_err(Failure::internal)?;
    }
    Ok(())
}
