//! What the load tests share: apps to ask, a steady stream of estimates, and percentiles.

pub mod apps;
pub mod builds;
pub mod damage;
pub mod engine;
pub mod stream;
pub mod times;
