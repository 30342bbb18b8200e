//! The jobs of this service.

mod erase;
mod follow_up;
mod import;
mod lifecycle;
mod take_in;

pub use erase::{ERASE, EraseHandler, ErasePayload};
pub use import::{IMPORT, ImportHandler, ImportPayload, format_name};
pub use lifecycle::{LIFECYCLE, LifecycleHandler};
pub use take_in::{TAKE_IN, TakeInHandler};
