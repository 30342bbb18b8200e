//! Work on pieces of a file side by side, whose outcomes are taken in the order of the file.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::ReadError;

/// A piece of work and where its outcome goes.
type Job<T, R> = (T, SyncSender<R>);

/// Takes pieces from `next` until there are none, works on them on as many threads as there are cores, and
/// gives each outcome to `take`. No more than a few pieces are under way at a time. The first error in the
/// order of the file ends it; one of `next` counts as behind the pieces before it.
pub(super) fn in_order<T: Send, R: Send>(
    mut next: impl FnMut() -> Result<Option<T>, ReadError>,
    work: impl Fn(T) -> Result<R, ReadError> + Sync,
    mut take: impl FnMut(R) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    let Some(first) = next()? else { return Ok(()) };
    // Most files are one piece, which is not worth a thread.
    let second = match next() {
        Ok(Some(second)) => second,
        last => {
            take(work(first)?)?;
            return last.map(drop);
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (jobs, queue) = sync_channel::<Job<T, Result<R, ReadError>>>(threads);
    let queue = Mutex::new(queue);
    thread::scope(|scope| {
        // Dropped when this ends for whatever reason, which ends the threads.
        let jobs = jobs;
        for _ in 0..threads {
            scope.spawn(|| serve(&queue, &work));
        }
        let mut pending = VecDeque::new();
        let mut ahead = Some(first);
        let mut following = Some(second);
        let ended = loop {
            let piece = match ahead.take().or_else(|| following.take()) {
                Some(piece) => piece,
                None => match next() {
                    Ok(Some(piece)) => piece,
                    Ok(None) => break Ok(()),
                    Err(error) => break Err(error),
                },
            };
            if pending.len() == 2 * threads {
                take_first(&mut pending, &mut take)?;
            }
            let (outcome, pended) = sync_channel(1);
            if jobs.send((piece, outcome)).is_err() {
                break Ok(());
            }
            pending.push_back(pended);
        };
        if matches!(ended, Err(ReadError::Stopped)) {
            return ended;
        }
        while !pending.is_empty() {
            take_first(&mut pending, &mut take)?;
        }
        ended
    })
}

fn serve<T, R>(queue: &Mutex<Receiver<Job<T, R>>>, work: &impl Fn(T) -> R) {
    loop {
        let job = queue.lock().unwrap_or_else(PoisonError::into_inner).recv();
        let Ok((piece, outcome)) = job else { return };
        // Nobody waits for it any more when another piece has failed.
        let _ = outcome.send(work(piece));
    }
}

fn take_first<R>(
    pending: &mut VecDeque<Receiver<Result<R, ReadError>>>,
    take: &mut impl FnMut(R) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    match pending.pop_front().map(|outcome| outcome.recv()) {
        Some(Ok(outcome)) => take(outcome?),
        // Its thread panicked: the scope panics as well.
        _ => Ok(()),
    }
}
