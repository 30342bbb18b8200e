//! What exact counts say beyond themselves: how far a crowd differs from its app and a treated group from its
//! control, how sure that is, and which of many differences chance explains. Pure.

mod always_valid;
mod compare;
mod cuped;
mod discovery;
mod distributions;
mod interval;
mod moments;
mod sample_ratio;
mod shares;
mod tagged;

#[cfg(test)]
mod chance;

pub use always_valid::{AlwaysValid, Mixture, always_valid};
pub use compare::{Difference, Lift, difference_of_means, lift};
pub use cuped::{Adjusted, cuped};
pub use discovery::{q_values, two_sided};
pub use interval::Interval;
pub use moments::{Moments, Paired, Summary};
pub use sample_ratio::{ChiSquared, independence, sample_ratio};
pub use shares::{Share, interval_of_shares};
pub use tagged::Tagged;
