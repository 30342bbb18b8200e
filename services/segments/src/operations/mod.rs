//! What the service decides, apart from HTTP. One file per operation.

mod estimate;
mod explain;
mod export;
mod floor;
mod keep;
mod make_cohort;
mod prepare;
pub mod routine;
mod served;
mod verify;

pub use estimate::{Contract, estimate};
pub use explain::membership;
pub use export::{Format, export};
pub use floor::floor;
pub use keep::{SegmentChange, change, create, get, shown};
pub use make_cohort::{CohortOrder, make_cohort};
pub use prepare::Asked;
pub use served::require_served;
pub use verify::verify;
