//! The tables of this service. One function per query, the app first in each, the time an argument.

mod experiments;
mod holdout;
mod starts;

pub use experiments::{
    ExperimentRow, NewVersion, all, apps_with_groups, bring_back, change, create, delete, experiment,
    experiments, finish_start, give_up, hide, put_checked, put_users, put_version, salted, stop, unsettled,
    users_by_version, with_groups,
};
pub use holdout::{holdout, put_holdout};
pub use starts::{Reservation, reserve, would_take};

use chrono::{DateTime, Utc};

use crate::error::Error;

/// Of a column.
pub fn time(millis: i64) -> Result<DateTime<Utc>, Error> {
    DateTime::from_timestamp_millis(millis).ok_or_else(|| Error::Inside(format!("{millis} is no time")))
}
