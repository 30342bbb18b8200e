//! Counts a rule live.

use std::time::Instant;

use muster_evaluator::Control;

use super::prepare::{Prepared, parse};
use crate::Segments;
use crate::answers::Estimate;
use crate::error::Error;
use crate::instruments;

/// Works on the calling thread and the evaluator's; `stopped` ends it early.
pub fn estimate(
    segments: &Segments,
    app: &str,
    text: &[u8],
    stopped: &(dyn Fn() -> bool + Sync),
) -> Result<Estimate, Error> {
    let began = Instant::now();
    let rule = parse(segments, text, "")?;
    let prepared = Prepared::open(segments, app, &rule, "")?;
    let counts = prepared.bound.counts(&Control { stopped, progress: &|_| {} })?;
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
