//! What the gateway decides, apart from HTTP.

pub mod authenticate;
pub mod cost;
pub mod flow_control;
pub mod keys;
pub mod once;
pub mod openapi;
pub mod slots;
