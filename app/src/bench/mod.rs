//! Measures the whole way, client to disk and back, on the synthetic shop.

pub mod estimates;
pub mod report;
pub mod rules;
