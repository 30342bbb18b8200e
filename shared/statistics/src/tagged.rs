//! How much more often a crowd carries a tag than the whole app does, and how sure that is.

use crate::Interval;

/// Of the standard normal distribution, for 95 % on both sides.
const Z95: f64 = 1.959_963_984_540_054;

/// Users of a crowd and of the whole app, with and without a tag.
#[derive(Debug, Clone, Copy)]
pub struct Tagged {
    pub in_crowd: u64,
    pub crowd: u64,
    pub in_app: u64,
    pub app: u64,
}

impl Tagged {
    /// The share in the crowd over the share in the whole app; None where either is of nobody, or nobody in
    /// the app has the tag.
    pub fn index(self) -> Option<f64> {
        if self.crowd == 0 || self.app == 0 || self.in_app == 0 {
            return None;
        }
        let share = |some: u64, all: u64| some as f64 / all as f64;
        Some(share(self.in_crowd, self.crowd) / share(self.in_app, self.app))
    }

    /// exp(ln index ± 1.96 σ), σ² = 1/a − 1/n − 1/b − 1/N + 2a/(nb) with a of n users of the crowd and b of N
    /// users of the app carrying the tag: the variance of the logarithm by the delta method, the crowd being
    /// a part of the app (`docs/decisions/0011-metric-cells.md`). None where nobody in the crowd has the tag:
    /// there is no logarithm of 0.
    pub fn interval(self) -> Option<Interval> {
        let index = self.index().filter(|index| *index > 0.0)?;
        let [a, n, b, all] = [self.in_crowd, self.crowd, self.in_app, self.app].map(|users| users as f64);
        let variance = 1.0 / a - 1.0 / n - 1.0 / b - 1.0 / all + 2.0 * a / (n * b);
        // 0 for the whole app against itself, and rounding may take it below.
        let reach = (Z95 * variance.max(0.0).sqrt()).exp();
        Some(Interval { low: index / reach, high: index * reach })
    }

    /// How little chance explains that the crowd's share differs from that of the rest of the app: the root
    /// of the log-likelihood ratio G², below 0 where the crowd carries the tag less often
    /// (`docs/decisions/0011-metric-cells.md`). None where there is no index; 0 where the crowd is the app.
    pub fn surprise(self) -> Option<f64> {
        let index = self.index()?;
        if self.crowd >= self.app {
            return Some(0.0);
        }
        let rest = self.app.saturating_sub(self.crowd);
        let [a, n, b, all] = [self.in_crowd, self.crowd, self.in_app, self.app].map(|users| users as f64);
        let rest_tagged = self.in_app.saturating_sub(self.in_crowd).min(rest) as f64;
        let rest = rest as f64;
        let (tagged, bare) = (b / all, 1.0 - b / all);
        // Nobody, where somebody was expected, adds nothing: x ln x goes to 0 with x.
        let term = |seen: f64, expected: f64| match seen > 0.0 && expected > 0.0 {
            true => seen * (seen / expected).ln(),
            false => 0.0,
        };
        let half = term(a, n * tagged)
            + term(n - a, n * bare)
            + term(rest_tagged, rest * tagged)
            + term(rest - rest_tagged, rest * bare);
        // Rounding may take it below 0.
        let root = (2.0 * half).max(0.0).sqrt();
        Some(if index < 1.0 { -root } else { root })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tagged([in_crowd, crowd, in_app, app]: [u64; 4]) -> Tagged {
        Tagged { in_crowd, crowd, in_app, app }
    }

    #[test]
    fn the_app_against_itself_leaves_no_doubt() {
        let whole = tagged([30, 100, 30, 100]);
        assert_eq!(whole.index(), Some(1.0));
        let Interval { low, high } = whole.interval().unwrap();
        assert!((low - 1.0).abs() < 1e-9 && (high - 1.0).abs() < 1e-9, "{low} {high}");
    }

    #[test]
    fn what_can_t_be_said_is_not() {
        for nobody in [[0, 0, 30, 100], [0, 10, 0, 100], [0, 0, 0, 0]] {
            assert_eq!(tagged(nobody).index(), None);
            assert_eq!(tagged(nobody).interval(), None);
        }
        assert_eq!(tagged([0, 10, 30, 100]).index(), Some(0.0));
        assert_eq!(tagged([0, 10, 30, 100]).interval(), None);
    }

    /// Values from the entropies of the table and of its margins, in other words than the code's.
    #[test]
    fn surprise_is_the_signed_root_of_g_squared() {
        for (given, expected) in [
            ([30, 100, 130, 1000], 4.764743398),
            ([5, 100, 130, 1000], -2.788533620),
            ([0, 10, 30, 100], -2.756865996),
            ([10, 10, 30, 100], 5.179357545),
        ] {
            let surprise = tagged(given).surprise().unwrap();
            assert!((surprise - expected).abs() < 1e-6, "{given:?}: {surprise}");
        }
        assert!(tagged([30, 100, 30, 100]).surprise().unwrap().abs() < 1e-6);
        assert_eq!(tagged([0, 0, 30, 100]).surprise(), None);
        // Of ten million users: no doubt of the app itself, whatever rounding does.
        assert_eq!(tagged([3_333_333, 10_000_000, 3_333_333, 10_000_000]).surprise(), Some(0.0));
    }

    /// Users drawn at random, each with its chances: the interval holds the true index 95 times in 100.
    #[test]
    fn it_covers_what_it_says() {
        let mut state = 7u64;
        let mut chance = || {
            // xorshift64*
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
        };
        for (crowd, tag_in, tag_out) in [(0.3, 0.2, 0.1), (0.05, 0.5, 0.1), (0.6, 0.1, 0.4)] {
            let truth = tag_in / (crowd * tag_in + (1.0 - crowd) * tag_out);
            let (mut held, rounds) = (0, 2_000);
            for _ in 0..rounds {
                let mut drawn = tagged([0, 0, 0, 2_000]);
                for _ in 0..drawn.app {
                    let inside = chance() < crowd;
                    let tag = chance() < if inside { tag_in } else { tag_out };
                    drawn.crowd += u64::from(inside);
                    drawn.in_crowd += u64::from(inside && tag);
                    drawn.in_app += u64::from(tag);
                }
                let Interval { low, high } = drawn.interval().unwrap();
                held += u32::from(low <= truth && truth <= high);
            }
            let share = f64::from(held) / f64::from(rounds);
            assert!((0.93..0.97).contains(&share), "{share} of the intervals hold {truth}");
        }
    }
}
