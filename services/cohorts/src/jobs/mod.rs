//! The jobs of this service.

mod clear;
mod experiment;

pub use clear::{CLEAR, ClearHandler};
pub use experiment::{EXPERIMENT, ExperimentHandler, Payload, Step};
