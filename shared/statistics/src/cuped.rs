//! Less noise from what is known of users since before the experiment (Deng, Xu, Kohavi and Walker, *WSDM* 2013,
//! 123–132: CUPED).

use crate::{Paired, Summary};

/// Both groups with what their `x` explains taken away; compare them as any others. The mean of all users' `x`,
/// which stays in both means, is the same in both: it cancels in their difference, and all but does in a small
/// lift.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adjusted {
    pub treatment: Summary,
    pub control: Summary,
    /// What a unit of `x` is worth in `y`.
    pub theta: f64,
    /// The share of the variance of the difference of means that is gone: with 0.5, half the users tell as much.
    /// Hardly ever, and hardly, below 0.
    pub removed: f64,
}

/// y − θ (x − mean x) of every user, with θ = cov(y, x) / var(x) of both groups, pooled within them so that the
/// effect does not enter. `x` has to be from before the experiment: whatever the treatment moves in it would be
/// taken from the effect. Where all users have the same `x`, nothing is taken away. None where a group has fewer
/// than two users, or its `y` and `x` are not of equally many.
pub fn cuped(treatment: Paired, control: Paired) -> Option<Adjusted> {
    let pooled = |of: fn(Paired) -> Option<f64>| {
        let part = |group: Paired| Some(of(group)? * (group.y.users as f64 - 1.0));
        Some(part(treatment)? + part(control)?)
    };
    let (together, own) = (pooled(Paired::covariance)?, pooled(|group| group.x.variance())?);
    let theta = if own > 0.0 { together / own } else { 0.0 };
    let mean_x = (treatment.x.sum + control.x.sum) / (treatment.x.users as f64 + control.x.users as f64);
    let adjusted = |group: Paired| {
        let (y, x) = (group.y.summary()?, group.x.summary()?);
        let variance = y.variance - 2.0 * theta * group.covariance()? + theta * theta * x.variance;
        Some(Summary {
            users: y.users,
            mean: y.mean - theta * (x.mean - mean_x),
            // Rounding may take it below 0 where x is all there is to y.
            variance: variance.max(0.0),
        })
    };
    let error = |treatment: Summary, control: Summary| treatment.error_squared() + control.error_squared();
    let before = error(treatment.y.summary()?, control.y.summary()?);
    let (treatment, control) = (adjusted(treatment)?, adjusted(control)?);
    let removed = if before > 0.0 { 1.0 - error(treatment, control) / before } else { 0.0 };
    Some(Adjusted { treatment, control, theta, removed })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::chance::Chance;
    use crate::{Moments, difference_of_means};

    fn paired(users: impl IntoIterator<Item = (f64, f64)>) -> Paired {
        let mut group = Paired::default();
        let add = |moments: &mut Moments, value: f64| {
            moments.users += 1;
            moments.sum += value;
            moments.sum_squares += value * value;
        };
        for (y, x) in users {
            add(&mut group.y, y);
            add(&mut group.x, x);
            group.sum_products += y * x;
        }
        group
    }

    /// statsmodels 0.15.0, OLS(y, [1, treated, x]): its slope is θ and its effect is the difference. The rest is
    /// scipy 1.17.1, stats.ttest_ind(…, equal_var=False) of the users' y − θ (x − mean x).
    #[test]
    fn it_is_the_effect_beside_x_of_a_regression() {
        let treatment = paired([
            (3.5, 4.0),
            (5.9, 5.0),
            (6.7, 7.0),
            (7.8, 9.0),
            (-0.2, 0.0),
            (1.4, 1.0),
            (7.4, 8.0),
            (7.8, 9.0),
            (4.5, 2.0),
            (4.9, 3.0),
            (3.3, 8.0),
            (1.4, 4.0),
        ]);
        let control = paired([
            (1.3, 2.0),
            (5.8, 8.0),
            (1.9, 2.0),
            (3.5, 4.0),
            (8.0, 6.0),
            (2.3, 5.0),
            (-0.6, 0.0),
            (3.1, 0.0),
            (7.4, 8.0),
            (6.6, 7.0),
            (5.6, 8.0),
            (1.5, 5.0),
            (6.7, 8.0),
            (2.6, 3.0),
            (1.4, 4.0),
        ]);
        let seen = cuped(treatment, control).unwrap();
        let welch = difference_of_means(seen.treatment, seen.control, 0.95).unwrap();
        for (seen, expected) in [
            (seen.theta, 0.7147761194029852),
            (welch.difference, 0.4884079601990059),
            (welch.p_value, 0.4449593410629391),
            (welch.interval.low, -0.8107366457568121),
            (welch.interval.high, 1.7875525661548226),
            (seen.treatment.mean, 4.400967385295743),
            (seen.control.variance, 2.5490766317665416),
            (seen.removed, 0.6349532019784832),
        ] {
            assert!((seen / expected - 1.0).abs() < 1e-9, "{seen} instead of {expected}");
        }
    }

    /// x explains four fifths of y: the interval holds the effect as often as it says, and is √5 times narrower.
    #[test]
    fn it_covers_and_is_narrower() {
        let (mut chance, rounds, effect) = (Chance(29), 4_000, 0.3);
        let (mut held, mut width, mut plain_width) = (0, 0.0, 0.0);
        for _ in 0..rounds {
            let mut draw = |users: u32, effect: f64| {
                paired((0..users).map(|_| {
                    let x = chance.exponential();
                    (2.0 * x + chance.normal() + effect, x)
                }))
            };
            let (treatment, control) = (draw(60, effect), draw(90, 0.0));
            let seen = cuped(treatment, control).unwrap();
            let welch = |treatment, control| difference_of_means(treatment, control, 0.95).unwrap().interval;
            let interval = welch(seen.treatment, seen.control);
            let plain = welch(treatment.y.summary().unwrap(), control.y.summary().unwrap());
            held += u32::from(interval.low <= effect && effect <= interval.high);
            width += interval.high - interval.low;
            plain_width += plain.high - plain.low;
        }
        let share = f64::from(held) / f64::from(rounds);
        assert!((0.94..0.96).contains(&share), "{share} of the intervals hold the effect");
        let narrower = plain_width / width;
        assert!((2.1..2.35).contains(&narrower), "{narrower}");
    }

    #[test]
    fn what_x_does_not_tell_is_left() {
        let same_x = [(1.0, 4.0), (2.0, 4.0), (4.0, 4.0)];
        let seen = cuped(paired(same_x), paired([(1.0, 4.0), (7.0, 4.0)])).unwrap();
        assert_eq!((seen.theta, seen.removed), (0.0, 0.0));
        assert_eq!(seen.treatment, paired(same_x).y.summary().unwrap());
        // And where x tells all, nothing is left to chance.
        let all = |users: &[f64]| paired(users.iter().map(|x| (3.0 * x, *x)));
        let seen = cuped(all(&[0.1, 0.7, 0.4]), all(&[0.3, 0.9])).unwrap();
        assert!((seen.theta - 3.0).abs() < 1e-12 && seen.removed > 1.0 - 1e-12, "{seen:?}");
        assert_eq!(cuped(paired([(1.0, 1.0)]), paired(same_x)), None);
    }
}
