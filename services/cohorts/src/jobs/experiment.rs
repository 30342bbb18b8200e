//! The job that starts an experiment, checks it beforehand, or makes its groups anew.

use async_trait::async_trait;
use chrono::Utc;
use muster_jobs::{Failure, Handler, Run};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Cohorts;
use crate::operations::{self, Search};

pub const EXPERIMENT: &str = "experiment";

/// Stored in the job's row: extend it, and keep reading old ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Payload {
    pub experiment_id: String,
    pub step: Step,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    Start,
    Follow,
    Check(Search),
}

pub struct ExperimentHandler {
    pub cohorts: Cohorts,
}

#[async_trait]
impl Handler for ExperimentHandler {
    fn kind(&self) -> &'static str {
        EXPERIMENT
    }

    fn concurrency(&self) -> usize {
        1
    }

    async fn run(&self, run: &Run) -> Result<Value, Failure> {
        let Payload { experiment_id: id, step } = run.payload()?;
        let app = run.app()?;
        match step {
            Step::Start => operations::start(&self.cohorts, app, &id, run, Utc::now()).await,
            Step::Follow => operations::refresh(&self.cohorts, app, &id, run, Utc::now()).await,
            Step::Check(search) => operations::check(&self.cohorts, app, &id, search, run, Utc::now()).await,
        }
    }
}
