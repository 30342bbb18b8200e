//! The jobs of this service.

mod run_segment;

pub use run_segment::{RUN_SEGMENT, RunHandler, RunPayload};
