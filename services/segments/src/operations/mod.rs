//! What the service decides, apart from HTTP. One file per operation.

mod behaviour;
mod claims;
mod clear;
mod difference;
mod estimate;
mod explain;
mod export;
mod floor;
mod in_app;
mod keep;
mod lists;
mod make_cohort;
mod members;
mod name;
mod overlap;
mod prepare;
mod profile;
pub mod routine;
mod served;
mod spread;
mod sweep;
mod upload;
mod verify;

pub use behaviour::{OverDays, behaviour, behaviour_by_value};
pub use claims::{cohorts_needed, named_in, require_unused};
pub use clear::{clear, refreshed};
pub use difference::difference;
pub use estimate::{Contract, estimate};
pub use explain::membership;
pub use export::{Export, Format, InGroup, export, export_users};
pub use floor::floor;
pub use keep::{SegmentChange, change, check_rule, create, get, shown};
pub use lists::{
    Filling, Mode, create_list, delete_list, fill, forget_deleted, list, read_upload, rename_list, show_list,
    shown_lists, shown_versions,
};
pub use make_cohort::{CohortOrder, make_cohort};
pub use members::{OpenCohorts, is_member, memberships};
pub use overlap::overlap;
pub use prepare::{Asked, Prepared, inputs, parse};
pub use profile::{Order, Scope, plan_of, profile};
pub use served::{require_served, snapshot};
pub use spread::{NumberOf, spread};
pub use sweep::sweep;
pub use upload::{Upload, UploadFormat};
pub use verify::verify;

use std::time::Instant;

use crate::Segments;
use crate::error::Error;
pub use members::members;

/// Removes the files of a cohort whose row is gone.
pub async fn remove_file(segments: &Segments, app: &str, cohort: String) -> Result<(), Error> {
    segments.open.forget(app, &cohort);
    let (profiles, app) = (segments.profiles.clone(), app.to_owned());
    let removed = tokio::task::spawn_blocking(move || profiles.remove_cohort(&app, &cohort)).await;
    Ok(removed.map_err(|error| Error::Inside(error.to_string()))??)
}

/// Milliseconds since `began`, to the microsecond.
fn millis(began: Instant) -> f64 {
    (began.elapsed().as_secs_f64() * 1e6).round() / 1e3
}

/// Once more, when the files were replaced in the very moment they were opened.
fn on_newest_data<T>(work: impl Fn() -> Result<T, Error>) -> Result<T, Error> {
    match work() {
        Err(error) if error.is_stale() => work(),
        result => result,
    }
}
