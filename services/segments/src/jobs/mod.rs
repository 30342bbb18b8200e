//! The jobs of this service.

mod routine;
mod run_segment;

pub use routine::{ROUTINE, RoutineHandler};
pub use run_segment::{RUN_SEGMENT, RunHandler, RunPayload};
