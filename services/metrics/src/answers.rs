//! What the API answers.

use chrono::{DateTime, Utc};
use muster_days::Ds;
use muster_statistics::Interval;
use serde::Serialize;
use utoipa::ToSchema;

/// How the users of a crowd spread over the tags of a label.
#[derive(Debug, Serialize, ToSchema)]
pub struct Distribution {
    pub app_id: String,
    pub label: LabelName,
    #[schema(example = "active_7d")]
    pub crowd: String,
    #[serde(flatten)]
    pub measured: Measured,
    /// Tags that anybody in the app carries on that day; `tags` holds the first of them.
    pub tags_total: usize,
    /// The smallest crowd that is shown, where the app has such a floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_floor: Option<u64>,
    pub completeness: Completeness,
}

/// The same over days.
#[derive(Debug, Serialize, ToSchema)]
pub struct Trend {
    pub app_id: String,
    pub label: LabelName,
    #[schema(example = "active_7d")]
    pub crowd: String,
    #[schema(value_type = u32, example = 20261101)]
    pub from: Ds,
    #[schema(value_type = u32, example = 20261130)]
    pub to: Ds,
    /// Days that are worked out, from old to new.
    pub days: Vec<Measured>,
    /// Days from `from` to `to` that are not.
    #[schema(value_type = Vec<u32>, example = json!([20261105]))]
    pub missing_days: Vec<Ds>,
    /// Tags that anybody in the app carries on any of the days; `days` hold the first of them.
    pub tags_total: usize,
    /// The smallest crowd that is shown, where the app has such a floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_floor: Option<u64>,
    /// Of the newest of the days.
    pub completeness: Completeness,
}

/// A crowd and a label on one day. Counts are exact.
#[derive(Debug, Serialize, ToSchema)]
pub struct Measured {
    /// The day that is looked from: windows of crowds end on it.
    #[schema(value_type = u32, example = 20261101)]
    pub ds: Ds,
    /// The label's day that counts: its newest one at or before `ds`.
    #[schema(value_type = u32, example = 20261101)]
    pub label_ds: Ds,
    /// Null, like the other counts, where the app's privacy floor hides so few.
    #[schema(required)]
    pub crowd_users: Option<u64>,
    /// Users of the crowd who carry any tag of the label.
    #[schema(required)]
    pub carrying: Option<u64>,
    #[schema(required)]
    pub app_users: Option<u64>,
    #[schema(required)]
    pub app_carrying: Option<u64>,
    pub tags: Vec<TagShare>,
    pub computed_at: DateTime<Utc>,
}

/// A tag in a crowd.
#[derive(Debug, Serialize, ToSchema)]
pub struct TagShare {
    pub id: i64,
    pub name: String,
    /// Users of the crowd who carry it. Null where these, or those who don't, are fewer than the app's privacy
    /// floor; then nothing that follows from it is said.
    #[schema(required)]
    pub users: Option<u64>,
    /// Of the crowd; null where that is empty.
    #[schema(required)]
    pub share: Option<f64>,
    /// Of those in the crowd who carry any tag of the label.
    #[schema(required)]
    pub share_of_carrying: Option<f64>,
    /// Users of the whole app who carry it.
    #[schema(required)]
    pub app_users: Option<u64>,
    /// The share in the crowd over the share in the whole app: 2 is twice as often. Null where it can't be said.
    #[schema(required, example = 1.25)]
    pub index: Option<f64>,
    /// Where the index of a population lies of which the app's users are a random sample, with 95 %
    /// confidence. Null where nobody in the crowd carries the tag.
    #[schema(required)]
    pub index_interval: Option<Interval>,
    /// How little chance explains that the crowd differs from the rest of the app: the root of G², below 0
    /// where it carries the tag less often. Beyond ±2, chance alone does so about once in 20. Null where
    /// the index is.
    #[schema(required, example = 4.2)]
    pub surprise: Option<f64>,
    /// With what weight the crowd's users carry it; not there where none has one, and where the floor hides
    /// how many do.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<TagWeight>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TagWeight {
    /// Users of the crowd who carry the tag with a weight.
    pub users: u64,
    /// Of their weights. Null where it does not go into 64 bits; then there is no mean either.
    #[schema(required)]
    pub sum: Option<i64>,
    #[schema(required)]
    pub mean: Option<f64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LabelName {
    pub id: i64,
    pub name: String,
}

/// How much of a day is in.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct Completeness {
    /// Labels of the app that are not retired.
    pub labels: usize,
    /// Those that are published for the day itself and worked out.
    #[serde(rename = "in")]
    pub labels_in: usize,
    /// Those of which an earlier day counts until the day itself is published.
    pub carried: Vec<Carried>,
    /// Those that are not worked out for the day: first published later, or a moment ago.
    pub waiting: Vec<LabelName>,
    /// The crowds of the answer whose windows have days that nothing is published for: who was active on these
    /// alone is not among their users. Not told where days of the window were dropped since.
    pub windows: Vec<Window>,
}

/// The window of a crowd. Of one with several, that which lacks most days.
#[derive(Debug, Serialize, ToSchema)]
pub struct Window {
    #[schema(example = "active_30d")]
    pub crowd: String,
    #[schema(example = 30)]
    pub days: u64,
    /// Those that nothing is published for by now.
    #[schema(example = 2)]
    pub missing: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Carried {
    pub label: LabelName,
    /// The day it is carried on from.
    #[schema(value_type = u32, example = 20261031)]
    pub ds: Ds,
}

/// Crowds side by side on one day.
#[derive(Debug, Serialize, ToSchema)]
pub struct Comparison {
    pub app_id: String,
    pub label: LabelName,
    /// The day that is looked from; worked out for every crowd.
    #[schema(value_type = u32, example = 20261101)]
    pub ds: Ds,
    #[schema(value_type = u32, example = 20261101)]
    pub label_ds: Ds,
    #[schema(required)]
    pub app_users: Option<u64>,
    #[schema(required)]
    pub app_carrying: Option<u64>,
    /// As they were asked for.
    pub crowds: Vec<ComparedCrowd>,
    pub tags: Vec<ComparedTag>,
    /// Tags that anybody in the app carries; `tags` holds the first of them.
    pub tags_total: usize,
    /// The smallest crowd that is shown, where the app has such a floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_floor: Option<u64>,
    pub completeness: Completeness,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ComparedCrowd {
    pub crowd: String,
    #[schema(required)]
    pub users: Option<u64>,
    /// Users of the crowd who carry any tag of the label.
    #[schema(required)]
    pub carrying: Option<u64>,
}

/// A tag in each of the crowds, in their order.
#[derive(Debug, Serialize, ToSchema)]
pub struct ComparedTag {
    pub crowds: Vec<TagShare>,
}
