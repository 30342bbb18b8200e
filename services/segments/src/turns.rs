//! Whose rule is evaluated next. A few evaluations run at once; the others wait, and an app that has had
//! much goes behind one that has had little, however many requests it sends.
//!
//! Start-time fair queueing (Goyal, Vin, Cheng 1996): a request of cost `c` gets the start tag
//! `max(now, end of the app's last one)`, its end is `c` later, and the smallest start tag goes first;
//! "now" is the tag of the one that was let in last.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use tokio::sync::oneshot;

use crate::instruments;

#[derive(Clone)]
pub struct Turns(Arc<Mutex<Line>>);

struct Line {
    free: usize,
    /// The most requests of one app that may wait.
    most: usize,
    now: u64,
    arrivals: u64,
    waiting: BTreeMap<(u64, u64), Waiter>,
    apps: HashMap<String, App>,
}

struct Waiter {
    app: String,
    admit: oneshot::Sender<Turn>,
}

#[derive(Default)]
struct App {
    end: u64,
    waiting: usize,
}

/// The right to evaluate; dropping it lets the next one in.
pub struct Turn(Turns);

/// A place in line; who gives up waiting leaves none behind.
struct Place {
    turns: Turns,
    tag: (u64, u64),
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut line = self.turns.line();
        let Some(left) = line.waiting.remove(&self.tag) else { return };
        if let Some(state) = line.apps.get_mut(&left.app) {
            state.waiting -= 1;
        }
    }
}

/// So many requests of the app wait already.
#[derive(Debug, PartialEq, Eq)]
pub struct Busy(pub usize);

impl Turns {
    /// `at_once` evaluations run side by side, and up to `most` of each app wait.
    pub fn new(at_once: usize, most: usize) -> Turns {
        let line = Line {
            free: at_once.max(1),
            most,
            now: 0,
            arrivals: 0,
            waiting: BTreeMap::new(),
            apps: HashMap::new(),
        };
        Turns(Arc::new(Mutex::new(line)))
    }

    /// Waits for a turn to evaluate something of this cost for the app. Dropped before that, it is as if
    /// it had never asked.
    pub async fn take(&self, app: &str, cost: u64) -> Result<Turn, Busy> {
        let most = self.line().most;
        self.wait(app, cost, most).await
    }

    /// The same for work that nobody sits and waits for: it is never turned away.
    pub async fn take_patiently(&self, app: &str, cost: u64) -> Turn {
        match self.wait(app, cost, usize::MAX).await {
            Ok(turn) => turn,
            Err(Busy(_)) => unreachable!("no app has so many requests"),
        }
    }

    async fn wait(&self, app: &str, cost: u64, most: usize) -> Result<Turn, Busy> {
        let began = Instant::now();
        let (_place, admitted) = self.stand_in_line(app, cost, most)?;
        self.admit();
        let turn = admitted.await.expect("a waiter is let in or gone itself");
        instruments::waited(began.elapsed());
        Ok(turn)
    }

    fn stand_in_line(
        &self,
        app: &str,
        cost: u64,
        most: usize,
    ) -> Result<(Place, oneshot::Receiver<Turn>), Busy> {
        let (admit, admitted) = oneshot::channel();
        let mut line = self.line();
        line.arrivals += 1;
        let (now, arrival) = (line.now, line.arrivals);
        let state = line.apps.entry(app.to_owned()).or_default();
        if state.waiting >= most {
            return Err(Busy(state.waiting));
        }
        let start = state.end.max(now);
        state.end = start + cost.max(1);
        state.waiting += 1;
        line.waiting.insert((start, arrival), Waiter { app: app.to_owned(), admit });
        Ok((Place { turns: self.clone(), tag: (start, arrival) }, admitted))
    }

    /// Lets in whoever there is room for.
    fn admit(&self) {
        while let Some((waiter, turn)) = self.next() {
            // Whoever gave up in this very moment drops the turn, which lets the next one in.
            let _ = waiter.admit.send(turn);
        }
    }

    fn next(&self) -> Option<(Waiter, Turn)> {
        let mut line = self.line();
        if line.free == 0 {
            return None;
        }
        let ((start, _), waiter) = line.waiting.pop_first()?;
        line.free -= 1;
        line.now = line.now.max(start);
        let now = line.now;
        if let Some(state) = line.apps.get_mut(&waiter.app) {
            state.waiting -= 1;
        }
        if line.waiting.is_empty() {
            // Who has nothing left to pay for is as good as new.
            line.apps.retain(|_, state| state.end > now);
        }
        Some((waiter, Turn(self.clone())))
    }

    fn line(&self) -> MutexGuard<'_, Line> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.line().free += 1;
        self.0.admit();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lets everybody in one after the other; the apps in the order they had their turns.
    async fn order(turns: &Turns, held: Turn, requests: &[(&'static str, u64)]) -> String {
        let served = Arc::new(Mutex::new(String::new()));
        let mut tasks = Vec::new();
        for &(app, cost) in requests {
            let (own, served) = (turns.clone(), served.clone());
            tasks.push(tokio::spawn(async move {
                let _turn = own.take(app, cost).await.unwrap();
                served.lock().unwrap().push_str(app);
            }));
            tokio::task::yield_now().await;
        }
        drop(held);
        for task in tasks {
            task.await.unwrap();
        }
        served.lock().unwrap().clone()
    }

    #[tokio::test]
    async fn a_flood_does_not_stand_before_others() {
        let turns = Turns::new(1, 100);
        let held = turns.take("x", 1).await.unwrap();
        let mut requests = vec![("a", 1); 20];
        requests.extend([("b", 1), ("c", 1), ("b", 1)]);
        let served = order(&turns, held, &requests).await;
        assert_eq!(&served[..6], "abcaba", "{served}");
    }

    #[tokio::test]
    async fn dear_rules_wait_longer() {
        let turns = Turns::new(1, 100);
        let held = turns.take("x", 1).await.unwrap();
        let served = order(&turns, held, &[("a", 4), ("a", 4), ("b", 1), ("b", 1), ("b", 1), ("b", 1)]).await;
        assert_eq!(served, "abbbba");
    }

    #[tokio::test]
    async fn who_gives_up_makes_room_and_too_many_are_turned_away() {
        let turns = Turns::new(1, 2);
        let held = turns.take("a", 1).await.unwrap();
        let mut first = Box::pin(turns.take("a", 1));
        let mut second = Box::pin(turns.take("a", 1));
        assert!(futures::poll!(&mut first).is_pending() && futures::poll!(&mut second).is_pending());
        assert_eq!(turns.take("a", 1).await.err(), Some(Busy(2)));
        assert!(futures::poll!(Box::pin(turns.take("b", 1))).is_pending(), "others may wait all the same");
        drop(first);
        drop(held);
        drop(second.await.unwrap());
        turns.take("c", 1).await.unwrap();
        assert_eq!(turns.line().free, 1);
    }
}
