//! How fast rows become parts of the store.

pub mod direct;
pub mod files;
pub mod process;
