//! Estimates over the HTTP API, one after another, each of another rule.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::rules;
use crate::client::Client;
use crate::commands::estimate;
use crate::demo::shop::APP;
use crate::failure::Failure;

/// Answered before the clock starts, so that files are mapped and connections are open.
const WARM_UP: u64 = 20;
const FEWEST: usize = 200;
const MOST: usize = 5000;

/// Times of the estimates of one size.
#[derive(Debug)]
pub struct Times {
    pub conditions: usize,
    /// From the request to its whole answer, ascending.
    client: Vec<Duration>,
    /// As the server says, in milliseconds, ascending.
    server: Vec<f64>,
}

impl Times {
    pub fn estimates(&self) -> usize {
        self.client.len()
    }

    /// Milliseconds within which `percent` of the answers came.
    pub fn client_ms(&self, percent: usize) -> f64 {
        rank(&self.client, percent).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    }

    /// The same by the server's own clock.
    pub fn server_ms(&self, percent: usize) -> f64 {
        rank(&self.server, percent).unwrap_or_default()
    }
}

/// The nearest rank in ascending values: the smallest that `percent` of them don't exceed.
fn rank<T: Copy>(ascending: &[T], percent: usize) -> Option<T> {
    let place = (ascending.len() * percent).div_ceil(100).max(1);
    ascending.get(place - 1).copied()
}

/// At least [`FEWEST`] estimates, and then more, up to [`MOST`], until the time is over.
pub async fn measure(client: &Client, conditions: usize, time: Duration) -> Result<Times, Failure> {
    for number in 0..WARM_UP {
        one(client, conditions, u64::MAX - number).await?;
    }
    let begun = Instant::now();
    let mut times = Times { conditions, client: Vec::new(), server: Vec::new() };
    while times.client.len() < FEWEST || (begun.elapsed() < time && times.client.len() < MOST) {
        let (took, answer) = one(client, conditions, times.client.len() as u64).await?;
        times.client.push(took);
        times.server.push(answer.get("took_ms").and_then(Value::as_f64).unwrap_or_default());
    }
    times.client.sort_unstable();
    times.server.sort_unstable_by(f64::total_cmp);
    Ok(times)
}

/// How long the answer took, and the answer.
async fn one(client: &Client, conditions: usize, number: u64) -> Result<(Duration, Value), Failure> {
    let rule = rules::rule(conditions, number).to_string();
    let begun = Instant::now();
    let answer = estimate::ask(client, APP, rule, estimate::Contract::default()).await?;
    Ok((begun.elapsed(), answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_values_that_were_measured() {
        let hundred: Vec<u32> = (1..=100).collect();
        assert_eq!(rank(&hundred, 50), Some(50));
        assert_eq!(rank(&hundred, 99), Some(99));
        assert_eq!(rank(&hundred, 100), Some(100));
        assert_eq!(rank(&[7, 9], 99), Some(9));
        assert_eq!(rank(&[7], 50), Some(7));
        assert_eq!(rank::<u32>(&[], 50), None);
    }
}
