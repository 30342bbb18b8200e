//! Followed cohorts as the API shows them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use muster_days::Ds;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// One cohort: the same users on every day.
    Static,
    /// A segment or a list: on each day the users of its newest cohort.
    Dynamic,
}

/// What is followed.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Tracked {
    /// A cohort, segment or list.
    pub id: String,
    pub app_id: String,
    pub kind: Kind,
    /// The first day.
    #[schema(value_type = u32)]
    pub from: Ds,
    /// The cohort of the first day: who of it comes back is retention.
    pub first_cohort: String,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
}

/// What a crowd did on a day. A number is null where it, or what it is taken from less it, is of too few users.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct CrowdDay {
    pub users: Option<u64>,
    /// Users with an event that counts as active.
    pub active: Option<u64>,
    /// Of events that count as active.
    pub pv: Option<i64>,
    /// Users with an event that counts as trade.
    pub trades: Option<u64>,
    pub trade_pv: Option<i64>,
    pub events: BTreeMap<String, EventDay>,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct EventDay {
    pub users: Option<u64>,
    pub pv: Option<i64>,
    /// Sums of measures (`m_amount`).
    pub measures: BTreeMap<String, Option<i64>>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct SeriesDay {
    #[schema(value_type = u32)]
    pub ds: Ds,
    /// Whose users are those of the day.
    pub cohort_id: String,
    pub cohort: CrowdDay,
    /// Everybody else.
    pub rest: CrowdDay,
    pub app: CrowdDay,
    /// Users of the first day's cohort who are active on this day.
    pub retained: Option<u64>,
    /// Their share of it.
    pub retention: Option<f64>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Series {
    #[serde(flatten)]
    pub tracked: Tracked,
    /// Users of the first day's cohort.
    pub first_users: Option<u64>,
    /// Days that are worked out, ascending.
    pub days: Vec<SeriesDay>,
    /// Days in between, and up to the app's newest one, that are not.
    pub missing_days: Vec<MissingDay>,
    pub privacy_floor: Option<u64>,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct MissingDay {
    #[schema(value_type = u32)]
    pub ds: Ds,
    /// `no_data` (no event is published for it), `no_cohort` (of the segment, up to then), `not_yet` (a job is to
    /// come to it) or `too_old` (it lies further back than is worked out).
    pub why: &'static str,
}
