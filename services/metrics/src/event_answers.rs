//! What the API answers about events.

use muster_days::Ds;
use serde::Serialize;
use utoipa::ToSchema;

/// What each event of an app came to on a day.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventList {
    pub app_id: String,
    #[schema(value_type = u32, example = 20261101)]
    pub ds: Ds,
    /// The event with most pv first.
    pub events: Vec<EventTotal>,
    /// Events of the app that are not published for the day, or not worked out yet.
    pub missing: Vec<String>,
    /// The smallest crowd that is shown, where the app has such a floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_floor: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EventTotal {
    pub event: String,
    pub pv: u64,
    /// Users with any row of the event. Exact.
    /// Null where they are fewer than the app's privacy floor.
    #[schema(required)]
    pub users: Option<u64>,
}

/// An event over days.
#[derive(Debug, Serialize, ToSchema)]
pub struct EventTrend {
    pub app_id: String,
    pub event: String,
    #[schema(value_type = u32, example = 20261001)]
    pub from: Ds,
    #[schema(value_type = u32, example = 20261030)]
    pub to: Ds,
    /// Days that are worked out, from old to new.
    pub days: Vec<EventDay>,
    /// Days from `from` to `to` that are not.
    #[schema(value_type = Vec<u32>, example = json!([20261005]))]
    pub missing_days: Vec<Ds>,
    /// The smallest crowd that is shown, where the app has such a floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_floor: Option<u64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EventDay {
    #[schema(value_type = u32, example = 20261001)]
    pub ds: Ds,
    pub pv: u64,
    /// Users with any row of the event. Exact.
    /// Null where they are fewer than the app's privacy floor.
    #[schema(required)]
    pub users: Option<u64>,
}

/// What the values of a dimension came to on a day.
#[derive(Debug, Serialize, ToSchema)]
pub struct DimensionValues {
    pub app_id: String,
    pub event: String,
    pub dimension: String,
    #[schema(value_type = u32, example = 20261101)]
    pub ds: Ds,
    /// The event's newest day that is published: later than `ds` where an earlier one was asked for, or that is
    /// not worked out yet.
    #[schema(required, value_type = Option<u32>, example = 20261101)]
    pub published_ds: Option<Ds>,
    /// The smallest crowd that is shown, where the app has such a floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_floor: Option<u64>,
    /// Of the rows that carry the dimension.
    pub pv: u64,
    pub values_total: u64,
    /// The value with most pv first.
    pub values: Vec<DimensionValue>,
    /// Values that `values` leaves out: those beyond `top`, and those beyond `metrics.dimension_values`.
    pub rest_values: u64,
    /// What they come to.
    pub rest_pv: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DimensionValue {
    pub value: String,
    pub pv: u64,
    /// Users with any row of the value. Exact; a user may have rows of several values.
    /// Null where they are fewer than the app's privacy floor.
    #[schema(required)]
    pub users: Option<u64>,
    /// Of the pv of rows that carry the dimension; null where that is 0.
    #[schema(required)]
    pub share: Option<f64>,
}
