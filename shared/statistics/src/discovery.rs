//! Many tests at once: which of them to believe.

/// The probability that a standard normal value lies as far from 0 as `z` or farther, on either side.
pub fn two_sided(z: f64) -> f64 {
    libm::erfc(z.abs() / std::f64::consts::SQRT_2)
}

/// The smallest false discovery rate at which each of the tests is a discovery: its p-value times the number of
/// tests over its rank, made monotone from the largest p-value down (Benjamini and Hochberg, *Journal of the
/// Royal Statistical Society B* 57 (1995), 289–300). Of those with a q-value up to 0.05, chance explains one in
/// twenty on average, where the tests are independent or positively dependent. In the order of `p_values`, which
/// are in 0 to 1.
pub fn q_values(p_values: &[f64]) -> Vec<f64> {
    let tests = p_values.len() as f64;
    let mut order: Vec<usize> = (0..p_values.len()).collect();
    order.sort_by(|a, b| p_values[*b].total_cmp(&p_values[*a]));
    let mut q_values = vec![1.0; p_values.len()];
    let mut least: f64 = 1.0;
    for (greater, place) in order.into_iter().enumerate() {
        let rank = tests - greater as f64;
        least = least.min(p_values[place] * tests / rank);
        q_values[place] = least;
    }
    q_values
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Quantiles of the standard normal distribution, from its tables.
    #[test]
    fn both_tails_of_the_normal_distribution() {
        for (z, p) in [(0.0, 1.0), (1.959_963_985, 0.05), (-2.575_829_304, 0.01), (3.290_526_731, 0.001)] {
            assert!((two_sided(z) - p).abs() < 1e-9, "{z}: {}", two_sided(z));
        }
        // Far out it is small, not 0.
        assert!((two_sided(10.0) / 1.523_970_6e-23 - 1.0).abs() < 1e-6, "{}", two_sided(10.0));
    }

    /// The fifteen p-values of Benjamini and Hochberg (1995), § 4.1: four hypotheses are rejected at 0.05.
    #[test]
    fn the_example_of_the_paper() {
        let p = [
            0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240, 0.4262, 0.5719,
            0.6528, 0.7590, 1.0000,
        ];
        let mut shuffled = p;
        shuffled.reverse();
        let q = q_values(&shuffled);
        assert_eq!(q.iter().filter(|q| **q <= 0.05).count(), 4);
        assert!((q[14] - 0.0015).abs() < 1e-12 && (q[13] - 0.003).abs() < 1e-12, "{q:?}");
        assert!((q[11] - 0.0095 * 15.0 / 4.0).abs() < 1e-12, "{q:?}");
        // 0.0278 · 15/6 = 0.0695, but 0.0298 · 15/7 is less.
        assert!((q[9] - 0.0298 * 15.0 / 7.0).abs() < 1e-12, "{q:?}");
        assert_eq!(q[0], 1.0);
        assert!(q_values(&[]).is_empty());
    }

    /// Nothing but chance: at a rate of 0.05 hardly one family in twenty has a discovery.
    #[test]
    fn chance_makes_few_discoveries() {
        let mut state = 11u64;
        let mut chance = || {
            // xorshift64*
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            (state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
        };
        let families = 2_000;
        let found = (0..families).filter(|_| {
            let p: Vec<f64> = (0..50).map(|_| chance()).collect();
            q_values(&p).iter().any(|q| *q <= 0.05)
        });
        let share = found.count() as f64 / f64::from(families);
        assert!((0.03..0.07).contains(&share), "{share} of the families");
    }
}
