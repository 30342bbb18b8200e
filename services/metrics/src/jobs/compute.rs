//! The job that works out what is new in an app.

use async_trait::async_trait;
use muster_jobs::{Failure, Handler, Run};
use serde_json::Value;

use crate::Metrics;
use crate::operations::precompute;

/// It needs no payload: the job names the app, and what there is to do is found in the data.
pub const METRICS: &str = "metrics";

pub struct MetricsHandler {
    pub metrics: Metrics,
}

#[async_trait]
impl Handler for MetricsHandler {
    fn kind(&self) -> &'static str {
        METRICS
    }

    fn concurrency(&self) -> usize {
        self.metrics.settings.concurrency
    }

    async fn run(&self, run: &Run) -> Result<Value, Failure> {
        let app = run.app()?.to_owned();
        let done = precompute(&self.metrics, &app, run).await;
        // Whoever sees that the job is done sees what it did.
        self.metrics.answers.written(&app);
        let done = done?;
        serde_json::to_value(done).map_err(Failure::internal)
    }
}
