//! Shares of users, such as those who bought: moments of 0 and 1, and an interval that holds for small counts.

use crate::distributions::normal_quantile;
use crate::{Interval, Moments};

/// `some` of `users`, no more than all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Share {
    pub some: u64,
    pub users: u64,
}

impl Share {
    /// Of a value per user, 1 for some and 0 for the rest.
    pub fn moments(self) -> Moments {
        let some = self.some as f64;
        Moments { users: self.users, sum: some, sum_squares: some }
    }

    /// None of nobody.
    pub fn share(self) -> Option<f64> {
        self.moments().mean()
    }

    /// Wilson's score interval with the normal quantile `z`: the shares from which this one is up to z of their
    /// own standard errors away (*Journal of the American Statistical Association* 22 (1927), 209–212).
    fn wilson(self, z: f64) -> Option<Interval> {
        let (share, users) = (self.share()?, self.users as f64);
        let pull = z * z / users;
        let centre = (share + pull / 2.0) / (1.0 + pull);
        let reach = (share * (1.0 - share) * pull + pull * pull / 4.0).sqrt() / (1.0 + pull);
        Some(Interval::around(centre, reach))
    }
}

/// The interval of the share of the treated less that of control, from Wilson's of both: it stays in −1 to 1,
/// covers with a handful of users, and says something where nobody or everybody did it, which Welch's does not
/// (Newcombe, *Statistics in Medicine* 17 (1998), 873–890, method 10). With many users both are the same. None
/// where a group is of nobody.
pub fn interval_of_shares(treatment: Share, control: Share, level: f64) -> Option<Interval> {
    let z = normal_quantile(1.0 - level);
    let (p, q) = (treatment.share()?, control.share()?);
    let (treated, controlled) = (treatment.wilson(z)?, control.wilson(z)?);
    let difference = p - q;
    Some(Interval {
        low: difference - (p - treated.low).hypot(controlled.high - q),
        high: difference + (treated.high - p).hypot(q - controlled.low),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;
    use crate::difference_of_means;

    fn interval([a, m, b, n]: [u64; 4], level: f64) -> Interval {
        interval_of_shares(Share { some: a, users: m }, Share { some: b, users: n }, level).unwrap()
    }

    /// Newcombe (1998), table II, method 10: eight contrasts, as printed.
    #[test]
    fn the_examples_of_the_paper() {
        for (given, low, high) in [
            ([56, 70, 48, 80], 0.0524, 0.3339),
            ([9, 10, 3, 10], 0.1705, 0.8090),
            ([6, 7, 2, 7], 0.0582, 0.8062),
            ([5, 56, 0, 29], -0.0381, 0.1926),
            ([0, 10, 0, 20], -0.1611, 0.2775),
            ([0, 10, 0, 10], -0.2775, 0.2775),
            ([10, 10, 0, 20], 0.6791, 1.0),
            ([10, 10, 0, 10], 0.6075, 1.0),
        ] {
            let seen = interval(given, 0.95);
            let off = (seen.low - low).abs().max((seen.high - high).abs());
            assert!(off < 5.1e-5, "{given:?}: {seen:?}");
        }
    }

    /// statsmodels 0.15.0, confint_proportions_2indep(…, method="newcomb", compare="diff").
    #[test]
    fn intervals_as_statsmodels_has_them() {
        for (given, level, low, high) in [
            ([56, 70, 48, 80], 0.8, 0.10430593976377465, 0.2896655946541277),
            ([0, 10, 0, 20], 0.95, -0.1611251580528194, 0.27753279986288926),
            ([7, 100, 3, 110], 0.95, -0.01858297686204924, 0.11256972568479233),
            ([5120, 100_000, 5003, 100_001], 0.95, -0.0007510818993790168, 0.0030922864341739183),
            ([3, 3, 0, 4], 0.8, 0.5418664995436446, 1.0),
        ] {
            let seen = interval(given, level);
            let off = (seen.low / low - 1.0).abs().max((seen.high / high - 1.0).abs());
            assert!(off < 1e-9, "{given:?}: {seen:?}");
        }
    }

    /// Fifteen users and twenty-five: it covers where Welch's interval does not.
    #[test]
    fn it_covers_small_counts() {
        let (mut chance, rounds) = (Chance(17), 10_000);
        let (p, q) = (0.15, 0.03);
        let mut held = [0, 0];
        for _ in 0..rounds {
            let mut draw = |chances: f64, users: u64| {
                let some = (0..users).filter(|_| chance.uniform() < chances).count() as u64;
                Share { some, users }
            };
            let (treatment, control) = (draw(p, 15), draw(q, 25));
            let newcombe = interval_of_shares(treatment, control, 0.95);
            let summary = |share: Share| share.moments().summary().unwrap();
            let welch = difference_of_means(summary(treatment), summary(control), 0.95);
            for (held, interval) in held.iter_mut().zip([newcombe, welch.map(|welch| welch.interval)]) {
                *held += u32::from(interval.is_some_and(|seen| seen.low <= p - q && p - q <= seen.high));
            }
        }
        let [newcombe, welch] = held.map(|held| f64::from(held) / f64::from(rounds));
        assert!((0.93..0.99).contains(&newcombe), "{newcombe}");
        assert!(welch < 0.93, "{welch}");
    }

    #[test]
    fn what_can_t_be_said_is_not() {
        let (nobody, somebody) = (Share { some: 0, users: 0 }, Share { some: 1, users: 2 });
        assert_eq!(nobody.share(), None);
        assert_eq!(interval_of_shares(nobody, somebody, 0.95), None);
        assert_eq!(interval_of_shares(somebody, nobody, 0.95), None);
        assert_eq!(somebody.moments().variance(), Some(0.5));
    }
}
