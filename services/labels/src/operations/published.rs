//! The days something is published for.

use muster_days::Ds;
use serde::Serialize;
use utoipa::ToSchema;

/// The published days of a label or an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Published {
    /// Oldest day.
    #[schema(value_type = Option<u32>, required, example = 20261025)]
    pub first: Option<Ds>,
    /// Newest day.
    #[schema(value_type = Option<u32>, required, example = 20261101)]
    pub last: Option<Ds>,
    pub count: usize,
    /// Every day, newest first; a day between `first` and `last` that is not here is missing.
    #[schema(value_type = Vec<u32>, example = json!([20261101, 20261031]))]
    pub days: Vec<Ds>,
}

impl Published {
    /// From days in ascending order.
    pub fn new(days: impl DoubleEndedIterator<Item = Ds>) -> Self {
        let days: Vec<Ds> = days.rev().collect();
        Published { first: days.last().copied(), last: days.first().copied(), count: days.len(), days }
    }
}
