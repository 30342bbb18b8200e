//! What the API answers about the sizes of crowds.

use chrono::{DateTime, Utc};
use muster_days::Ds;
use serde::Serialize;
use utoipa::ToSchema;

use crate::answers::Completeness;

/// How many users each crowd has on a day.
#[derive(Debug, Serialize, ToSchema)]
pub struct CrowdList {
    pub app_id: String,
    #[schema(value_type = u32, example = 20261101)]
    pub ds: Ds,
    /// The whole app first, then the base crowds by name.
    pub crowds: Vec<CrowdSize>,
    /// Base crowds that are not worked out for the day.
    pub missing: Vec<String>,
    /// The smallest crowd that is shown, where the app has such a floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_floor: Option<u64>,
    pub completeness: Completeness,
}

/// A crowd over days.
#[derive(Debug, Serialize, ToSchema)]
pub struct CrowdTrend {
    pub app_id: String,
    #[schema(value_type = u32, example = 20261001)]
    pub from: Ds,
    #[schema(value_type = u32, example = 20261030)]
    pub to: Ds,
    /// Days that are worked out, from old to new.
    pub days: Vec<CrowdSize>,
    /// Days from `from` to `to` that are not.
    #[schema(value_type = Vec<u32>, example = json!([20261005]))]
    pub missing_days: Vec<Ds>,
    /// The smallest crowd that is shown, where the app has such a floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_floor: Option<u64>,
    /// Of the newest of the days.
    pub completeness: Completeness,
}

/// A crowd on a day. Counts are exact.
#[derive(Debug, Serialize, ToSchema)]
pub struct CrowdSize {
    #[schema(example = "active_7d")]
    pub crowd: String,
    #[schema(value_type = u32, example = 20261101)]
    pub ds: Ds,
    /// Null, like the other counts, where the app's privacy floor hides so few.
    #[schema(required)]
    pub users: Option<u64>,
    /// Of the users that the app has by now.
    #[schema(required)]
    pub share: Option<f64>,
    /// Of a predefined base crowd: who has none of its events on the 180 days before its window. Null for
    /// other crowds, and where nothing is published of these days.
    #[schema(required)]
    pub new_users: Option<u64>,
    /// Those who have; with `new_users` they add up to `users`.
    #[schema(required)]
    pub returning_users: Option<u64>,
    /// The oldest of these days that is published: what lies before it, nobody has looked at.
    #[schema(required, value_type = Option<u32>, example = 20260501)]
    pub earlier_from: Option<Ds>,
    pub computed_at: DateTime<Utc>,
}
