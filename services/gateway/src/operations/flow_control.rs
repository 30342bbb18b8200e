//! Quotas: what an app may take of each class of call, from configuration and catalogue, and what is left.

use std::collections::HashMap;
use std::sync::{PoisonError, RwLock, RwLockReadGuard};

use muster_http::{Kind, Problem};

use super::meters::Meters;
use crate::class::QuotaKind;
use crate::settings::{Quota, Settings};
use crate::store::quotas::QuotaRow;

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

/// Who says what an app's quota is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    Default,
    Configuration,
    Catalogue,
}

/// The quotas in force, and this gateway's buckets.
pub struct FlowControl {
    settings: Settings,
    state: RwLock<State>,
}

struct State {
    catalogue: HashMap<(String, QuotaKind), Quota>,
    gateways: u32,
    meters: Meters,
}

impl FlowControl {
    pub fn new(settings: &Settings) -> Self {
        let everyone = QuotaKind::ALL.map(|kind| (kind, settings.quotas.of(kind)));
        let catalogue = HashMap::new();
        let meters = Meters::new(everyone, own(settings, &catalogue), 1);
        let state = State { catalogue, gateways: 1, meters };
        FlowControl { settings: settings.clone(), state: RwLock::new(state) }
    }

    /// Takes `cost` units, at least one, of the subject's quota.
    pub fn take(&self, kind: QuotaKind, subject: &Subject, cost: u64) -> Result<Level, Refusal> {
        self.state().meters.of(kind, subject).take(subject, cost.max(1))
    }

    /// What an app may take, and who says so.
    pub fn quota(&self, app: &str, kind: QuotaKind) -> (Quota, Source) {
        let state = self.state();
        if let Some(quota) = state.catalogue.get(&(app.to_owned(), kind)) {
            return (*quota, Source::Catalogue);
        }
        match self.settings.app_quotas.get(app).and_then(|quotas| quotas.of(kind)) {
            Some(quota) => (quota, Source::Configuration),
            None => (self.settings.quotas.of(kind), Source::Default),
        }
    }

    /// Puts the catalogue's quotas in force.
    pub fn set_catalogue(&self, rows: &[QuotaRow]) {
        let catalogue: HashMap<_, _> = rows.iter().filter_map(quota_of).collect();
        if catalogue != self.state().catalogue {
            self.change(|state| state.catalogue = catalogue);
        }
    }

    /// Takes one share of so many.
    pub fn set_gateways(&self, gateways: u32) {
        if gateways != self.state().gateways {
            self.change(|state| state.gateways = gateways);
        }
    }

    fn change(&self, change: impl FnOnce(&mut State)) {
        let mut state = self.state.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut state);
        let own = own(&self.settings, &state.catalogue);
        let gateways = state.gateways;
        state.meters.change(&own, gateways);
    }

    pub fn retain_recent(&self) {
        self.state().meters.retain_recent();
    }

    fn state(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The quotas of apps that differ from everyone's: the catalogue's, then the configuration's.
fn own(
    settings: &Settings,
    catalogue: &HashMap<(String, QuotaKind), Quota>,
) -> HashMap<(String, QuotaKind), Quota> {
    let mut own = HashMap::new();
    for (app, quotas) in &settings.app_quotas {
        let of_app =
            QuotaKind::ALL.into_iter().filter_map(|kind| Some(((app.clone(), kind), quotas.of(kind)?)));
        own.extend(of_app);
    }
    own.extend(catalogue.iter().map(|(key, quota)| (key.clone(), *quota)));
    own
}

fn quota_of(row: &QuotaRow) -> Option<((String, QuotaKind), Quota)> {
    let number = |n: i64| u32::try_from(n).ok().filter(|n| *n > 0);
    let kind = QuotaKind::from_name(&row.class)?;
    Some(((row.app_id.clone(), kind), Quota::new(number(row.per_second)?, number(row.burst)?)))
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

    fn row(app: &str, burst: i64) -> QuotaRow {
        let (class, updated_by) = ("estimate".into(), "local".into());
        QuotaRow { app_id: app.into(), class, per_second: 1, burst, updated_at: 0, updated_by }
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
    fn the_catalogue_overrides_and_what_it_leaves_alone_keeps_its_level() {
        let flow = flow();
        let estimate = |name: &str, cost| flow.take(QuotaKind::Estimate, &app(name), cost);
        estimate("wide", 90).unwrap();
        estimate("a", 9).unwrap();
        flow.set_catalogue(&[row("a", 20), row("odd", 0)]);
        assert_eq!(flow.quota("a", QuotaKind::Estimate), (Quota::new(1, 20), Source::Catalogue));
        assert_eq!(flow.quota("odd", QuotaKind::Estimate), (Quota::new(1, 10), Source::Default));
        assert_eq!(flow.quota("wide", QuotaKind::Estimate).1, Source::Configuration);
        assert!(estimate("a", 20).is_ok());
        assert!(estimate("wide", 20).is_err(), "10 of its 100 were left");
        flow.set_catalogue(&[]);
        assert_eq!(flow.quota("a", QuotaKind::Estimate).1, Source::Default);
        flow.set_gateways(2);
        assert_eq!(estimate("b", 1).unwrap().limit, 10);
    }
}
