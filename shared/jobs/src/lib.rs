//! Jobs: work that is accepted now, done later, and never lost.
//!
//! The `job` row in SQL is the truth: state, attempt, lease, progress, cause and result. The queue only
//! carries a ticket with the job's id, so a lost, repeated or stale ticket does no harm: who may run a
//! job is decided by one guarded UPDATE. A job whose worker dies is taken up again when its lease ends,
//! so a handler must bear being run twice.

mod clock;
mod error;
mod instruments;
mod job;
mod jobs;
mod queue;
mod run;
mod runner;
mod settings;
mod slots;
mod store;
mod sweeper;

pub use error::JobsError;
pub use job::{Failure, Job, NewJob, Priority, State};
pub use jobs::{Cancel, Filter, JobPage, Jobs, Load};
pub use queue::QueueAt;
pub use run::{Handler, Run};
pub use settings::Settings;
