//! The process's Prometheus recorder: metrics written with the `metrics` macros end up here.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics_exporter_prometheus::{BuildError, Matcher, PrometheusBuilder, PrometheusHandle};

/// Bounds of every histogram whose name ends in `_seconds`: from an estimate to an import.
const SECONDS: [f64; 16] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0, 60.0, 600.0, 3600.0];

const UPKEEP_EVERY: Duration = Duration::from_secs(5);

/// A process has one recorder, because the `metrics` macros write to a process-wide one.
static RECORDER: Mutex<Option<Recorder>> = Mutex::new(None);

#[derive(Debug, thiserror::Error)]
#[error("metrics can't be recorded: {0}")]
pub struct RecorderError(#[from] BuildError);

/// Reads what has been recorded. Clones see the same metrics.
#[derive(Clone)]
pub struct Recorder(PrometheusHandle);

impl Recorder {
    /// All metrics in Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.render()
    }
}

/// The process's recorder, installed at the first call.
pub fn recorder() -> Result<Recorder, RecorderError> {
    let mut installed = RECORDER.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(recorder) = &*installed {
        return Ok(recorder.clone());
    }
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".into()), &SECONDS)?
        .install_recorder()?;
    Ok(installed.insert(Recorder(handle)).clone())
}

/// Folds recorded samples together every few seconds; without it histograms grow until they are read.
/// Runs until dropped.
pub async fn upkeep(recorder: Recorder) {
    let mut tick = tokio::time::interval(UPKEEP_EVERY);
    loop {
        tick.tick().await;
        recorder.0.run_upkeep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_recorder_however_often_it_is_asked_for() {
        let threads: Vec<_> = (0..4).map(|_| std::thread::spawn(recorder)).collect();
        let recorders: Vec<_> = threads.into_iter().map(|t| t.join().unwrap().unwrap()).collect();
        metrics::counter!("muster_test_total").increment(2);
        metrics::histogram!("muster_test_seconds").record(0.02);
        for recorder in recorders {
            let text = recorder.render();
            assert!(text.contains("muster_test_total 2"), "{text}");
            assert!(text.contains("muster_test_seconds_bucket{le=\"0.025\"} 1"), "{text}");
        }
    }
}
