//! What a sample of the users says about all of them: the estimate and its 95 % interval. Pure arithmetic.
//!
//! A user's bucket is a hash of its id, so the users of whole buckets are a simple random sample without
//! replacement. The share p of such a sample of n out of N has the variance P(1-P)/n * (N-n)/(N-1), the
//! last factor being the finite-population correction (Cochran, Sampling Techniques, 3rd ed., 1977,
//! theorem 3.2). The interval holds every P that a sample like this one does not speak against (E. B.
//! Wilson, J. Am. Stat. Assoc. 22, 1927), with the correction for continuity (R. G. Newcombe, Statistics in
//! Medicine 17, 1998, method 4), which matters for a handful of hits and is nothing for thousands. Unlike
//! p ± 1.96 standard errors it has a width where p is 0 or 1.

/// The standard normal distribution has 95 % of its mass within so many deviations.
const DEVIATIONS: f64 = 1.959_963_984_540_054;

/// So many users were looked at, of so many; at least one, and never more than there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    pub users: u64,
    pub of: u64,
}

impl Sample {
    /// How many of all users there are like the `hits` of the sample.
    pub fn estimate(self, hits: u64) -> u64 {
        let (hits, users, of) = (u128::from(hits), u128::from(self.users), u128::from(self.of));
        ((2 * hits * of + users) / (2 * users)) as u64
    }

    /// Between which numbers that of all users lies, with 95 % confidence. Never below the hits nor above
    /// what the misses leave, so that the sample of everyone has an interval of one number.
    pub fn interval(self, hits: u64) -> (u64, u64) {
        let (users, of) = (self.users as f64, self.of as f64);
        let share = hits as f64 / users;
        let left = (self.of - self.users) as f64 / (of - 1.0).max(1.0);
        let variance = DEVIATIONS * DEVIATIONS * left / users;
        // Solves (P - at)^2 = variance * P(1-P), where `at` is the share with its half step of continuity.
        let end = |at: f64, sign: f64| {
            let root = (variance * (variance + 4.0 * at * (1.0 - at))).max(0.0).sqrt();
            (2.0 * at + variance + sign * root) / (2.0 * (1.0 + variance))
        };
        let step = 0.5 / users;
        // A number of users is whole: the whole ones inside. Where all or none were hits, one end is certain.
        let low = if hits == 0 { 0.0 } else { (end(share - step, -1.0) * of).ceil() };
        let most = self.of - (self.users - hits);
        let high = if hits == self.users { of } else { (end(share + step, 1.0) * of).floor() };
        ((low as u64).max(hits), (high as u64).min(most))
    }

    /// Whether neither end of the interval is further from the estimate than `within` of it.
    pub fn is_within(self, hits: u64, within: f64) -> bool {
        let (count, (low, high)) = (self.estimate(hits), self.interval(hits));
        (count - low).max(high - count) as f64 <= within * count as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of a population so large that taking the sample out of it changes nothing.
    fn share(hits: u64, users: u64) -> [f64; 2] {
        const OF: u64 = 1_000_000_000_000;
        let (low, high) = Sample { users, of: OF }.interval(hits);
        [low, high].map(|end| (end as f64 / OF as f64 * 1e4).round() / 1e4)
    }

    /// Newcombe 1998, table I, method 4.
    #[test]
    fn published_intervals() {
        assert_eq!(share(81, 263), [0.2535, 0.3682]);
        assert_eq!(share(15, 148), [0.0598, 0.1644]);
        assert_eq!(share(0, 20), [0.0, 0.2005]);
        assert_eq!(share(1, 29), [0.0018, 0.1963]);
        assert_eq!(share(20, 20), [0.7995, 1.0]);
    }

    /// 20 of 100, N = 200: the correction is 100/199, so variance = 3.841459 * 100 / 199 / 100 =
    /// 0.01930381. Low, at 0.195: (0.40930381 - sqrt(0.01930381 * (0.01930381 + 0.6279))) / 2.03860762 =
    /// 0.14594709, so 29.19 users; high, at 0.205: (0.42930381 + sqrt(0.01930381 * (0.01930381 +
    /// 0.6519))) / 2.03860762 = 0.26642330, so 53.28 users.
    #[test]
    fn an_interval_by_hand() {
        assert_eq!(Sample { users: 100, of: 200 }.interval(20), (30, 53));
        assert_eq!(Sample { users: 100, of: 200 }.estimate(20), 40);
    }

    #[test]
    fn what_was_seen_is_certain() {
        for (users, of) in [(1, 1), (1, 2), (7, 9), (50, 51), (99, 100), (100, 100), (1000, u64::MAX >> 12)] {
            let sample = Sample { users, of };
            for hits in 0..=users {
                let (low, high) = sample.interval(hits);
                let estimate = sample.estimate(hits);
                assert!(hits <= low && high <= of - (users - hits), "{hits} of {sample:?}");
                assert!(low <= estimate && estimate <= high, "{hits} of {sample:?}");
                assert!(users < of || (low, high) == (hits, hits), "{hits} of {sample:?}");
            }
        }
    }

    #[test]
    fn the_two_ends_mirror_each_other() {
        let sample = Sample { users: 40, of: 130 };
        for hits in 0..=40 {
            let (low, high) = sample.interval(hits);
            assert_eq!(sample.interval(40 - hits), (130 - high, 130 - low));
        }
    }

    /// For every number there can be, how often it is held, over every sample there can be.
    #[test]
    fn it_holds_at_least_95_times_in_100() {
        for (users, of) in [(10u64, 60u64), (20, 40), (30, 240), (60, 480), (100, 160), (2, 30)] {
            let choose = choose(of);
            let held = |all: u64| -> f64 {
                let possible = users.saturating_sub(of - all)..=users.min(all);
                let held = possible.filter(|&hits| {
                    let (low, high) = Sample { users, of }.interval(hits);
                    low <= all && all <= high
                });
                held.map(|hits| {
                    (choose(all, hits) + choose(of - all, users - hits) - choose(of, users)).exp()
                })
                .sum()
            };
            let worst = (0..=of).map(held).fold(1.0, f64::min);
            assert!(worst > 0.95, "{users} of {of}: {worst}");
        }
    }

    /// The logarithm of the number of ways to choose `k` of `n`, for n up to `most`.
    fn choose(most: u64) -> impl Fn(u64, u64) -> f64 {
        let factorials: Vec<f64> = std::iter::once(0.0)
            .chain((1..=most).scan(0.0, |sum, n| {
                *sum += (n as f64).ln();
                Some(*sum)
            }))
            .collect();
        move |n, k| factorials[n as usize] - factorials[k as usize] - factorials[(n - k) as usize]
    }
}
