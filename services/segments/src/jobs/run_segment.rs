//! The job that makes a cohort of a segment version.

use async_trait::async_trait;
use chrono::Utc;
use muster_days::Ds;
use muster_evaluator::Control;
use muster_jobs::{Failure, Handler, Run};
use muster_rules::cost;
use muster_sql::is_unique_violation;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tracing::Span;

use crate::Segments;
use crate::answers::Cohort;
use crate::error::Error;
use crate::operations::{Asked, CohortOrder, make_cohort, parse};
use crate::store;
use crate::turns::Turn;

pub const RUN_SEGMENT: &str = "segment";

/// Stored in the job's row: extend it, and keep reading old ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunPayload {
    pub segment_id: String,
    pub version: u32,
    /// Overrides the rule's own day.
    #[serde(default)]
    pub as_of: Option<Ds>,
}

pub struct RunHandler {
    pub segments: Segments,
}

#[async_trait]
impl Handler for RunHandler {
    fn kind(&self) -> &'static str {
        RUN_SEGMENT
    }

    fn concurrency(&self) -> usize {
        self.segments.concurrency
    }

    async fn run(&self, run: &Run) -> Result<Value, Failure> {
        let payload: RunPayload = run.payload()?;
        let app = run.app()?.to_owned();
        // An attempt that died after its cohort was made: the job is done.
        if let Some(made) = store::cohort_of_job(&self.segments.db, &app, &run.job.id).await? {
            return Ok(result(&made));
        }
        let rule = store::version(&self.segments.db, &app, &payload.segment_id, payload.version).await?;
        let rule = rule.ok_or(Error::NotFound("such segment version"))?;
        let mut rule = parse(&self.segments, rule.as_bytes(), "")?;
        rule.as_of = payload.as_of.or(rule.as_of);
        let turn = tokio::select! {
            turn = self.segments.turns.take_patiently(&app, cost(&rule)) => turn,
            () = run.until_stopped() => return Err(Failure::stopped()),
        };
        let asked = Asked::of(&self.segments, &app, rule).await?;
        let (segment, version, job) = (payload.segment_id, payload.version, run.job.id.clone());
        make(&self.segments, run, turn, CohortOrder { app, segment, version, asked, job }).await
    }
}

async fn make(segments: &Segments, run: &Run, turn: Turn, order: CohortOrder) -> Result<Value, Failure> {
    let app = order.app.clone();
    let (worker, watched, span) = (segments.clone(), run.clone(), Span::current());
    let computed = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let control = Control { stopped: &|| watched.stopped(), progress: &|share| watched.progress(share) };
        span.in_scope(|| make_cohort(&worker, &order, &control, Utc::now()))
    });
    let new = computed.await.map_err(Failure::internal)??;
    if !run.still_mine().await.map_err(Failure::internal)? {
        // Cancelled, or taken over by another worker, which may be writing the same file: it is left.
        return Err(Failure::stopped());
    }
    match store::insert_cohort(&segments.db, &new).await {
        Err(Error::Sql(error)) if is_unique_violation(&error) => {}
        result => result?,
    }
    let made = store::cohort_of_job(&segments.db, &app, &run.job.id).await?;
    Ok(result(&made.ok_or_else(|| Failure::internal("the cohort just made is gone"))?))
}

fn result(cohort: &Cohort) -> Value {
    json!({
        "cohort_id": cohort.id,
        "size": cohort.size,
        "ds": cohort.ds,
        "hash": cohort.hash,
        "segment_id": cohort.segment_id,
        "segment_version": cohort.segment_version,
    })
}
