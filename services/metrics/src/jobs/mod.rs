//! The jobs of this service.

mod compute;

pub use compute::{METRICS, MetricsHandler};
