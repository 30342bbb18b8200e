//! What the gateway decides, apart from HTTP.

pub mod authenticate;
pub mod cost;
pub mod flow_control;
pub mod keys;
pub mod meters;
pub mod once;
pub mod openapi;
pub mod sizes;
pub mod slots;
pub mod usage;
