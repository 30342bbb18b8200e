//! The job that counts the groups of an app's experiments anew once users were erased.

use async_trait::async_trait;
use muster_jobs::{Failure, Handler, Run};
use serde_json::Value;

use crate::Cohorts;
use crate::operations::clear;

/// It needs no payload: the job names the app, and who is erased is in its data.
pub const CLEAR: &str = "clear_experiments";

pub struct ClearHandler {
    pub cohorts: Cohorts,
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
        let app = run.app()?;
        let cleared = clear(&self.cohorts, app).await?;
        serde_json::to_value(cleared).map_err(Failure::internal)
    }
}
