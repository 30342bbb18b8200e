//! The job that makes the due days of an app's daily segments.

use async_trait::async_trait;
use chrono::Utc;
use muster_jobs::{Failure, Handler, Run};
use serde_json::Value;

use crate::Segments;
use crate::operations::routine;

/// It needs no payload: the job names the app, and what is due is found in the data.
pub const ROUTINE: &str = "routine";

pub struct RoutineHandler {
    pub segments: Segments,
}

#[async_trait]
impl Handler for RoutineHandler {
    fn kind(&self) -> &'static str {
        ROUTINE
    }

    fn concurrency(&self) -> usize {
        1
    }

    async fn run(&self, run: &Run) -> Result<Value, Failure> {
        let app = run.app()?.to_owned();
        let done = routine::run(&self.segments, &app, run, Utc::now()).await?;
        serde_json::to_value(done).map_err(Failure::internal)
    }
}
