//! Tracking: what becomes of followed cohorts, day by day, beside the whole app. A job works the days out as data and
//! cohorts come; a series is a look-up.

mod answers;
mod compute;
mod look;
mod operations;
pub mod routes;
mod shown;
mod store;

pub use compute::{TRACKING, TrackingHandler};
pub use look::look;
pub use operations::{claim, followed};
