//! The gateway's tables, one file each. All SQL of the gateway is here.

pub mod audit;
pub mod idempotency;
pub mod keys;
