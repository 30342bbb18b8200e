//! Work on pieces of a file side by side, whose outcomes are taken in the order of the file.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread;

use super::ReadError;

/// A piece of work and where its outcome goes, a panic too: who waits for it must not wait in vain.
type Job<T, R> = (T, SyncSender<thread::Result<R>>);

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
        let _ = outcome.send(catch_unwind(AssertUnwindSafe(|| work(piece))));
    }
}

fn take_first<R>(
    pending: &mut VecDeque<Receiver<thread::Result<Result<R, ReadError>>>>,
    take: &mut impl FnMut(R) -> Result<(), ReadError>,
) -> Result<(), ReadError> {
    match pending.pop_front().map(|outcome| outcome.recv()) {
        Some(Ok(Ok(outcome))) => take(outcome?),
        Some(Ok(Err(panic))) => resume_unwind(panic),
        // Without a piece under way, or a thread to work on it, there is nothing to take.
        Some(Err(_)) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Squares of the numbers that were taken before it ended, and how it ended.
    fn squares(pieces: u64, bad: u64, next_fails: bool) -> (Vec<u64>, Result<(), ReadError>) {
        let failed = |what: u64| ReadError::Unsupported(what.to_string());
        let (mut given, mut taken) = (0, Vec::new());
        let ended = in_order(
            || match given {
                n if n == pieces => {
                    if next_fails {
                        Err(failed(n))
                    } else {
                        Ok(None)
                    }
                }
                n => {
                    given += 1;
                    Ok(Some(n))
                }
            },
            |n| {
                // The first ones take longest.
                thread::sleep(std::time::Duration::from_micros(300 / (n + 1)));
                if n == bad { Err(failed(n)) } else { Ok(n * n) }
            },
            |square| {
                taken.push(square);
                Ok(())
            },
        );
        (taken, ended)
    }

    #[test]
    fn outcomes_and_errors_come_in_order() {
        let expected = |n: u64| (0..n).map(|n| n * n).collect::<Vec<_>>();
        for pieces in [0, 1, 2, 3, 50] {
            let (taken, ended) = squares(pieces, u64::MAX, false);
            assert!(taken == expected(pieces) && ended.is_ok());
            let (taken, ended) = squares(pieces, u64::MAX, true);
            assert!(taken == expected(pieces) && ended.unwrap_err().to_string() == pieces.to_string());
            for bad in (0..pieces).step_by(7) {
                let (taken, ended) = squares(pieces, bad, true);
                assert!(taken == expected(bad) && ended.unwrap_err().to_string() == bad.to_string());
            }
        }
    }

    #[test]
    fn a_panic_is_passed_on() {
        let (mut given, panic) = (0, |n: u64| -> Result<u64, ReadError> { panic!("piece {n}") });
        let next = || {
            given += 1;
            Ok((given < 100).then_some(given))
        };
        let outcome = catch_unwind(AssertUnwindSafe(|| in_order(next, panic, |_| Ok(()))));
        assert_eq!(outcome.unwrap_err().downcast_ref::<String>().unwrap(), "piece 1");
    }
}
