//! What the load tests share: apps to ask, steady streams of requests, and percentiles; and damage to store
//! files.

pub mod apps;
pub mod builds;
pub mod damage;
pub mod engine;
pub mod insights;
pub mod stream;
pub mod tiers;
pub mod times;
