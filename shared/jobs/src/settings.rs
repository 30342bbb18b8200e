//! How patient the machinery is. The defaults suit a server; tests shorten them.

use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Settings {
    /// A running job belongs to its worker for this long after each sign of life.
    pub lease: Duration,
    /// How often a job may be started before it is given up. A hand-back at shutdown does not count.
    pub max_attempts: u32,
    /// The wait before the second attempt; it doubles with every further one, up to [`LONGEST_BACKOFF`].
    pub backoff: Duration,
    /// How often lost tickets, ended leases and retries that are due are looked for.
    pub sweep_every: Duration,
    /// How often an idle worker looks for a ticket.
    pub poll_every: Duration,
    /// How long a job that was told to stop may take to do so.
    pub grace: Duration,
    /// How many jobs of one kind an app may have running, in all processes, while another app waits.
    pub share: usize,
    /// At most about this many tickets wait in one line of the queue; the other jobs wait as rows.
    pub outstanding: usize,
}

/// No retry waits longer than this.
pub(crate) const LONGEST_BACKOFF: Duration = Duration::from_secs(300);

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            lease: Duration::from_secs(15),
            max_attempts: 3,
            backoff: Duration::from_secs(1),
            sweep_every: Duration::from_secs(1),
            poll_every: Duration::from_millis(200),
            grace: Duration::from_secs(10),
            share: 2,
            outstanding: 1000,
        }
    }
}

impl Settings {
    /// Four signs of life a lease, and never so rare that a cancel goes unnoticed for long.
    pub(crate) fn renew_every(&self) -> Duration {
        (self.lease / 4).min(Duration::from_secs(1))
    }

    /// The wait after `attempt` (1 for the first) has failed.
    pub(crate) fn backoff_after(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(16);
        self.backoff.saturating_mul(1 << doublings).min(LONGEST_BACKOFF)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let settings = Settings::default();
        let waits = [1, 2, 3, 4, 9, 10, 4_000_000_000].map(|n| settings.backoff_after(n).as_secs());
        assert_eq!(waits, [1, 2, 4, 8, 256, 300, 300]);
    }
}
