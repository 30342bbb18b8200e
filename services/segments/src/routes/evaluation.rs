//! Evaluations that somebody sits and waits for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use muster_evaluator::Control;
use muster_http::Problem;
use tracing::Span;

use crate::Segments;
use crate::error::Error;
use crate::turns::Turn;

/// Does the work on a thread of its own; it is to end when nobody waits for it any more, which `control` tells.
/// `turn` is held until then.
pub async fn evaluate<T: Send + 'static>(
    turn: Turn,
    work: impl FnOnce(&Control<'_>) -> Result<T, Error> + Send + 'static,
) -> Result<T, Problem> {
    // This future is dropped when the client goes.
    let waiting = Waiting(Arc::new(AtomicBool::new(true)));
    let (watched, span) = (waiting.0.clone(), Span::current());
    let evaluation = move || {
        let _turn = turn;
        let stopped = || !watched.load(Ordering::Relaxed);
        span.in_scope(|| work(&Control { stopped: &stopped, progress: &|_| {} }))
    };
    let answer = tokio::task::spawn_blocking(evaluation).await.map_err(Problem::internal)?;
    drop(waiting);
    Ok(answer?)
}

/// A place in the line before the evaluator.
pub async fn turn(segments: &Segments, app: &str, cost: u64) -> Result<Turn, Error> {
    Ok(segments.turns.take(app, cost).await?)
}

struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
