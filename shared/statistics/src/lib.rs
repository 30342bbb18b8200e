//! What exact counts say beyond themselves: how far a crowd differs from its app, how sure that is, and which of
//! many differences chance explains. Pure.

mod discovery;
mod tagged;

pub use discovery::{q_values, two_sided};
pub use tagged::{Interval, Tagged};
