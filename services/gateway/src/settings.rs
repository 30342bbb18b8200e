//! What an operator may set, and the defaults.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};

use serde::Deserialize;

use crate::class::{Class, QuotaKind};

#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Ask for a key on a loopback address too. On any other address keys are always asked for.
    pub require_keys: bool,
    /// What each app may take of each class of call.
    pub quotas: Quotas,
    /// Apps with quotas of their own, by app id.
    pub app_quotas: BTreeMap<String, AppQuotas>,
    /// Requests that may run at once, over all apps.
    pub in_flight: InFlight,
    pub time_limits: TimeLimits,
    pub imports: ImportLimits,
    /// How long the answer to a request with an `Idempotency-Key` is kept; at least a day.
    pub idempotency_hours: u32,
    /// After a stop, running requests have this long to end.
    pub shutdown_seconds: u64,
    /// Threads that speak HTTP; one per core when not given.
    pub workers: Option<NonZeroUsize>,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            require_keys: false,
            quotas: Quotas::default(),
            app_quotas: BTreeMap::new(),
            in_flight: InFlight::default(),
            time_limits: TimeLimits::default(),
            imports: ImportLimits::default(),
            idempotency_hours: 24,
            shutdown_seconds: 30,
            workers: None,
        }
    }
}

/// A token bucket: `burst` units at most, `per_second` of them coming back each second.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    pub per_second: NonZeroU32,
    pub burst: NonZeroU32,
}

impl Quota {
    /// Zero of either is taken as one.
    pub fn new(per_second: u32, burst: u32) -> Quota {
        let at_least_one = |n| NonZeroU32::new(n).unwrap_or(NonZeroU32::MIN);
        Quota { per_second: at_least_one(per_second), burst: at_least_one(burst) }
    }
}

/// A quota per class of call. An estimate, and a segment being saved, costs what its rule costs; every
/// other call costs 1. An import names no app, so its quota is the key's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quotas {
    pub read: Quota,
    pub estimate: Quota,
    pub job: Quota,
    pub import: Quota,
}

impl Default for Quotas {
    fn default() -> Self {
        Quotas {
            read: Quota::new(5_000, 10_000),
            estimate: Quota::new(20_000, 40_000),
            job: Quota::new(500, 1_000),
            import: Quota::new(50, 100),
        }
    }
}

impl Quotas {
    pub(crate) fn of(&self, kind: QuotaKind) -> Quota {
        match kind {
            QuotaKind::Read => self.read,
            QuotaKind::Estimate => self.estimate,
            QuotaKind::Job => self.job,
            QuotaKind::Import => self.import,
        }
    }
}

/// The quotas in which one app differs from the others.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AppQuotas {
    pub read: Option<Quota>,
    pub estimate: Option<Quota>,
    pub job: Option<Quota>,
}

impl AppQuotas {
    pub(crate) fn of(&self, kind: QuotaKind) -> Option<Quota> {
        match kind {
            QuotaKind::Read => self.read,
            QuotaKind::Estimate => self.estimate,
            QuotaKind::Job => self.job,
            // Imports name no app.
            QuotaKind::Import => None,
        }
    }
}

/// How many requests of a class may be in flight; one more is answered 503 at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct InFlight {
    pub read: usize,
    pub estimate: usize,
    pub job: usize,
    pub import: usize,
    /// Streams of user ids and reject reports.
    pub export: usize,
    /// Streams of job events.
    pub follow: usize,
}

impl Default for InFlight {
    fn default() -> Self {
        InFlight { read: 512, estimate: 256, job: 128, import: 16, export: 32, follow: 512 }
    }
}

impl InFlight {
    pub(crate) fn of(&self, class: Class) -> usize {
        match class {
            Class::Read => self.read,
            Class::Estimate => self.estimate,
            Class::Job => self.job,
            Class::Import => self.import,
            Class::Export => self.export,
            Class::Follow => self.follow,
        }
    }
}

/// Milliseconds after which an answer is given up, its body being read included. What streams in or out
/// has no such limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TimeLimits {
    pub read_ms: u64,
    pub estimate_ms: u64,
    pub job_ms: u64,
}

impl Default for TimeLimits {
    fn default() -> Self {
        TimeLimits { read_ms: 30_000, estimate_ms: 30_000, job_ms: 30_000 }
    }
}

impl TimeLimits {
    pub(crate) fn of(&self, class: Class) -> Option<std::time::Duration> {
        let millis = match class {
            Class::Read => self.read_ms,
            Class::Estimate => self.estimate_ms,
            Class::Job => self.job_ms,
            Class::Import | Class::Export | Class::Follow => return None,
        };
        Some(std::time::Duration::from_millis(millis))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ImportLimits {
    /// The most bytes one import may have, as sent.
    pub max_bytes: u64,
    /// An import whose sender falls silent for this long is broken off.
    pub silence_seconds: u64,
}

impl Default for ImportLimits {
    fn default() -> Self {
        ImportLimits { max_bytes: 64 << 30, silence_seconds: 60 }
    }
}
