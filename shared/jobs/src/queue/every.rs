//! When an idle worker looks for tickets.

use std::task::{Context, Poll};
use std::time::Duration;

use apalis::prelude::{PollSnapshot, PollStrategy};
use tokio::time::{Interval, MissedTickBehavior};

/// Wakes an idle worker at each tick. apalis' own interval does not ask to be woken again when a tick has
/// just come; the worker then now and then sleeps on until its next heartbeat.
pub(super) struct Every(Interval);

impl Every {
    pub fn new(period: Duration) -> Every {
        let mut interval = tokio::time::interval(period);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Every(interval)
    }
}

impl PollStrategy for Every {
    fn poll_drive(&mut self, cx: &mut Context<'_>, _: &PollSnapshot) -> Poll<Option<()>> {
        let mut woken = Poll::Pending;
        while self.0.poll_tick(cx).is_ready() {
            woken = Poll::Ready(Some(()));
        }
        woken
    }
}
