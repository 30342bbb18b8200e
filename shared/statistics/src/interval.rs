//! How far a number may be from what it would be of more users.

use serde::Serialize;
use utoipa::ToSchema;

/// The counts are exact; the interval is of the number that a population of which the users are a random sample
/// would have.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, ToSchema)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

impl Interval {
    pub(crate) fn around(centre: f64, reach: f64) -> Self {
        Self { low: centre - reach, high: centre + reach }
    }
}
