//! What the jobs show to Prometheus.

use metrics::{counter, gauge};

use crate::State;

/// A job has reached its final state.
pub(crate) fn finished(kind: &str, state: State) {
    counter!("muster_jobs_finished_total", "kind" => kind.to_owned(), "state" => state.name()).increment(1);
}

/// An attempt failed, and the job will be tried again.
pub(crate) fn retried(kind: &str) {
    counter!("muster_jobs_retried_total", "kind" => kind.to_owned()).increment(1);
}

/// Connections to the database, in this process.
pub(crate) fn database(open: u32, idle: usize) {
    gauge!("muster_database_connections", "state" => "busy").set(f64::from(open) - idle as f64);
    gauge!("muster_database_connections", "state" => "idle").set(idle as f64);
}

/// Tickets that wait in a line of the queue.
pub(crate) fn tickets(line: &str, waiting: usize) {
    gauge!("muster_queue_tickets", "line" => line.to_owned()).set(waiting as f64);
}

/// How long a job waited from being accepted to being started for the first time.
pub(crate) fn started(kind: &str, waited_seconds: f64) {
    metrics::histogram!("muster_job_wait_seconds", "kind" => kind.to_owned()).record(waited_seconds);
}

/// How many jobs of a kind wait and run, in all processes.
pub(crate) fn load(kind: &str, queued: u64, running: u64) {
    gauge!("muster_jobs_queued", "kind" => kind.to_owned()).set(queued as f64);
    gauge!("muster_jobs_running", "kind" => kind.to_owned()).set(running as f64);
}
