//! Quotas: a token bucket for each app and class of call, which a call empties by its cost.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota as Bucket, RateLimiter};
use muster_http::{Kind, Problem};

use crate::class::QuotaKind;
use crate::settings::{Quota, Settings};

/// Whose quota a call takes from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Subject {
    App(String),
    /// For calls that name no app.
    Caller(String),
}

/// What was left of the quota after a call; becomes the `RateLimit-*` headers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Level {
    /// Units the bucket holds when full.
    pub limit: u32,
    pub remaining: u32,
    /// Seconds until it is full again, or, after a refusal, until the call would fit.
    pub reset: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// Not now; the level's `reset` says when.
    TooMany(Level),
    /// Not ever: the cost is above what the bucket can hold.
    NeverFits { cost: u64, limit: u32 },
}

type Limiter =
    RateLimiter<Subject, DefaultKeyedStateStore<Subject>, DefaultClock, StateInformationMiddleware>;

struct Meter {
    quota: Quota,
    limiter: Limiter,
}

/// The buckets of this process.
pub struct FlowControl {
    everyone: HashMap<QuotaKind, Meter>,
    // One limiter is one quota, so an app with a quota of its own has a limiter of its own.
    own: HashMap<(String, QuotaKind), Meter>,
}

impl FlowControl {
    pub fn new(settings: &Settings) -> Self {
        let everyone = QuotaKind::ALL.map(|kind| (kind, Meter::new(settings.quotas.of(kind)))).into();
        let own = settings.app_quotas.iter().flat_map(|(app, quotas)| {
            let quota = |kind| Some(((app.clone(), kind), Meter::new(quotas.of(kind)?)));
            QuotaKind::ALL.into_iter().filter_map(quota)
        });
        FlowControl { everyone, own: own.collect() }
    }

    /// Takes `cost` units, at least one, of the subject's quota.
    pub fn take(&self, kind: QuotaKind, subject: &Subject, cost: u64) -> Result<Level, Refusal> {
        let own = match subject {
            Subject::App(app) if !self.own.is_empty() => self.own.get(&(app.clone(), kind)),
            _ => None,
        };
        own.unwrap_or(&self.everyone[&kind]).take(subject, cost.max(1))
    }

    /// Forgets the buckets that are full: they are as good as new ones.
    pub fn retain_recent(&self) {
        self.everyone.values().chain(self.own.values()).for_each(|meter| meter.limiter.retain_recent());
    }
}

impl Meter {
    fn new(quota: Quota) -> Self {
        let bucket = Bucket::per_second(quota.per_second).allow_burst(quota.burst);
        Meter { quota, limiter: RateLimiter::keyed(bucket).with_middleware() }
    }

    fn take(&self, subject: &Subject, cost: u64) -> Result<Level, Refusal> {
        let limit = self.quota.burst.get();
        let never = Refusal::NeverFits { cost, limit };
        let units = u32::try_from(cost).ok().and_then(NonZeroU32::new).ok_or(never)?;
        match self.limiter.check_key_n(subject, units).map_err(|_| never)? {
            Ok(state) => {
                let remaining = state.remaining_burst_capacity();
                let missing = f64::from(limit.saturating_sub(remaining));
                let reset = (missing / f64::from(self.quota.per_second.get())).ceil() as u64;
                Ok(Level { limit, remaining, reset })
            }
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.limiter.clock().now());
                Err(Refusal::TooMany(Level { limit, remaining: 0, reset: whole_seconds(wait) }))
            }
        }
    }
}

/// Rounded up, and never 0: a client that waits this long is not turned away again.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

impl Refusal {
    pub fn problem(self, subject: &Subject) -> Problem {
        let whose = match subject {
            Subject::App(_) => "this app",
            Subject::Caller(_) => "this key",
        };
        match self {
            Refusal::TooMany(level) => {
                let detail = format!("The quota of {whose} is used up. Try again in {} s.", level.reset);
                Problem::new(Kind::TooMany, "quota_exceeded", detail).retry_after(level.reset)
            }
            Refusal::NeverFits { cost, limit } => {
                let detail = format!(
                    "This costs {cost} units, and the quota of {whose} never holds more than {limit}."
                );
                Problem::new(Kind::TooLarge, "cost_over_quota", detail)
                    .with("cost", cost)
                    .with("limit", limit)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{AppQuotas, Quotas};

    fn app(id: &str) -> Subject {
        Subject::App(id.into())
    }

    fn flow() -> FlowControl {
        // So slow that nothing comes back while the test runs.
        let quotas = Quotas { estimate: Quota::new(1, 10), read: Quota::new(1, 1), ..Quotas::default() };
        let wide = AppQuotas { estimate: Some(Quota::new(1, 100)), ..AppQuotas::default() };
        let app_quotas = [("wide".to_owned(), wide)].into();
        FlowControl::new(&Settings { quotas, app_quotas, ..Settings::default() })
    }

    #[test]
    fn calls_weigh_their_cost() {
        let flow = flow();
        let level = flow.take(QuotaKind::Estimate, &app("a"), 7).unwrap();
        assert_eq!((level.limit, level.remaining, level.reset), (10, 3, 7));
        let Err(Refusal::TooMany(level)) = flow.take(QuotaKind::Estimate, &app("a"), 7) else {
            panic!("7 of 3 units were given");
        };
        assert_eq!(level.reset, 4, "3 are there and 4 come back at one a second");
        assert!(flow.take(QuotaKind::Estimate, &app("a"), 3).is_ok(), "a refusal takes nothing");
    }

    #[test]
    fn a_cost_that_can_never_fit_is_told_apart() {
        let never = |cost| Err(Refusal::NeverFits { cost, limit: 10 });
        assert_eq!(flow().take(QuotaKind::Estimate, &app("a"), 11), never(11));
        assert_eq!(flow().take(QuotaKind::Estimate, &app("a"), u64::MAX), never(u64::MAX));
    }

    #[test]
    fn apps_classes_and_callers_do_not_share() {
        let flow = flow();
        assert!(flow.take(QuotaKind::Read, &app("a"), 1).is_ok());
        assert!(flow.take(QuotaKind::Read, &app("a"), 1).is_err());
        assert!(flow.take(QuotaKind::Read, &app("b"), 1).is_ok());
        assert!(flow.take(QuotaKind::Read, &Subject::Caller("a".into()), 1).is_ok());
        assert!(flow.take(QuotaKind::Estimate, &app("a"), 10).is_ok());
        assert!(flow.take(QuotaKind::Estimate, &app("wide"), 100).is_ok());
    }

    #[test]
    fn waits_are_rounded_up() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(999)), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1001)), 2);
    }
}
