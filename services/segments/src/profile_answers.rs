//! What a cohort is made up of, as the API answers it.

use muster_days::Ds;
use muster_statistics::Interval;
use serde::Serialize;
use utoipa::ToSchema;

/// How the members of a cohort spread over the tags of labels.
#[derive(Debug, Serialize, ToSchema)]
pub struct CohortProfile {
    pub cohort_id: String,
    /// The day whose labels were used, or their newest one before it: the cohort's own unless another was asked
    /// for.
    #[schema(value_type = u32, example = 20261101)]
    pub ds: Ds,
    /// Members of the cohort.
    pub users: u64,
    /// Null where those outside of the cohort are fewer than the app's privacy floor.
    #[schema(required)]
    pub app_users: Option<u64>,
    pub labels: Vec<ProfiledLabel>,
    /// Of all labels together, in the order asked for; the first `top` of them.
    pub tags: Vec<ProfiledTag>,
    /// Tags of these labels that anybody in the app carries.
    pub tags_total: usize,
    /// Tags that were tested; `q` takes into account that they are so many.
    pub tested: usize,
    /// Those of them with a `q` up to 0.05.
    pub discoveries: usize,
    /// The smallest crowd that is shown, where the app has such a floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_floor: Option<u64>,
    /// Milliseconds from the request to the answer, inside the server.
    pub took_ms: f64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ProfiledLabel {
    pub id: i64,
    pub name: String,
    /// The label's day that counts: its newest one at or before `ds`. Null: there is none, and no tags.
    #[schema(required, value_type = Option<u32>, example = 20261101)]
    pub label_ds: Option<Ds>,
    /// Members who carry any tag of the label. Null where so few may not be shown.
    #[schema(required)]
    pub carrying: Option<u64>,
    #[schema(required)]
    pub app_carrying: Option<u64>,
}

/// A tag in a cohort, beside the whole app. What the app's privacy floor hides is null, and so is all that would
/// tell it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProfiledTag {
    pub label_id: i64,
    pub label: String,
    pub id: i64,
    pub name: String,
    /// Members who carry it.
    #[schema(required)]
    pub users: Option<u64>,
    /// Of the members.
    #[schema(required)]
    pub share: Option<f64>,
    #[schema(required)]
    pub app_users: Option<u64>,
    /// The share in the cohort over the share in the whole app: 2 is twice as often.
    #[schema(required, example = 1.25)]
    pub index: Option<f64>,
    /// Where the index of a population lies of which the app's users are a random sample, with 95 % confidence.
    /// Null where no member carries the tag.
    #[schema(required)]
    pub index_interval: Option<Interval>,
    /// How little chance explains that the cohort differs from the rest of the app: the root of G², below 0 where
    /// it carries the tag less often.
    #[schema(required, example = 4.2)]
    pub surprise: Option<f64>,
    /// The smallest share of false discoveries among the tags of this answer that makes this one a discovery
    /// (Benjamini and Hochberg): of those up to 0.05, chance explains one in twenty.
    #[schema(required, example = 0.003)]
    pub q: Option<f64>,
    /// With what weight the members carry it; not there where none has one, and where so few have that they may
    /// not be shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weight: Option<ProfiledWeight>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ProfiledWeight {
    /// Members who carry the tag with a weight.
    pub users: u64,
    /// Of their weights. Null where it does not go into 64 bits.
    #[schema(required)]
    pub sum: Option<i64>,
    pub mean: f64,
}

/// What became of a cohort: who came, who left, and what that did to its make-up.
#[derive(Debug, Serialize, ToSchema)]
pub struct CohortDifference {
    /// The later one.
    pub cohort_id: String,
    pub from: String,
    #[schema(value_type = u32, example = 20261101)]
    pub ds: Ds,
    /// Members of `from`.
    pub before: u64,
    /// Members of the cohort.
    pub after: u64,
    /// Members that `from` had not.
    pub entered: u64,
    /// Members of `from` that are none any more.
    pub left: u64,
    pub stayed: u64,
    pub labels: Vec<LabelDay>,
    /// Those first whose share of the cohort changed most; the first `top` of them.
    pub tags: Vec<ChangedTag>,
    /// Tags of these labels that anybody in either cohort carries.
    pub tags_total: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_floor: Option<u64>,
    pub took_ms: f64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LabelDay {
    pub id: i64,
    pub name: String,
    /// The label's day that counts: its newest one at or before `ds`. Null: there is none, and no tags.
    #[schema(required, value_type = Option<u32>, example = 20261101)]
    pub label_ds: Option<Ds>,
}

/// A tag in two cohorts, both with the labels of one day: what changes are the members, not their tags.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangedTag {
    pub label_id: i64,
    pub label: String,
    pub id: i64,
    pub name: String,
    #[schema(required)]
    pub before: Option<u64>,
    #[schema(required)]
    pub after: Option<u64>,
    #[schema(required)]
    pub share_before: Option<f64>,
    #[schema(required)]
    pub share_after: Option<f64>,
    /// `share_after` less `share_before`.
    #[schema(required, example = -0.02)]
    pub change: Option<f64>,
    /// Of those who entered, and of those who left. Null where either may not be shown.
    #[schema(required)]
    pub entered: Option<u64>,
    #[schema(required)]
    pub left: Option<u64>,
}

/// How cohorts lie in each other.
#[derive(Debug, Serialize, ToSchema)]
pub struct Overlap {
    pub cohorts: Vec<OverlappingCohort>,
    /// Every combination of the cohorts: 2ⁿ − 1 of them.
    pub regions: Vec<Region>,
    /// Users in any of the cohorts. Null where a region is hidden.
    #[schema(required)]
    pub any: Option<u64>,
    /// The smallest crowd that is shown, where the app has such a floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_floor: Option<u64>,
    pub took_ms: f64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct OverlappingCohort {
    pub id: String,
    #[schema(value_type = u32, example = 20261101)]
    pub ds: Ds,
    pub users: u64,
}

/// Users who are in these cohorts and in none of the others.
#[derive(Debug, Serialize, ToSchema)]
pub struct Region {
    pub cohorts: Vec<String>,
    /// Null where so few may not be shown, or where this region would tell another one that may not.
    #[schema(required)]
    pub users: Option<u64>,
}
