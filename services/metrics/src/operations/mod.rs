//! What the service does, without HTTP.

mod compare;
mod completeness;
mod crowds;
mod dimensions;
mod distribution;
mod events;
mod names;
mod pass;
mod plan;
mod precompute;
mod trend;

pub use compare::compare;
pub use crowds::{crowd_trend, crowds};
pub use dimensions::dimension;
pub use distribution::{Order, distribution};
pub use events::{event_trend, events};
pub use names::{Asked, snapshot};
pub use precompute::precompute;
pub use trend::trend;
