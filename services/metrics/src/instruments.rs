//! What the service measures for `/metrics`.

use std::time::Duration;

/// Crowds and labels of a day were counted in one pass over the users.
pub fn counted(took: Duration) {
    metrics::histogram!("muster_metrics_pass_seconds").record(took.as_secs_f64());
}

/// Labels of a day were written with so many cells.
pub fn written(took: Duration, cells: usize) {
    metrics::histogram!("muster_metrics_write_seconds").record(took.as_secs_f64());
    metrics::counter!("muster_metrics_cells_total").increment(cells as u64);
}
