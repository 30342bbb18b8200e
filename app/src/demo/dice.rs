//! Random draws that come out the same on every machine: ChaCha8 (a stream defined by its algorithm, not
//! by a library's version) and integer arithmetic only, so that neither `rand`'s samplers nor a
//! platform's floating-point functions have a say.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{RngCore, SeedableRng};

/// One stream of draws.
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// Streams of one seed are independent of each other.
    pub fn new(seed: u64, stream: u64) -> Dice {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(stream);
        Dice(rng)
    }

    /// A number in `0..n`; `n` is at least 1.
    pub fn below(&mut self, n: u64) -> u64 {
        ((u128::from(self.0.next_u64()) * u128::from(n)) >> 64) as u64
    }

    /// A number in `low..=high`.
    pub fn between(&mut self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True `n` times in a thousand.
    pub fn permille(&mut self, n: u64) -> bool {
        self.below(1000) < n
    }

    /// An index into `weights`, each as likely as its weight.
    pub fn pick(&mut self, weights: &[u32]) -> usize {
        let mut left = self.below(weights.iter().map(|w| u64::from(*w)).sum());
        for (index, weight) in weights.iter().enumerate() {
            let weight = u64::from(*weight);
            if left < weight {
                return index;
            }
            left -= weight;
        }
        unreachable!("the draw is below the sum of the weights")
    }

    /// One of `items`, each as likely as the others.
    pub fn choose<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        &items[self.below(items.len() as u64) as usize]
    }

    /// Between 1 and `most`, each further step half as likely as the one before.
    pub fn halving(&mut self, most: u64) -> u64 {
        (u64::from(self.0.next_u64().trailing_ones()) + 1).min(most)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_keep_to_their_bounds_and_to_their_weights() {
        let mut dice = Dice::new(1, 2);
        let mut seen = [0; 3];
        for _ in 0..6000 {
            assert!((3..=5).contains(&dice.between(3, 5)));
            assert!((1..=4).contains(&dice.halving(4)));
            seen[dice.pick(&[1, 0, 2])] += 1;
        }
        assert_eq!(seen[1], 0);
        assert!((1800..2200).contains(&seen[0]), "{seen:?}");
    }

    #[test]
    fn a_stream_is_fixed_for_ever() {
        let mut dice = Dice::new(7, 0);
        let drawn: Vec<u64> = (0..4).map(|_| dice.below(1_000_000)).collect();
        let mut again = Dice::new(7, 0);
        assert_eq!(drawn, (0..4).map(|_| again.below(1_000_000)).collect::<Vec<_>>());
        let mut other = Dice::new(7, 1);
        assert_ne!(drawn, (0..4).map(|_| other.below(1_000_000)).collect::<Vec<_>>());
    }
}
