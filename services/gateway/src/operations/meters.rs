//! The token buckets of one gateway: governor's limiters, one for each quota that is in force.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, DefaultClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::keyed::DefaultKeyedStateStore;
use governor::{Quota as Bucket, RateLimiter};

use super::flow_control::{Level, Refusal, Subject};
use crate::class::QuotaKind;
use crate::settings::Quota;

type Limiter =
    RateLimiter<Subject, DefaultKeyedStateStore<Subject>, DefaultClock, StateInformationMiddleware>;

/// The buckets of one quota, of which this gateway holds a share.
pub struct Meter {
    pub quota: Quota,
    gateways: u32,
    share: NonZeroU32,
    limiter: Limiter,
}

/// All of them. One limiter is one quota, so an app with a quota of its own has a limiter of its own.
pub struct Meters {
    everyone: HashMap<QuotaKind, Meter>,
    own: HashMap<(String, QuotaKind), Meter>,
}

impl Meters {
    pub fn new(
        everyone: [(QuotaKind, Quota); 4],
        own: HashMap<(String, QuotaKind), Quota>,
        gateways: u32,
    ) -> Meters {
        Meters {
            everyone: everyone.map(|(kind, quota)| (kind, Meter::new(quota, gateways))).into(),
            own: own.into_iter().map(|(key, quota)| (key, Meter::new(quota, gateways))).collect(),
        }
    }

    /// The meters of these quotas of apps. What is unchanged keeps its buckets; a changed one begins full,
    /// which an app gains no more often than its quota or the number of gateways changes.
    pub fn change(&mut self, own: &HashMap<(String, QuotaKind), Quota>, gateways: u32) {
        for meter in self.everyone.values_mut().filter(|meter| meter.gateways != gateways) {
            *meter = Meter::new(meter.quota, gateways);
        }
        self.own.retain(|key, meter| own.get(key) == Some(&meter.quota) && meter.gateways == gateways);
        for (key, quota) in own {
            self.own.entry(key.clone()).or_insert_with(|| Meter::new(*quota, gateways));
        }
    }

    pub fn of(&self, kind: QuotaKind, subject: &Subject) -> &Meter {
        let own = match subject {
            Subject::App(app) if !self.own.is_empty() => self.own.get(&(app.clone(), kind)),
            _ => None,
        };
        own.unwrap_or(&self.everyone[&kind])
    }

    /// Forgets the buckets that are full: they are as good as new ones.
    pub fn retain_recent(&self) {
        self.everyone.values().chain(self.own.values()).for_each(|meter| meter.limiter.retain_recent());
    }
}

impl Meter {
    fn new(quota: Quota, gateways: u32) -> Meter {
        let share = |whole: NonZeroU32| {
            NonZeroU32::new(whole.get().div_ceil(gateways.max(1))).unwrap_or(NonZeroU32::MIN)
        };
        let bucket = Bucket::per_second(share(quota.per_second)).allow_burst(share(quota.burst));
        let limiter = RateLimiter::keyed(bucket).with_middleware();
        Meter { quota, gateways: gateways.max(1), share: share(quota.burst), limiter }
    }

    /// Takes `cost` units. A cost that fits the quota but not this gateway's share of it takes the whole
    /// share: it would otherwise be refused for ever.
    pub fn take(&self, subject: &Subject, cost: u64) -> Result<Level, Refusal> {
        let limit = self.quota.burst.get();
        let never = Refusal::NeverFits { cost, limit };
        let units = u32::try_from(cost).ok().filter(|units| *units <= limit).ok_or(never)?;
        let units = NonZeroU32::new(units).unwrap_or(NonZeroU32::MIN).min(self.share);
        match self.limiter.check_key_n(subject, units).map_err(|_| never)? {
            Ok(state) => Ok(self.level(state.remaining_burst_capacity())),
            Err(not_until) => {
                let wait = not_until.wait_time_from(self.limiter.clock().now());
                Err(Refusal::TooMany(Level { limit, remaining: 0, reset: whole_seconds(wait) }))
            }
        }
    }

    /// As if every gateway had as much left as this one.
    fn level(&self, left: u32) -> Level {
        let limit = self.quota.burst.get();
        let remaining = left.saturating_mul(self.gateways).min(limit);
        let missing = f64::from(limit - remaining);
        let reset = (missing / f64::from(self.quota.per_second.get())).ceil() as u64;
        Level { limit, remaining, reset }
    }
}

/// Rounded up, and never 0: a client that waits this long is not turned away again.
fn whole_seconds(wait: Duration) -> u64 {
    (wait.as_secs() + u64::from(wait.subsec_nanos() > 0)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_are_rounded_up() {
        assert_eq!(whole_seconds(Duration::ZERO), 1);
        assert_eq!(whole_seconds(Duration::from_millis(999)), 1);
        assert_eq!(whole_seconds(Duration::from_millis(1001)), 2);
    }

    #[test]
    fn two_gateways_give_half_each() {
        let app = Subject::App("a".into());
        let one_of_two = Meter::new(Quota::new(1, 10), 2);
        let level = one_of_two.take(&app, 3).unwrap();
        assert_eq!((level.limit, level.remaining), (10, 4), "two of five are left here, and as many there");
        assert!(one_of_two.take(&app, 3).is_err());
        let fresh = Meter::new(Quota::new(1, 10), 2);
        assert_eq!(fresh.take(&app, 8).unwrap().remaining, 0, "more than a share takes all of it");
        assert_eq!(fresh.take(&app, 11), Err(Refusal::NeverFits { cost: 11, limit: 10 }));
    }
}
