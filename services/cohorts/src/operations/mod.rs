//! What the service decides, apart from HTTP. One file per operation.

mod check;
mod claim;
mod clear;
mod compare;
mod drafts;
mod follow;
mod holdout;
mod observed;
mod place;
mod results;
mod shown;
#[cfg(test)]
mod simulated;
mod split;
mod start;

pub use check::{SALTS, Search, check};
pub use claim::claim_all;
pub use clear::{clear, clear_all};
pub use drafts::{change, create, day, delete, find, require, stop};
pub use follow::{follow, refresh};
pub use holdout::{holdout, put_holdout};
pub use place::place;
pub use results::{Asked, results};
pub use shown::shown;
pub use start::{ask_to_start, start};

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use muster_evaluator::Control;

use crate::audiences::{Stopped, Turn};
use crate::error::Error;

/// Does the work on a thread of its own, until nobody waits for it any more or `stopped` says so. `turn` is held
/// until then.
pub async fn evaluate<T: Send + 'static>(
    turn: Turn,
    stopped: Stopped,
    work: impl FnOnce(&Control<'_>) -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let span = tracing::Span::current();
    let evaluation = move || {
        let _turn = turn;
        let stopped = || stopped();
        span.in_scope(|| work(&Control { stopped: &stopped, progress: &|_| {} }))
    };
    let done = tokio::task::spawn_blocking(evaluation).await;
    done.map_err(|error| Error::Inside(error.to_string()))?
}

/// Somebody who waits for an answer. Dropped, it ends what is worked on for it.
pub struct Waiting(Arc<AtomicBool>);

impl Waiting {
    pub fn new() -> (Waiting, Stopped) {
        let waits = Arc::new(AtomicBool::new(true));
        let watched = waits.clone();
        (Waiting(waits), Arc::new(move || !watched.load(Ordering::Relaxed)))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
