//! What insights cost: counting the profile of a day, reading it, and writing it.

pub mod bare;
pub mod matrix;
pub mod reads;
pub mod sender;
pub mod writes;
