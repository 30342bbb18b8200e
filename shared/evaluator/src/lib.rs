//! Evaluates checked rules over a snapshot of the profile store: counts, members, and why a user is in
//! or not. The whole rule tree is walked block by block (65,536 users) in a small scratch, straight
//! from the mapped files.
//!
//! [`oracle`] is the slow, obviously right twin that tests compare with.

mod batch;
mod behaviour;
mod bound;
mod by_value;
mod catalogue;
mod confidence;
mod dimensions;
mod earlier;
mod explain;
mod files;
mod matrix;
mod moments;
mod operators;
pub mod oracle;
mod order;
mod overlap;
mod quantiles;
mod run;
mod sampled;
mod scratch;
mod totals;
mod tree;
mod universe;

pub use batch::Batch;
pub use behaviour::{Behaviour, BehaviourCounts, CrowdEvent, Did, EventCounts};
pub use bound::Bound;
pub use by_value::{ByValue, ByValueCounts, CrowdValues, UsersAndPv, ValueCounts};
pub use catalogue::SnapshotCatalogue;
pub use confidence::Sample;
pub use dimensions::{ValueTotal, dimension_totals};
pub use earlier::{Earlier, LOOKS_BACK, earlier};
pub use explain::{Carried, Evidence, Explanation, LeafExplanation, Weighed};
pub use files::{plan_files, universe_files};
pub use matrix::{LabelCounts, Matrix, MatrixCounts, Weights};
pub use moments::{Number, NumberOf, PairSums, moments};
pub use overlap::overlap;
pub use quantiles::{Quantiles, QuantilesOf, Spread, rank};
pub use run::{Control, Counts, EvaluationError};
pub use sampled::{Sampled, Sampling};
