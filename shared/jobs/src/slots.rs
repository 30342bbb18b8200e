//! How many jobs of a kind run at once, and which of two waiting ones goes first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Mutex, MutexGuard, OwnedSemaphorePermit, Semaphore};

use crate::Priority;

/// The places of one kind in this process.
pub(crate) struct Slots {
    places: Arc<Semaphore>,
    interactive_door: Mutex<()>,
    routine_door: Mutex<()>,
    interactive_waiting: AtomicUsize,
}

/// Counts one interactive waiter for as long as it waits, even if it gives up.
struct Waiting<'a>(&'a AtomicUsize);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Slots {
    pub fn new(places: usize) -> Slots {
        Slots {
            places: Arc::new(Semaphore::new(places.max(1))),
            interactive_door: Mutex::new(()),
            routine_door: Mutex::new(()),
            interactive_waiting: AtomicUsize::new(0),
        }
    }

    /// Where the tickets of one line stand in the order they came, until the first has its place.
    pub async fn door(&self, priority: Priority) -> MutexGuard<'_, ()> {
        match priority {
            Priority::Interactive => self.interactive_door.lock().await,
            Priority::Routine => self.routine_door.lock().await,
        }
    }

    /// A place; dropping it makes room. Routine work steps back behind interactive work that waits.
    pub async fn take(&self, priority: Priority) -> OwnedSemaphorePermit {
        if priority == Priority::Interactive {
            self.interactive_waiting.fetch_add(1, Ordering::SeqCst);
            let _waiting = Waiting(&self.interactive_waiting);
            return self.place().await;
        }
        loop {
            let place = self.place().await;
            if self.interactive_waiting.load(Ordering::SeqCst) == 0 {
                return place;
            }
            // The semaphore is fair: let go, and the interactive waiter has it before we ask again.
            drop(place);
            tokio::task::yield_now().await;
        }
    }

    async fn place(&self) -> OwnedSemaphorePermit {
        self.places.clone().acquire_owned().await.expect("this semaphore is never closed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn routine_work_steps_back() {
        let slots = Arc::new(Slots::new(1));
        let busy = slots.take(Priority::Routine).await;
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let wait = |priority: Priority| {
            let (slots, order) = (slots.clone(), order.clone());
            tokio::spawn(async move {
                let _place = slots.take(priority).await;
                order.lock().unwrap().push(priority);
            })
        };
        let routine = wait(Priority::Routine);
        tokio::task::yield_now().await;
        let interactive = [wait(Priority::Interactive), wait(Priority::Interactive)];
        tokio::task::yield_now().await;
        drop(busy);
        routine.await.unwrap();
        for done in interactive {
            done.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [Priority::Interactive, Priority::Interactive, Priority::Routine]);
    }
}
