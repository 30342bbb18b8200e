//! The tables of this service. One function per query, the app first in each, the time an argument.

mod cells;
mod crowds;
mod dimensions;
mod events;
mod names;
mod revision;
mod totals;
mod writes;

pub use cells::{CellRow, cells, label_days, newest_day};
pub use crowds::{
    CrowdRow, NewRow, SizeRow, crowd_days, newest_crowd_day, replace_crowds, replace_new, sizes_of,
};
pub use dimensions::{
    DimensionRow, KnownDimensions, ValueRow, dimension_values, newest_dimension_day, replace_dimensions,
};
pub use events::{TotalRow, event_days, events_of, newest_event_day};
pub use names::replace_names;
pub use revision::{move_all_on, revision};
pub use totals::{Known, known};
pub use writes::{EventRow, LabelRow, WeightCell, refresh_everyone, replace_events, replace_labels};

use chrono::{DateTime, Utc};
use muster_days::Ds;
use muster_sql::Db;

use crate::error::Error;

const TABLES: [&str; 8] = [
    "metric_cell",
    "metric_weight",
    "metric_label",
    "metric_crowd",
    "metric_crowd_new",
    "metric_event",
    "metric_dimension",
    "metric_dimension_day",
];

/// Makes room for the days that come, and forgets those before `from`.
pub async fn keep_days(db: &Db, coming: &[u32], from: u32) -> Result<(), Error> {
    for table in TABLES {
        muster_sql::keep_days(db, table, coming, from).await?;
    }
    Ok(())
}

pub fn day(number: u32) -> Result<Ds, Error> {
    Ds::from_number(number.into()).map_err(|error| Error::Inside(error.to_string()))
}

pub fn time(millis: i64) -> Result<DateTime<Utc>, Error> {
    DateTime::from_timestamp_millis(millis).ok_or_else(|| Error::Inside(format!("{millis} is no time")))
}
