//! The gateway's tables and what it keeps in Redis, one file each. All SQL of the gateway is here.

pub mod audit;
pub mod gateways;
pub mod idempotency;
pub mod keys;
pub mod quotas;
pub mod usage;
