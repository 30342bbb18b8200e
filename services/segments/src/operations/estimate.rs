//! Counts a rule live: exactly, or as well as it is asked for.

use std::time::{Duration, Instant};

use muster_evaluator::{Bound, Control, EvaluationError, Sampled, Sampling};
use muster_rules::Rule;
use xxhash_rust::xxh3::xxh3_64;

use super::prepare::{Asked, Prepared};
use crate::Segments;
use crate::answers::Estimate;
use crate::error::Error;
use crate::instruments;

/// How good an answer has to be, and how long it may take; exact without either.
#[derive(Clone, Copy, Debug, Default)]
pub struct Contract {
    /// Relative error of the count, with 95 % confidence.
    pub within: Option<f64>,
    /// From when the request began.
    pub budget: Option<Duration>,
}

/// Works on the calling thread and the evaluator's; `stopped` ends it early. The time told is that since
/// `began`.
pub fn estimate(
    segments: &Segments,
    app: &str,
    asked: &Asked,
    contract: Contract,
    began: Instant,
    stopped: &(dyn Fn() -> bool + Sync),
) -> Result<Estimate, Error> {
    let prepared = Prepared::open(segments, app, asked, "")?;
    let span = tracing::info_span!("evaluate", conditions = prepared.bound.plan().leaves.len());
    let sampling = contract.sampling(&asked.rule, began);
    let control = Control { stopped, progress: &|_| {} };
    let counted = span.in_scope(|| count(&prepared.bound, sampling.as_ref(), &control))?;
    let leaves = &prepared.bound.plan().leaves;
    let took = began.elapsed();
    instruments::estimated(took, leaves.len());
    if sampling.is_some() {
        instruments::might_sample(counted.interval.is_none());
    }
    let floor = prepared.floor();
    let universe = counted.counts.universe;
    let count = floor.shown(counted.counts.count, universe);
    let everybody = prepared.bound.snapshot().directory().users();
    let universe_count = floor.shown(universe, everybody);
    let shown = counted.counts.leaves.into_iter().map(|users| floor.shown(users, universe));
    Ok(Estimate {
        count,
        universe_count,
        privacy_floor: floor.named(),
        as_of: prepared.as_of(),
        exact: counted.interval.is_none(),
        interval: counted.interval.filter(|_| count.is_some()),
        universe_interval: counted.universe_interval.filter(|_| universe_count.is_some()),
        evaluated: sampling.map(|_| counted.evaluated),
        leaves: leaves.iter().map(|leaf| leaf.pointer.clone()).zip(shown).collect(),
        freshness: serde_json::to_value(&prepared.freshness)?,
        warnings: serde_json::to_value(&prepared.warnings)?,
        took_ms: super::millis(began),
    })
}

fn count(
    bound: &Bound,
    sampling: Option<&Sampling>,
    control: &Control<'_>,
) -> Result<Sampled, EvaluationError> {
    match sampling {
        Some(sampling) => bound.sampled(sampling, control),
        None => bound.counts(control).map(Sampled::exact),
    }
}

impl Contract {
    /// Two askings of one rule take the same buckets, whatever it counts.
    fn sampling(self, rule: &Rule, began: Instant) -> Option<Sampling> {
        if self.within.is_none() && self.budget.is_none() {
            return None;
        }
        let until = self.budget.map(|budget| began + budget);
        Some(Sampling { within: self.within, until, seed: xxh3_64(rule.to_json().as_bytes()) })
    }
}
