//! The jobs of this service.

mod experiment;

pub use experiment::{EXPERIMENT, ExperimentHandler, Payload, Step};
