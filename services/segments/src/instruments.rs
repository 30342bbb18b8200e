//! What the service measures for `/metrics`.

use std::time::Duration;

pub fn estimated(took: Duration, conditions: usize) {
    metrics::histogram!("muster_estimate_seconds").record(took.as_secs_f64());
    metrics::counter!("muster_estimate_conditions_total").increment(conditions as u64);
}

/// An estimate that might have been sampled: `exact` when every bucket was needed after all.
pub fn might_sample(exact: bool) {
    let result = if exact { "exact" } else { "sampled" };
    metrics::counter!("muster_estimates_sampled_total", "result" => result).increment(1);
}

/// A snapshot was opened and a rule bound to it.
pub fn opened(took: Duration) {
    metrics::histogram!("muster_store_open_seconds").record(took.as_secs_f64());
}

/// From asking for a turn to evaluate until having it.
pub fn waited(took: Duration) {
    metrics::histogram!("muster_evaluator_wait_seconds").record(took.as_secs_f64());
}

/// A request found too many others of its app waiting.
pub fn turned_away() {
    metrics::counter!("muster_evaluator_refused_total").increment(1);
}

pub fn cohort_made(took: Duration, size: u64) {
    metrics::histogram!("muster_cohort_seconds").record(took.as_secs_f64());
    metrics::counter!("muster_cohort_members_total").increment(size);
}

pub fn exported(users: u64) {
    metrics::counter!("muster_exported_users_total").increment(users);
}
