//! Counts a rule live.

use std::time::Instant;

use muster_evaluator::Control;
use muster_rules::Rule;

use super::prepare::Prepared;
use crate::Segments;
use crate::answers::Estimate;
use crate::error::Error;
use crate::instruments;

/// Works on the calling thread and the evaluator's; `stopped` ends it early. The time told is that since
/// `began`.
pub fn estimate(
    segments: &Segments,
    app: &str,
    rule: &Rule,
    began: Instant,
    stopped: &(dyn Fn() -> bool + Sync),
) -> Result<Estimate, Error> {
    let prepared = Prepared::open(segments, app, rule, "")?;
    let span = tracing::info_span!("evaluate", conditions = prepared.bound.plan().leaves.len());
    let counts = span.in_scope(|| prepared.bound.counts(&Control { stopped, progress: &|_| {} }))?;
    let leaves = &prepared.bound.plan().leaves;
    let took = began.elapsed();
    instruments::estimated(took, leaves.len());
    Ok(Estimate {
        count: counts.count,
        universe_count: counts.universe,
        as_of: prepared.as_of(),
        exact: true,
        leaves: leaves.iter().map(|leaf| leaf.pointer.clone()).zip(counts.leaves).collect(),
        freshness: serde_json::to_value(&prepared.freshness)?,
        warnings: serde_json::to_value(&prepared.warnings)?,
        took_ms: (took.as_secs_f64() * 1e6).round() / 1e3,
    })
}
