//! Times and their percentiles.

use std::time::Duration;

#[derive(Debug, Clone, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub fn extend(&mut self, other: &Times) {
        self.0.extend_from_slice(&other.0);
    }

    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// The smallest time in milliseconds that `percent` of them do not exceed; 0 without any.
    pub fn millis(&self, percent: usize) -> f64 {
        let mut ascending = self.0.clone();
        ascending.sort_unstable();
        let place = (ascending.len() * percent).div_ceil(100).max(1);
        ascending.get(place - 1).map_or(0.0, |time| time.as_secs_f64() * 1e3)
    }
}

/// The middle one; 0 without any.
pub fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_ranks() {
        let mut times = Times::default();
        assert_eq!(times.millis(99), 0.0);
        (1..=200).rev().for_each(|n| times.add(Duration::from_millis(n)));
        assert_eq!([times.millis(50), times.millis(99), times.millis(100)], [100.0, 198.0, 200.0]);
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
    }
}
