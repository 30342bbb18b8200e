//! Experiments as the API shows them.

use chrono::{DateTime, Utc};
use muster_days::Ds;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::assignment::Assignment;
use crate::definition::Definition;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// May be changed.
    Draft,
    /// A job makes its groups.
    Starting,
    Running,
    /// Its groups and results stay as they are.
    Stopped,
}

impl State {
    pub fn from_name(name: &str) -> Option<State> {
        serde_json::from_value(Value::String(name.to_owned())).ok()
    }
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Experiment {
    pub id: String,
    pub app_id: String,
    pub state: State,
    #[serde(flatten)]
    pub definition: Definition,
    /// How users are split, once it is started: with it anybody can tell a user's group (see `…/users/{user}`).
    pub assignment: Option<Assignment>,
    /// Of its groups: more than 1 only where it follows its audience.
    pub version: u32,
    /// Once it runs.
    pub members: Vec<GroupMembers>,
    /// The day whose data say who is in the audience.
    #[schema(value_type = Option<u32>)]
    pub population_ds: Option<Ds>,
    /// The first day that counts in results.
    #[schema(value_type = Option<u32>)]
    pub from: Option<Ds>,
    /// The last one, once it is stopped.
    #[schema(value_type = Option<u32>)]
    pub to: Option<Ds>,
    /// What the last check came to; gone once the draft is changed.
    pub check: Option<Check>,
    /// The job that starts it.
    pub job_id: Option<String>,
    /// Why the last start came to nothing.
    #[schema(value_type = Option<Object>)]
    pub failure: Option<Value>,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub started_at: Option<DateTime<Utc>>,
    pub stopped_at: Option<DateTime<Utc>>,
}

/// The users of a group.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupMembers {
    pub name: String,
    /// Who is in the group now: a cohort like any other, for exports, profiles, overlaps and membership.
    pub cohort_id: String,
    /// None: fewer than the app lets be shown.
    pub users: Option<u64>,
    /// Who ever was in it: what is compared.
    pub ever_cohort_id: String,
    pub ever_users: Option<u64>,
}

/// Where a user stands.
#[derive(Debug, Serialize, ToSchema)]
pub struct UserPlace {
    pub user_id: String,
    /// The group whose treatment the user is to get now.
    pub group: Option<String>,
    /// `group`, `unknown` (the app has no data of the user), `not_in_population`, `held_out` or `no_traffic`.
    pub why: &'static str,
    /// The group that the user would be in by its hash alone.
    pub would_be: Option<String>,
}

/// Whether groups differed before there was anything to tell them apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Check {
    /// No metric of any group differs from control's with a false discovery rate of 0.05. None: there was nothing to
    /// compare, because of too few users, or no data on the days before.
    pub balanced: Option<bool>,
    /// The days that were looked at.
    #[schema(value_type = u32)]
    pub from: Ds,
    #[schema(value_type = u32)]
    pub to: Ds,
    #[schema(value_type = u32)]
    pub population_ds: Ds,
    /// None: fewer than the app lets be shown.
    pub users: Vec<Option<u64>>,
    /// That was checked last; the draft has it now.
    pub salt: String,
    /// Salts that were tried.
    pub salts: u32,
    pub metrics: Vec<MetricResult>,
    /// Whether groups are as large as their shares say.
    pub sample_ratio: Option<SampleRatio>,
    pub privacy_floor: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SampleRatio {
    pub chi_squared: f64,
    pub p_value: f64,
    /// The p-value is below 0.001: something else than chance is at work, and no result is to be believed.
    pub mismatch: bool,
}

/// A metric of all groups.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct MetricResult {
    pub metric: String,
    /// Control is the first one.
    pub groups: Vec<GroupResult>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct GroupResult {
    pub group: String,
    /// Users that are compared. None: fewer than the app lets be shown, and then nothing is told of them.
    pub users: Option<u64>,
    /// Per user, as it is: with CUPED, too, which adjusts the difference and not the means.
    pub mean: Option<f64>,
    /// Beside control; none of control itself.
    pub against_control: Option<Comparison>,
}

/// A group beside control.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Comparison {
    /// Of the means.
    pub difference: f64,
    pub low: f64,
    pub high: f64,
    /// The difference as a share of control's mean; none where that is not five standard errors above 0.
    pub lift: Option<f64>,
    pub lift_low: Option<f64>,
    pub lift_high: Option<f64>,
    pub p_value: f64,
    /// The smallest false discovery rate at which it is one, among all comparisons of the answer.
    pub q: Option<f64>,
    /// How the interval came about: `welch`; `newcombe` of shares that nothing is taken out of; `always_valid`.
    pub interval: Interval,
    /// With CUPED: the share of the variance that the days before explain.
    pub variance_removed: Option<f64>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Interval {
    Welch,
    Newcombe,
    AlwaysValid,
}

/// What an experiment came to.
#[derive(Debug, Serialize, ToSchema)]
pub struct Results {
    pub experiment_id: String,
    /// The days that count.
    #[schema(value_type = u32)]
    pub from: Ds,
    #[schema(value_type = u32)]
    pub to: Ds,
    /// Of those days, and with CUPED of the days before, without data of an event that a metric or the exposure needs:
    /// `order 20261102`.
    pub missing_days: Vec<String>,
    /// Confidence of the intervals.
    pub level: f64,
    pub sequential: bool,
    pub cuped: bool,
    /// Whether groups are as large as their shares say.
    pub sample_ratio: Option<SampleRatio>,
    /// The same on each day: of users who were exposed until then, or who were split.
    pub sample_ratio_by_day: Vec<DaySampleRatio>,
    pub metrics: Vec<MetricResult>,
    /// With `label`: the day of the label that counts, the newest before the experiment.
    #[schema(value_type = Option<u32>)]
    pub label_ds: Option<Ds>,
    /// With `label`: each tag's users by themselves.
    pub by_tag: Vec<TagResults>,
    pub privacy_floor: Option<u64>,
    pub took_ms: f64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DaySampleRatio {
    #[schema(value_type = u32)]
    pub ds: Ds,
    /// By group. None: fewer than the app lets be shown.
    pub users: Vec<Option<u64>>,
    pub sample_ratio: Option<SampleRatio>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TagResults {
    pub id: i64,
    pub name: String,
    pub metrics: Vec<MetricResult>,
}

/// Users of an app who are in no experiment.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Holdout {
    /// Of all users, 0 to 1. It holds for experiments that begin later.
    pub share: f64,
}
