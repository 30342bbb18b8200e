//! The jobs of this service.

mod clear;
mod routine;
mod run_segment;

pub use clear::{CLEAR, ClearHandler};
pub use routine::{ROUTINE, RoutineHandler};
pub use run_segment::{RUN_SEGMENT, RunHandler, RunPayload};
