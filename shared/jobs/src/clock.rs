//! The one file that asks the system clock.

use chrono::{DateTime, SubsecRound, Utc};
use ulid::Ulid;

/// Now, in whole milliseconds: what a row can hold, so that a job reads back as it was written.
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now().trunc_subsecs(3)
}

/// A name that no other worker or claim has.
pub(crate) fn unique_name() -> String {
    Ulid::generate().to_string()
}
