//! What a process tells about itself: log lines on standard error and Prometheus metrics.
//!
//! Logs and metrics name apps, routes and jobs, never a user id.

mod logs;
mod recorder;

pub use logs::{LogFormat, LogSettings, LogsError, init_logs};
pub use recorder::{Recorder, RecorderError, recorder, upkeep};
