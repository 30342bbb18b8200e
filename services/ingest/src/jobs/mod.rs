//! The jobs of this service.

mod import;

pub use import::{IMPORT, ImportHandler, ImportPayload, format_name};
