//! The evaluator beside ClickHouse, on one generated set.

pub mod bandwidth;
pub mod load;
pub mod peer;
pub mod rules;
pub mod set;
