//! The shapes this service answers with.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use muster_catalogue::Floor;
use muster_days::Ds;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

/// How many users a rule holds, and what that rests on.
#[derive(Debug, Serialize, ToSchema)]
pub struct Estimate {
    /// Users of the universe that satisfy the rule; estimated when `exact` is false, and so is what follows.
    /// Null where these, or all others, are fewer than the app's privacy floor; so are the other counts.
    #[schema(required)]
    pub count: Option<u64>,
    /// Exact for the universe `all`.
    #[schema(required)]
    pub universe_count: Option<u64>,
    /// The smallest crowd that is shown, where the app has such a floor.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_floor: Option<u64>,
    /// The day the rule looked from, `YYYYMMDD`.
    #[schema(value_type = u32, example = 20261101)]
    pub as_of: Ds,
    /// False only where `within` or `budget_ms` was asked for and some of the buckets were enough.
    pub exact: bool,
    /// Where the exact count lies with 95 % confidence, both ends included. Absent when `exact`.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<u64>>, min_items = 2, max_items = 2, example = json!([950, 1050]))]
    pub interval: Option<(u64, u64)>,
    /// The same for `universe_count`. Absent when that is exact.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<u64>>, min_items = 2, max_items = 2)]
    pub universe_interval: Option<(u64, u64)>,
    /// Share of the buckets that were evaluated. Only where `within` or `budget_ms` was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub evaluated: Option<f64>,
    /// Users of the universe per condition, by the condition's JSON pointer in the rule.
    pub leaves: BTreeMap<String, Option<u64>>,
    /// Per part of the rule: which published day it used, and which days are missing.
    #[schema(value_type = Vec<Object>)]
    pub freshness: Value,
    #[schema(value_type = Vec<Object>)]
    pub warnings: Value,
    /// Milliseconds from rule to answer, inside the server.
    pub took_ms: f64,
}

/// A named, versioned rule.
#[derive(Debug, Serialize, ToSchema)]
pub struct Segment {
    pub id: String,
    pub app_id: String,
    pub name: String,
    #[schema(value_type = Object)]
    pub rule: Value,
    /// `manual` or `daily`.
    pub refresh: String,
    /// What a daily refresh does when a day's data are not all in: use the `last` ones, `wait`, or `skip` the
    /// day.
    pub on_missing: &'static str,
    /// Goes up by one when the rule changes.
    pub version: u32,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// The cohort made last, if any.
    pub last_cohort: Option<Cohort>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SegmentVersion {
    pub version: u32,
    #[schema(value_type = Object)]
    pub rule: Value,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
}

/// What a data day of a daily segment came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct SegmentDay {
    #[schema(value_type = u32, example = 20261101)]
    pub ds: Ds,
    /// `made`; `waiting` and `skipped`, with what was missing; `refused`, with what is wrong with the rule;
    /// `below_floor`. All but `made` and `skipped` are tried again when data come, until a later day is made.
    pub outcome: String,
    #[schema(value_type = Object)]
    pub detail: Value,
    /// Also once it is no longer kept.
    #[schema(required)]
    pub cohort_id: Option<String>,
    pub job_id: String,
    pub updated_at: DateTime<Utc>,
}

/// A cohort worked out again.
#[derive(Debug, Serialize, ToSchema)]
pub struct Verified {
    pub cohort_id: String,
    /// Whether all three hashes are equal.
    pub same: bool,
    /// `same`: worked out from the very data the cohort was made from, so that `same` has to be true. `newer`:
    /// some of them were published again since. `none`: the rule does not fit the app's data any more.
    pub data: &'static str,
    pub hash: String,
    /// Null where `data` is `none`.
    #[schema(required)]
    pub hash_now: Option<String>,
    /// Of the ids in the cohort's file, as it lies there.
    pub hash_of_file: String,
}

/// The users of one segment version on one day, as they were when it was made.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Cohort {
    pub id: String,
    pub app_id: String,
    /// Or of the list, with its version.
    pub segment_id: String,
    pub segment_version: u32,
    /// Of a list that was filled by an upload: the list's id.
    pub job_id: String,
    /// `YYYYMMDD`.
    #[schema(value_type = u32, example = 20261101)]
    pub ds: Ds,
    /// Null where the app has been given a privacy floor since that is above it.
    #[schema(required)]
    pub size: Option<u64>,
    pub universe_count: u64,
    /// Equal for equal sets of user ids.
    pub hash: String,
    /// With the day it was made for.
    #[schema(value_type = Object)]
    pub rule: Value,
    #[schema(value_type = Vec<Object>)]
    pub freshness: Value,
    pub created_at: DateTime<Utc>,
    /// Of a daily segment: the cohort of the day before that is made.
    #[schema(required)]
    pub previous: Option<String>,
    /// Members that it had not, and members of it that are none any more. Null with it, and where the app's
    /// privacy floor hides so few.
    #[schema(required)]
    pub entered: Option<u64>,
    #[schema(required)]
    pub left: Option<u64>,
    #[serde(skip)]
    pub inputs: String,
}

impl Cohort {
    /// Without its size, if that may not be shown.
    pub fn under(self, floor: Floor) -> Cohort {
        let size = self.size.and_then(|size| floor.shown(size, self.universe_count));
        let moved = size.and_then(|size| {
            let (entered, left) = (self.entered?, self.left?);
            // Those who stayed tell both, with the sizes of the two.
            let stayed = size.saturating_sub(entered);
            let shown = floor.shown(entered, size).is_some() && floor.shown(left, stayed + left).is_some();
            shown.then_some((entered, left))
        });
        let (entered, left) = (moved.map(|(entered, _)| entered), moved.map(|(_, left)| left));
        Cohort { size, entered, left, ..self }
    }
}

/// Whether a user is in a cohort, and why.
#[derive(Debug, Serialize, ToSchema)]
pub struct Membership {
    pub user_id: String,
    pub cohort_id: String,
    pub member: bool,
    /// False when no label and no event of the app has ever named the user.
    pub known: bool,
    #[schema(value_type = u32, example = 20261101)]
    pub ds: Ds,
    pub segment_id: String,
    pub segment_version: u32,
    /// Absent when the user is unknown, or the rule does not fit the app's data any more.
    pub universe: Option<InUniverse>,
    /// In the order of the rule.
    pub conditions: Vec<ConditionHeld>,
    /// `same` when the conditions were looked up in the very data the cohort was made from; `newer` when
    /// some of them were published again since, so that they may tell another story than `member`; `none`
    /// when they could not be looked up.
    pub data: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct InUniverse {
    pub name: String,
    pub holds: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ConditionHeld {
    /// JSON pointer of the condition in the rule.
    pub pointer: String,
    pub holds: bool,
    #[schema(value_type = Object)]
    pub condition: Value,
    /// What decided it: the tags the user carries, the weights, the total, or the membership.
    #[schema(value_type = Object)]
    pub evidence: Value,
}

/// Users by their ids, as they were uploaded.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserList {
    pub id: String,
    pub app_id: String,
    pub name: String,
    pub created_at: DateTime<Utc>,
    /// When its name or its users changed last.
    pub updated_at: DateTime<Utc>,
    /// What the last upload left; null where nothing was uploaded yet.
    #[schema(required)]
    pub newest: Option<ListVersion>,
}

/// A list after an upload.
#[derive(Debug, Serialize, ToSchema)]
pub struct ListVersion {
    /// 1 for the first upload.
    pub version: u32,
    /// What the upload did: `add`, `remove` or `replace`.
    pub upload: String,
    /// The users as a cohort. That of one of the last thirty versions is kept, and any that a rule names.
    pub cohort_id: String,
    /// The newest data day when it was uploaded.
    #[schema(value_type = u32, example = 20261101)]
    pub ds: Ds,
    /// Users on the list. Null where so few may not be shown; so are `entered` and `left`.
    #[schema(required)]
    pub users: Option<u64>,
    /// Users that were not on it before.
    #[schema(required)]
    pub entered: Option<u64>,
    /// Users that were on it before.
    #[schema(required)]
    pub left: Option<u64>,
    pub rows_read: u64,
    /// Rows without an id that a user could have.
    pub rows_rejected: u64,
    /// Rows with an id that stood further up.
    pub rows_repeated: u64,
    /// Different ids that no label and no event of the app has ever named; they are not on the list. Null where
    /// `users` may not be shown: the rest is how many they are.
    #[schema(required)]
    pub unknown_users: Option<u64>,
    /// CSV with line, id and reason of each unknown id and each rejected row; null without any, and once the cohort
    /// is no longer kept.
    #[schema(required)]
    pub report_url: Option<String>,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
}
