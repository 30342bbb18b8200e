//! What is to be done for an app once its published data have changed.

use muster_jobs::{Failure, Jobs, NewJob, Priority, Run};

use crate::settings::Settings;

/// Has it done, unless it waits to be done already. A job that dies before this is done again, with this.
pub async fn follow_up(jobs: &Jobs, settings: &Settings, run: &Run, app: &str) -> Result<(), Failure> {
    for &kind in &settings.follow_up {
        let job = NewJob::of_app(app, &run.job.owner, kind, Priority::Routine);
        jobs.enqueue_unless_waiting(job).await.map_err(Failure::internal)?;
    }
    Ok(())
}
