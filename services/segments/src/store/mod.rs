//! The tables of this service. One function per query, the app first in each, the time an argument.

mod claims;
mod cohorts;
mod days;
mod erasures;
mod lists;
mod made;
mod segments;

pub use claims::{claimants, claimed, claimed_by_experiments, experiments_on, put_claims};
pub use cohorts::{
    Brief, NewCohort, briefs, cohort, cohort_of_job, cohorts, insert_cohort, last_cohort, remove_cohort,
    shown_of,
};
pub use days::{
    DailyRow, DayRow, Outcome, cohorts_before, daily_apps, daily_cohorts_before, daily_segments, days_from,
    days_of, put_days,
};
pub use erasures::{
    Behind, Compared, cohorts_behind, days_comparing, put_clear, put_day_changes, put_universes,
    put_version_users, versions_comparing,
};
pub use lists::{
    ListRow, ListVersionRow, cohorts_of_deleted_lists, cohorts_up_to, create_list, delete_list, list,
    list_version, list_versions, lists, newest_version, newest_versions, put_version, rename_list,
};
pub use made::made;
pub use segments::{
    Change, SegmentRow, change, cohorts_in_rules, create, delete, named, rules_with_segments, segment,
    segments, segments_naming, version, versions,
};

use chrono::{DateTime, Utc};

use crate::error::Error;

pub fn time(millis: i64) -> Result<DateTime<Utc>, Error> {
    DateTime::from_timestamp_millis(millis).ok_or_else(|| Error::Inside(format!("{millis} is no time")))
}
