//! What a process tells about itself: log lines on standard error, Prometheus metrics, and traces for an
//! OpenTelemetry collector.
//!
//! Logs and metrics name apps, routes and jobs, never a user id.

mod logs;
mod recorder;
mod trace;

pub use logs::{LogFormat, LogSettings, LogsError, init};
pub use recorder::{Recorder, RecorderError, recorder, upkeep};
pub use trace::{TraceSettings, Traces, continue_trace, name, traced, traceparent};
