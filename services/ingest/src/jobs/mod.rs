//! The jobs of this service.

mod follow_up;
mod import;
mod lifecycle;

pub use import::{IMPORT, ImportHandler, ImportPayload, format_name};
pub use lifecycle::{LIFECYCLE, LifecycleHandler};
