//! A test that bears looking at every day: stop whenever you like, and the error keeps to its level.
//!
//! The mixture sequential probability ratio test with a normal mixture (Robbins, *Annals of Mathematical
//! Statistics* 41 (1970), 1397–1409; Johari, Pekelis and Walsh, "Always valid inference", *Operations Research*
//! 70 (2022), 1806–1821). With variances that are estimated, as here, its interval is the asymptotic confidence
//! sequence of Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas (*Annals of Statistics* 52 (2024), 2613–2640):
//! it is for groups whose means are about normal from the first look on.

use crate::{Interval, Summary};

/// u − 1 with u − ln u = 1 + 2 ln(1/0.05). An interval at 95 % is √(s² (1 + 1/r) (ln(1 + r) + 2 ln(1/0.05))) with
/// r = τ²/s²; at a given s it is narrowest with this r.
const NARROWEST: f64 = 8.211_968_062_068_25;

/// What effects the test is made to find: normal around 0 with a standard deviation of `effect`, in standard
/// deviations of a control user's value, so that it suits all metrics of an experiment. Any is valid that is
/// set before the first look and kept; a bad one needs more users.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Mixture {
    pub effect: f64,
}

/// Of means, treatment less control, at one look. All intervals together hold the true difference with the
/// probability `level`, and a p-value is ever up to 0.05, where there is no difference, with 0.05; so the least
/// p-value of all looks so far is one as well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct AlwaysValid {
    pub difference: f64,
    /// As the test takes it: no less than Welch's.
    pub standard_error: f64,
    pub p_value: f64,
    pub interval: Interval,
}

impl Mixture {
    /// The one with the narrowest interval at 95 % when the groups have that many users, which are what the
    /// experiment is planned to reach; half or twice as many make it hardly wider. `effect` is then 2.87 standard
    /// errors of then, about what a single test there finds four times in five.
    pub fn narrowest_at(treatment_users: u64, control_users: u64) -> Self {
        let per_user = |users: u64| 1.0 / users.max(1) as f64;
        Self { effect: (NARROWEST * (per_user(treatment_users) + per_user(control_users))).sqrt() }
    }
}

/// With s the standard error and τ = `effect` times the standard deviation of control: the likelihood of the
/// difference d where true differences are normal(0, τ²), over that where there is none, is
/// Λ = √(s²/(s² + τ²)) exp(d² τ² / (2 s² (s² + τ²))), p = min(1, 1/Λ), and the interval is of the differences
/// from which d is not that far. Groups may grow at any pace and in any proportion, for the difference over s² has
/// independent increments (Jennison and Turnbull, *Group Sequential Methods* (2000), chapter 11). None where the
/// users of control do not differ from each other: there is no scale then.
///
/// Neither group's variance counts for less than the pooled one. In a small group of which hardly anybody has
/// bought yet, its own variance is near 0, and the first days of an uneven experiment would reject up to half
/// the time.
///
/// The proof takes a user's value for what it was when first seen. Where it grows from day to day, nothing is
/// proved; but no p-value is up to 0.05 for less than 3.03 standard errors, and with that thirty looks err in two
/// experiments of a hundred, half a year of looks in four.
pub fn always_valid(
    treatment: Summary,
    control: Summary,
    mixture: Mixture,
    level: f64,
) -> Option<AlwaysValid> {
    let pooled = pooled_variance(treatment, control);
    let error_squared = |group: Summary| group.variance.max(pooled) / group.users as f64;
    let squared = error_squared(treatment) + error_squared(control);
    let mixed = mixture.effect * mixture.effect * control.variance;
    if squared <= 0.0 || mixed <= 0.0 {
        return None;
    }
    let ratio = mixed / squared;
    let difference = treatment.mean - control.mean;
    let shrink = ratio / (1.0 + ratio);
    let log_likelihood = difference * difference / squared * shrink / 2.0 - ratio.ln_1p() / 2.0;
    let reach = (squared / shrink * (ratio.ln_1p() - 2.0 * (1.0 - level).ln())).sqrt();
    Some(AlwaysValid {
        difference,
        standard_error: squared.sqrt(),
        p_value: (-log_likelihood).exp().min(1.0),
        interval: Interval::around(difference, reach),
    })
}

/// Of both groups, each within itself.
fn pooled_variance(treatment: Summary, control: Summary) -> f64 {
    let (treated, controlled) = (treatment.users as f64 - 1.0, control.users as f64 - 1.0);
    (treated * treatment.variance + controlled * control.variance) / (treated + controlled)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;
    use crate::{Moments, difference_of_means};

    const LOOKS: u64 = 30;

    /// scipy 1.17.1, with variances raised to the pooled one: the p-value is norm.pdf(d, 0, s) over
    /// norm.pdf(d, 0, hypot(s, τ)), and the interval's ends are where brentq finds it to be 1 − level.
    #[test]
    fn p_values_and_intervals_as_scipy_has_them() {
        let group = |users, mean, variance| Summary { users, mean, variance };
        let (a, b) = (group(5_000, 1.05, 4.2), group(4_900, 0.93, 3.9));
        let (c, d) = (group(1_000_000, 0.0512, 0.0486), group(3_000_000, 0.0509, 0.0483));
        for (treatment, control, effect, level, p_value, low, high) in [
            (a, b, 0.05, 0.95, 0.06542677245455644, -0.004296866533343199, 0.2442968665333432),
            (a, b, 0.05, 0.8, 0.06542677245455644, 0.019809311664964205, 0.2201906883350358),
            (c, d, 0.004, 0.95, 1.0, -0.0004745140870668176, 0.001074514087066821),
            (c, d, 0.001, 0.99, 0.9817914427898196, -0.0009163208266375331, 0.0015163208266375365),
            (b, a, 0.2, 0.95, 0.14006322528842166, -0.25367122683772414, 0.013671226837724149),
        ] {
            let seen = always_valid(treatment, control, Mixture { effect }, level).unwrap();
            for (seen, expected) in
                [(seen.p_value, p_value), (seen.interval.low, low), (seen.interval.high, high)]
            {
                assert!((seen / expected - 1.0).abs() < 1e-9, "{seen} instead of {expected}");
            }
        }
    }

    #[test]
    fn it_is_narrowest_where_it_says() {
        let width = |mixture: Mixture| {
            let group = |users| Summary { users, mean: 0.0, variance: 2.0 };
            let seen = always_valid(group(3_000), group(7_000), mixture, 0.95).unwrap();
            (seen.interval.high - seen.interval.low) / seen.standard_error / 2.0
        };
        let best = width(Mixture::narrowest_at(3_000, 7_000));
        for other in [2_900, 3_100] {
            assert!(width(Mixture::narrowest_at(other, other * 7 / 3)) > best);
        }
        // In standard errors √u, against 1.96 of a single look.
        assert!((best - (1.0 + NARROWEST).sqrt()).abs() < 1e-12, "{best}");
        // Planned for half or twice as many.
        for other in [Mixture::narrowest_at(1_500, 3_500), Mixture::narrowest_at(6_000, 14_000)] {
            assert!(width(other) < 1.03 * best, "{}", width(other) / best);
        }
    }

    /// One experiment, looked at every day: whether the always-valid and Welch's p-value were ever up to 0.05,
    /// and whether the intervals always held the effect.
    fn peek(
        daily: impl Fn(u64) -> (u64, u64),
        effect: f64,
        mut value: impl FnMut() -> f64,
    ) -> (bool, bool, bool) {
        let (mut treatment, mut control) = (Moments::default(), Moments::default());
        let planned = (1..=LOOKS).map(&daily).fold((0, 0), |sum, day| (sum.0 + day.0, sum.1 + day.1));
        let mixture = Mixture::narrowest_at(planned.0, planned.1);
        let (mut rejected, mut rejected_by_welch, mut held) = (false, false, true);
        for day in 1..=LOOKS {
            let (treated, controlled) = daily(day);
            for (moments, users, effect) in
                [(&mut treatment, treated, effect), (&mut control, controlled, 0.0)]
            {
                for _ in 0..users {
                    let value = value() + effect;
                    moments.users += 1;
                    moments.sum += value;
                    moments.sum_squares += value * value;
                }
            }
            let (treatment, control) = (treatment.summary().unwrap(), control.summary().unwrap());
            let Some(seen) = always_valid(treatment, control, mixture, 0.95) else { continue };
            rejected |= seen.p_value <= 0.05;
            held &= seen.interval.low <= effect && effect <= seen.interval.high;
            rejected_by_welch |= difference_of_means(treatment, control, 0.95).unwrap().p_value <= 0.05;
        }
        (rejected, rejected_by_welch, held)
    }

    /// The shares of `rounds` experiments of which `peek` said so.
    fn shares(rounds: u32, mut peek: impl FnMut() -> (bool, bool, bool)) -> [f64; 3] {
        let mut counts = [0; 3];
        for _ in 0..rounds {
            let (rejected, rejected_by_welch, held) = peek();
            for (count, seen) in counts.iter_mut().zip([rejected, rejected_by_welch, held]) {
                *count += u32::from(seen);
            }
        }
        counts.map(|count| f64::from(count) / f64::from(rounds))
    }

    #[test]
    fn looking_every_day_errs_no_more_than_it_says() {
        let mut chance = Chance(31);
        let [rejected, by_welch, held] = shares(2_000, || peek(|_| (20, 20), 0.0, || chance.normal()));
        assert!(rejected <= 0.05 && held >= 0.95, "{rejected} rejected, {held} hold");
        assert!(by_welch > 0.2, "{by_welch} rejected by Welch");
    }

    /// Four in five users have nothing, the rest much or little, and treatment starts with a small share.
    #[test]
    fn skewed_values_and_a_slow_start() {
        let mut chance = Chance(37);
        let daily = |day: u64| if day <= 7 { (10, 70) } else { (40, 40) };
        let [rejected, by_welch, held] = shares(1_000, || {
            peek(daily, 0.0, || if chance.uniform() < 0.8 { 0.0 } else { chance.exponential() })
        });
        assert!(rejected <= 0.05 && held >= 0.95, "{rejected} rejected, {held} hold");
        assert!(by_welch > 0.2, "{by_welch} rejected by Welch");
    }

    /// All users are there on the first day, and have a little more every day.
    #[test]
    fn values_that_grow_from_day_to_day() {
        let (mut chance, rounds) = (Chance(43), 500);
        let mixture = Mixture::narrowest_at(50, 50);
        let rejected = (0..rounds).filter(|_| {
            let mut values = [0.0f64; 100];
            (0..LOOKS).any(|_| {
                values.iter_mut().for_each(|value| *value += chance.normal());
                let group = |values: &[f64]| Moments {
                    users: 50,
                    sum: values.iter().sum(),
                    sum_squares: values.iter().map(|value| value * value).sum(),
                };
                let [treatment, control] =
                    [&values[..50], &values[50..]].map(|values| group(values).summary().unwrap());
                always_valid(treatment, control, mixture, 0.95).unwrap().p_value <= 0.05
            })
        });
        let share = rejected.count() as f64 / f64::from(rounds);
        assert!(share <= 0.05, "{share} rejected");
    }

    /// Four standard errors at the end: seen more often than not, and no interval is wrong about its size.
    #[test]
    fn effects_are_found() {
        let mut chance = Chance(41);
        let effect = 4.0 * (2.0f64 / 600.0).sqrt();
        let [rejected, _, held] = shares(500, || peek(|_| (20, 20), effect, || chance.normal()));
        assert!(rejected > 0.75, "{rejected} found");
        assert!(held >= 0.95, "{held} hold");
    }

    #[test]
    fn what_can_t_be_said_is_not() {
        let group = |variance| Summary { users: 10, mean: 1.0, variance };
        let mixture = Mixture::narrowest_at(10, 10);
        assert_eq!(always_valid(group(1.0), group(0.0), mixture, 0.95), None);
        assert_eq!(always_valid(group(1.0), group(1.0), Mixture { effect: 0.0 }, 0.95), None);
        assert_eq!(always_valid(group(0.0), group(1.0), mixture, 0.95).unwrap().p_value, 1.0);
    }
}
