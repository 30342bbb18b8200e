//! A steady stream of estimates, sent at their times whether or not earlier ones were answered: what waits
//! in a queue counts, as it does for people.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::join_all;
use reqwest::StatusCode;
use tokio::sync::Semaphore;

use crate::apps::{Target, rule};
use crate::times::Times;

/// A stream never has more requests open than these; past them it is the sender that is too slow.
const MOST_OPEN: usize = 2_000;

/// What became of a stream.
#[derive(Debug, Default)]
pub struct Outcome {
    /// From the time at which a request was due to its whole answer.
    pub answered: Times,
    /// 429: the quota was used up.
    pub over_quota: usize,
    /// 503: told to come back.
    pub turned_away: usize,
    pub failed: usize,
}

/// Sends `per_second` estimates of an app for so long.
pub async fn estimates(target: &Target, app: &str, per_second: u32, time: Duration) -> Outcome {
    let count = (time.as_secs_f64() * f64::from(per_second)) as u32;
    let began = Instant::now();
    let open = Arc::new(Semaphore::new(MOST_OPEN));
    let mut sent = Vec::with_capacity(count as usize);
    for number in 0..count {
        let due = began + Duration::from_secs_f64(f64::from(number) / f64::from(per_second));
        tokio::time::sleep_until(due.into()).await;
        let (target, path) = (target.clone(), format!("/v1/apps/{app}/segments/estimate"));
        let place = open.clone().acquire_owned().await;
        sent.push(tokio::spawn(async move {
            let _place = place;
            let request = target.request(reqwest::Method::POST, &path).json(&rule(number));
            let status = match request.send().await {
                Ok(answer) => {
                    let status = answer.status();
                    answer.bytes().await.ok().map(|_| status)
                }
                Err(_) => None,
            };
            (due.elapsed(), status)
        }));
    }
    let mut outcome = Outcome::default();
    for (took, status) in join_all(sent).await.into_iter().flatten() {
        match status {
            Some(StatusCode::OK) => outcome.answered.add(took),
            Some(StatusCode::TOO_MANY_REQUESTS) => outcome.over_quota += 1,
            Some(StatusCode::SERVICE_UNAVAILABLE) => outcome.turned_away += 1,
            _ => outcome.failed += 1,
        }
    }
    outcome
}
