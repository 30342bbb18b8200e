//! What the members of a cohort did, as the API answers it.

use std::collections::BTreeMap;

use muster_days::Ds;
use serde::Serialize;
use utoipa::ToSchema;

/// What the members did over a range of days, beside the whole app.
#[derive(Debug, Serialize, ToSchema)]
pub struct CohortBehaviour {
    pub cohort_id: String,
    #[schema(value_type = u32, example = 20261003)]
    pub from: Ds,
    #[schema(value_type = u32, example = 20261101)]
    pub to: Ds,
    /// Members of the cohort.
    pub users: u64,
    /// Null where those outside of the cohort are fewer than the app's privacy floor.
    #[schema(required)]
    pub app_users: Option<u64>,
    /// By name.
    pub events: Vec<EventBehaviour>,
    /// The smallest crowd that is shown, where the app has such a floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_floor: Option<u64>,
    pub took_ms: f64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EventBehaviour {
    pub event: String,
    /// Over the whole range: a user of several days is counted once.
    #[serde(flatten)]
    pub range: Beside,
    /// Days of the range that the event is published for.
    pub days: Vec<DayBehaviour>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DayBehaviour {
    #[schema(value_type = u32, example = 20261101)]
    pub ds: Ds,
    #[serde(flatten)]
    pub did: Beside,
}

/// A cohort and its app. What the app's privacy floor hides is null, and so is all that would tell it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Beside {
    /// Members with any row of the event.
    #[schema(required)]
    pub users: Option<u64>,
    #[schema(required)]
    pub pv: Option<i64>,
    /// By measure. Null where a sum does not go into 64 bits.
    #[schema(required)]
    pub sums: Option<BTreeMap<String, Option<i64>>>,
    #[schema(required)]
    pub app_users: Option<u64>,
    #[schema(required)]
    pub app_pv: Option<i64>,
    #[schema(required)]
    pub app_sums: Option<BTreeMap<String, Option<i64>>>,
    /// The share of the members who did it over the share of the app's users: 2 is twice as often.
    #[schema(required, example = 1.25)]
    pub index: Option<f64>,
}

/// What the members did of one event, by the values of a dimension.
#[derive(Debug, Serialize, ToSchema)]
pub struct CohortValues {
    pub cohort_id: String,
    pub event: String,
    pub dimension: String,
    #[schema(value_type = u32, example = 20261003)]
    pub from: Ds,
    #[schema(value_type = u32, example = 20261101)]
    pub to: Ds,
    pub users: u64,
    #[schema(required)]
    pub app_users: Option<u64>,
    /// Those first that most members have rows of; the first `top` of them. Values are left out that fewer members
    /// than the app's privacy floor have, or all but fewer.
    pub values: Vec<ValueBehaviour>,
    /// Values that the members have rows of.
    pub values_total: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_floor: Option<u64>,
    pub took_ms: f64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ValueBehaviour {
    pub value: String,
    pub users: u64,
    pub pv: i64,
    #[schema(required)]
    pub app_users: Option<u64>,
    #[schema(required)]
    pub app_pv: Option<i64>,
    /// The share of the members who did it over the share of the app's users.
    #[schema(required, example = 1.25)]
    pub index: Option<f64>,
}

/// How a number spreads over the members of a cohort, beside the whole app.
#[derive(Debug, Serialize, ToSchema)]
pub struct CohortSpread {
    pub cohort_id: String,
    /// What the number is: `{"label", "tag", "ds"}`, with null for a day that there is not, or `{"event", "measure", "from", "to"}`.
    #[schema(value_type = Object)]
    pub of: serde_json::Value,
    pub cohort: Numbers,
    pub app: Numbers,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_floor: Option<u64>,
    pub took_ms: f64,
}

/// Null where so few users have the number that they may not be shown.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Numbers {
    /// Users who have the number: who carry the tag with a weight, or have any row of the event.
    #[schema(required)]
    pub users: Option<u64>,
    /// Null, too, where it does not go into 64 bits.
    #[schema(required)]
    pub sum: Option<i64>,
    #[schema(required)]
    pub mean: Option<f64>,
    /// Exact, by nearest rank: the smallest number that at least this share of the users are at or below. Null, too,
    /// where so few are on either side of it that the number would be theirs.
    pub quantiles: Vec<Quantile>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Quantile {
    #[schema(example = 0.5)]
    pub q: f64,
    #[schema(required)]
    pub value: Option<i64>,
}
