//! A steady stream of requests, sent at their times whether or not earlier ones were answered: what waits
//! in a queue counts, as it does for people.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::{RequestBuilder, StatusCode};
use tokio::sync::Semaphore;

use crate::times::Times;

/// A stream never has more requests open than these; past them it is the sender that is too slow.
const MOST_OPEN: usize = 2_000;

/// What became of a stream.
#[derive(Debug, Default)]
pub struct Outcome {
    /// From the time at which a request was due to its whole answer.
    pub answered: Times,
    /// Their bodies, when they were asked for.
    pub bodies: Vec<Vec<u8>>,
    /// 429: the quota was used up.
    pub over_quota: usize,
    /// 503: told to come back.
    pub turned_away: usize,
    pub failed: usize,
}

impl Outcome {
    /// Those that got another answer than they asked for, or none.
    pub fn lost(&self) -> usize {
        self.over_quota + self.turned_away + self.failed
    }
}

/// Sends `per_second` requests for so long; `request(n)` makes number n.
pub async fn steady(
    per_second: u32,
    time: Duration,
    mut request: impl FnMut(u32) -> RequestBuilder,
) -> Outcome {
    let count = (time.as_secs_f64() * f64::from(per_second)) as u32;
    let began = Instant::now();
    let open = Arc::new(Semaphore::new(MOST_OPEN));
    let mut sent = Vec::with_capacity(count as usize);
    for number in 0..count {
        let due = began + Duration::from_secs_f64(f64::from(number) / f64::from(per_second));
        // Made before it is due, so that making it costs it nothing.
        let request = request(number);
        tokio::time::sleep_until(due.into()).await;
        let place = open.clone().acquire_owned().await;
        sent.push(tokio::spawn(async move {
            let _place = place;
            let answer = answer(request).await;
            (due.elapsed(), answer)
        }));
    }
    let mut outcome = Outcome::default();
    for (took, answer) in join_all(sent).await.into_iter().flatten() {
        match answer {
            Some((status, body)) if status.is_success() => {
                outcome.answered.add(took);
                outcome.bodies.push(body);
            }
            Some((StatusCode::TOO_MANY_REQUESTS, _)) => outcome.over_quota += 1,
            Some((StatusCode::SERVICE_UNAVAILABLE, _)) => outcome.turned_away += 1,
            _ => outcome.failed += 1,
        }
    }
    outcome
}

async fn answer(request: RequestBuilder) -> Option<(StatusCode, Vec<u8>)> {
    let answer = request.send().await.ok()?;
    let status = answer.status();
    Some((status, answer.bytes().await.ok()?.into()))
}
