//! The job that clears an app's cohorts of users that were erased.

use async_trait::async_trait;
use muster_jobs::{Failure, Handler, Run};
use serde_json::Value;

use crate::Segments;
use crate::operations::clear;

/// It needs no payload: the job names the app, and who is erased is in its data.
pub const CLEAR: &str = "clear_cohorts";

pub struct ClearHandler {
    pub segments: Segments,
}

#[async_trait]
impl Handler for ClearHandler {
    fn kind(&self) -> &'static str {
        CLEAR
    }

    fn concurrency(&self) -> usize {
        1
    }

    async fn run(&self, run: &Run) -> Result<Value, Failure> {
        let app = run.app()?.to_owned();
        let cleared = clear(&self.segments, &app, || run.stopped()).await?;
        serde_json::to_value(cleared).map_err(Failure::internal)
    }
}
