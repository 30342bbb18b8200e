//! How far the treated group is from the control group, and how sure that is if one looks once.

use crate::distributions::{normal_quantile, student_quantile, student_tail};
use crate::{Interval, Summary};

/// Of means, treatment less control, in the unit of the values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Difference {
    pub difference: f64,
    pub standard_error: f64,
    pub degrees_of_freedom: f64,
    /// Two-sided.
    pub p_value: f64,
    pub interval: Interval,
}

/// The mean of the treated over that of control, less 1: 0.05 is five per cent more.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lift {
    pub lift: f64,
    pub interval: Interval,
}

/// Welch's test: variances may differ, degrees of freedom by Welch and Satterthwaite (Welch, *Biometrika* 34
/// (1947), 28–35). `level` is the interval's, 0.95 for instance. For one look at a size that was set before;
/// who looks every day takes `always_valid`. None where no user of either group differs from another.
pub fn difference_of_means(treatment: Summary, control: Summary, level: f64) -> Option<Difference> {
    let (treated, controlled) = (treatment.error_squared(), control.error_squared());
    let squared = treated + controlled;
    if squared <= 0.0 {
        return None;
    }
    let standard_error = squared.sqrt();
    // As shares of the whole, for the squares of small numbers may be 0.
    let part = |own: f64, users: u64| (own / squared).powi(2) / (users as f64 - 1.0);
    let degrees_of_freedom = 1.0 / (part(treated, treatment.users) + part(controlled, control.users));
    let difference = treatment.mean - control.mean;
    let reach = student_quantile(1.0 - level, degrees_of_freedom) * standard_error;
    Some(Difference {
        difference,
        standard_error,
        degrees_of_freedom,
        p_value: student_tail(difference / standard_error, degrees_of_freedom),
        interval: Interval::around(difference, reach),
    })
}

/// The interval is that of the delta method, normal: with r = mean of the treated (m) over that of control (M)
/// and s, S their standard errors, σ² = (s² + r² S²) / M² (Deng, Knoblich and Lu, *KDD* 2018). It is for
/// control means many standard errors, ten say, above 0; None where control's mean is not above 0.
pub fn lift(treatment: Summary, control: Summary, level: f64) -> Option<Lift> {
    if control.mean <= 0.0 {
        return None;
    }
    let ratio = treatment.mean / control.mean;
    let error = (treatment.error_squared() + ratio * ratio * control.error_squared()).sqrt() / control.mean;
    let lift = ratio - 1.0;
    Some(Lift { lift, interval: Interval::around(lift, normal_quantile(1.0 - level) * error) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Moments;
    use crate::chance::Chance;

    fn close(seen: f64, expected: f64) {
        assert!((seen / expected - 1.0).abs() < 1e-9, "{seen} instead of {expected}");
    }

    fn summary(values: impl Iterator<Item = f64>) -> Summary {
        let mut moments = Moments::default();
        for value in values {
            moments.users += 1;
            moments.sum += value;
            moments.sum_squares += value * value;
        }
        moments.summary().unwrap()
    }

    const A: Summary = Summary { users: 50, mean: 10.5, variance: 4.0 };
    const B: Summary = Summary { users: 60, mean: 9.75, variance: 6.25 };
    const C: Summary = Summary { users: 2, mean: 3.0, variance: 0.5 };
    const D: Summary = Summary { users: 3, mean: 1.0, variance: 2.0 };
    const E: Summary = Summary { users: 120_000, mean: 1.0325, variance: 42.5 };
    const F: Summary = Summary { users: 480_000, mean: 1.0, variance: 40.25 };
    const G: Summary = Summary { users: 3_000_000, mean: 0.0512, variance: 0.04857856 };
    const H: Summary = Summary { users: 7_000_000, mean: 0.0509, variance: 0.04830919 };

    /// Student's sleep data (*Biometrika* 6 (1908)), the example of R's `t.test`: t = −1.8608, df = 17.776,
    /// p = 0.07939, −3.3654832 to 0.2054832.
    #[test]
    fn the_sleep_of_ten_patients() {
        let one = summary([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0].into_iter());
        let other = summary([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4].into_iter());
        let seen = difference_of_means(one, other, 0.95).unwrap();
        let off = |seen: f64, printed: f64| (seen - printed).abs();
        assert!(off(seen.difference, -1.58) < 1e-12 && off(seen.p_value, 0.07939) < 5e-6, "{seen:?}");
        assert!(off(seen.difference / seen.standard_error, -1.8608) < 5e-5, "{seen:?}");
        assert!(off(seen.degrees_of_freedom, 17.776) < 5e-4, "{seen:?}");
        let Interval { low, high } = seen.interval;
        assert!(off(low, -3.3654832) < 5e-8 && off(high, 0.2054832) < 5e-8, "{seen:?}");
    }

    /// scipy 1.17.1, stats.ttest_ind_from_stats(…, equal_var=False), the interval by stats.t.isf.
    #[test]
    fn differences_as_scipy_has_them() {
        for (treatment, control, level, p_value, low, high) in [
            (A, B, 0.95, 0.0833701978969987, -0.10065719774851456, 1.6006571977485144),
            (A, B, 0.99, 0.0833701978969987, -0.3753038908281492, 1.8753038908281492),
            (C, D, 0.95, 0.1294065984426026, -1.0756508614320524, 5.075650861432052),
            (E, F, 0.95, 0.12045519368343673, -0.008520257148296781, 0.07352025714829673),
            (G, H, 0.95, 0.04836992434088707, 2.148818447066515e-06, 0.0005978511815529368),
        ] {
            let seen = difference_of_means(treatment, control, level).unwrap();
            close(seen.p_value, p_value);
            close(seen.interval.low, low);
            close(seen.interval.high, high);
        }
    }

    /// statsmodels 0.15.0, NonlinearDeltaCov(lambda p: p[0] / p[1] - 1, means, diag(squared standard errors)).
    #[test]
    fn lifts_as_statsmodels_has_them() {
        for (treatment, control, level, low, high) in [
            (A, B, 0.95, -0.01315823746035752, 0.16700439130651126),
            (A, B, 0.8, 0.018022071402050956, 0.1358240824441028),
            (C, D, 0.95, -2.8999099613501347, 6.899909961350135),
            (E, F, 0.95, -0.008778531791935947, 0.07377853179193589),
            (G, H, 0.95, 3.188988978371221e-05, 0.011755929363654258),
        ] {
            let seen = lift(treatment, control, level).unwrap();
            close(seen.lift, treatment.mean / control.mean - 1.0);
            close(seen.interval.low, low);
            close(seen.interval.high, high);
        }
    }

    /// Nothing but chance, groups of unequal size and variance, as where a test that pools variances or takes
    /// the normal distribution errs: one in twenty is rejected.
    #[test]
    fn it_errs_as_often_as_it_says() {
        let (mut chance, rounds) = (Chance(3), 20_000);
        let rejected = (0..rounds).filter(|_| {
            let few = summary((0..8).map(|_| 5.0 + 3.0 * chance.normal()));
            let many = summary((0..32).map(|_| 5.0 + chance.normal()));
            difference_of_means(few, many, 0.95).unwrap().p_value <= 0.05
        });
        let share = rejected.count() as f64 / f64::from(rounds);
        assert!((0.045..0.055).contains(&share), "{share} rejected");
    }

    /// The p-value is up to 1 − level where the interval does not hold 0, and only there.
    #[test]
    fn the_interval_and_the_p_value_agree() {
        let mut chance = Chance(5);
        for _ in 0..500 {
            let one = summary((0..12).map(|_| chance.exponential()));
            let other = summary((0..9).map(|_| 1.5 * chance.exponential()));
            for level in [0.8, 0.95] {
                let seen = difference_of_means(one, other, level).unwrap();
                let holds = seen.interval.low <= 0.0 && 0.0 <= seen.interval.high;
                assert_eq!(holds, seen.p_value >= 1.0 - level, "{seen:?}");
            }
        }
    }

    #[test]
    fn the_interval_of_the_lift_covers() {
        let (mut chance, rounds) = (Chance(9), 4_000);
        let held = (0..rounds).filter(|_| {
            let treatment = summary((0..200).map(|_| 1.3 * chance.exponential()));
            let control = summary((0..100).map(|_| chance.exponential()));
            let Interval { low, high } = lift(treatment, control, 0.95).unwrap().interval;
            low <= 0.3 && 0.3 <= high
        });
        let share = held.count() as f64 / f64::from(rounds);
        assert!((0.935..0.96).contains(&share), "{share} of the intervals hold 0.3");
    }

    #[test]
    fn what_can_t_be_said_is_not() {
        let same = |mean: f64| Summary { users: 5, mean, variance: 0.0 };
        assert_eq!(difference_of_means(same(1.0), same(2.0), 0.95), None);
        assert!(difference_of_means(Summary { variance: 1.0, ..same(1.0) }, same(2.0), 0.95).is_some());
        assert_eq!(lift(same(1.0), same(0.0), 0.95), None);
        assert_eq!(lift(same(1.0), same(-1.0), 0.95), None);
        // Tiny values: their squares' squares are 0.
        let tiny = |mean: f64| Summary { users: 5, mean, variance: 1e-200 };
        let seen = difference_of_means(tiny(1e-100), tiny(0.0), 0.95).unwrap();
        close(seen.degrees_of_freedom, 8.0);
    }
}
