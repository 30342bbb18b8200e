//! The highest rate that is held: rates grow until one is not, then the gap is closed.

use crate::stream::Outcome;

/// A rate is held when 99 of 100 answers come within this many milliseconds and all of them come.
const WITHIN_MS: f64 = 100.0;
/// Rates grow by this factor at first.
const GROWTH: u32 = 4;
/// Steps that close the gap: each takes the square root of what is left of it.
const CLOSER: usize = 4;

/// What one rate came to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    pub rate: u32,
    pub p50: f64,
    pub p99: f64,
    /// Requests that were not answered as asked.
    pub lost: usize,
}

impl Step {
    pub fn of(rate: u32, outcome: &Outcome) -> Step {
        Step {
            rate,
            p50: outcome.answered.millis(50),
            p99: outcome.answered.millis(99),
            lost: outcome.lost(),
        }
    }

    pub fn held(&self) -> bool {
        self.lost == 0 && self.p99 < WITHIN_MS
    }
}

/// The highest rate held from 1 to `most`, starting with `first`, whose step may be known already; None
/// when not even one request a second is held. A rate that was not held gets a second chance, for the
/// machine may have had something else to do.
pub async fn highest<E>(
    first: u32,
    most: u32,
    mut attempt: impl AsyncFnMut(u32) -> Result<Step, E>,
) -> Result<Option<Step>, E> {
    let mut twice = async |rate| {
        let step = attempt(rate).await?;
        if step.held() { Ok(step) } else { attempt(rate).await }
    };
    let mut best: Option<Step> = None;
    let mut rate = first.clamp(1, most);
    // Up while it is held, or down until it is.
    let beyond = loop {
        let step = twice(rate).await?;
        let held = step.held();
        match (held, best) {
            (true, _) if rate == most => return Ok(Some(step)),
            (true, None) if rate < first => {
                best = Some(step);
                break (rate.saturating_mul(GROWTH)).min(first);
            }
            (true, _) => {
                best = Some(step);
                rate = rate.saturating_mul(GROWTH).min(most);
            }
            (false, Some(_)) => break rate,
            (false, None) if rate == 1 => return Ok(None),
            (false, None) => rate = (rate / GROWTH).max(1),
        }
    };
    let mut beyond = beyond;
    for _ in 0..CLOSER {
        let held = best.map_or(1, |step| step.rate);
        let middle = (f64::from(held) * f64::from(beyond)).sqrt().round() as u32;
        if middle <= held || middle >= beyond {
            break;
        }
        let step = twice(middle).await?;
        match step.held() {
            true => best = Some(step),
            false => beyond = middle,
        }
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine that holds up to `limit` requests a second, asked from `first` on; the rate found and
    /// the number of steps it took.
    fn check(limit: u32, first: u32, most: u32) -> (Option<u32>, usize) {
        let mut steps = 0;
        let attempt = async |rate| {
            steps += 1;
            let p99 = if rate <= limit { 5.0 } else { 500.0 };
            Ok::<_, std::convert::Infallible>(Step { rate, p50: 1.0, p99, lost: 0 })
        };
        let found = futures::executor::block_on(highest(first, most, attempt));
        let Ok(found) = found;
        (found.map(|step| step.rate), steps)
    }

    #[test]
    fn what_is_found_is_held_and_close_to_the_limit() {
        for limit in [1, 2, 3, 7, 50, 51, 130, 799, 1_000, 4_321, 9_999, 10_000, 20_000] {
            let (found, steps) = check(limit, 50, 10_000);
            let found = found.unwrap();
            assert!(
                found <= limit && f64::from(found) * 1.4 >= f64::from(limit.min(10_000)) / 1.1,
                "{found} of {limit}"
            );
            assert!(steps <= 18, "{steps} steps to {limit}");
        }
        assert_eq!(check(0, 50, 10_000).0, None);
        assert_eq!(check(20_000, 50, 10_000).0, Some(10_000));
    }

    #[test]
    fn lost_requests_are_not_held() {
        assert!(!Step { rate: 1, p50: 1.0, p99: 1.0, lost: 1 }.held());
        assert!(Step { rate: 1, p50: 1.0, p99: 99.0, lost: 0 }.held());
    }
}
