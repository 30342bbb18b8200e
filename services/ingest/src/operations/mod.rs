//! What the service decides, apart from HTTP.

mod accept;
mod sweep;

pub use accept::{Upload, accept};
pub use sweep::sweep_folders;
