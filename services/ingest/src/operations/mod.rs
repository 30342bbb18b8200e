//! What the service decides, apart from HTTP.

mod accept;
pub mod erase;
mod every_day;
mod expire;
mod sweep;

pub use accept::{Upload, accept};
pub use every_day::{ask, every_day};
pub use expire::{Keep, Watch, expire};
pub use sweep::sweep_folders;

use muster_http::Problem;
use muster_jobs::JobsError;

/// What the jobs' table answered, for a caller.
pub fn jobs_problem(error: JobsError) -> Problem {
    let away = error.is_away();
    Problem::of_store(error, away)
}
