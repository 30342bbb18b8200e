//! A small sum per position of a block, for totals of scattered rows.

use crate::block::Block;
use crate::kernels;
use crate::tally::Counts;

/// Sums that stop growing at [`SmallSums::MOST`]: exact wherever they are below it. 64 KB; make one per
/// thread and reuse it.
pub struct SmallSums {
    counts: Counts,
}

impl SmallSums {
    pub const MOST: u8 = u8::MAX;

    pub fn boxed() -> Box<SmallSums> {
        Box::new(SmallSums { counts: [0; Block::BITS as usize] })
    }

    pub fn add(&mut self, position: u16, value: u8) {
        let sum = &mut self.counts[usize::from(position)];
        *sum = sum.saturating_add(value);
    }

    /// `out` becomes the positions whose sum lies from `low` to `high`, both included; every sum becomes 0,
    /// which costs next to nothing while they are in the cache.
    pub fn take_between(&mut self, low: u8, high: u8, out: &mut Block) {
        kernels::take_counts_between(&mut self.counts, low, high, &mut out.words);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_taken_and_start_again_at_zero() {
        let (mut sums, mut out) = (SmallSums::boxed(), Block::boxed());
        for _ in 0..2 {
            for (position, value) in [(0, 1), (0, 2), (63, 3), (64, 200), (64, 200), (u16::MAX, 4)] {
                sums.add(position, value);
            }
            sums.take_between(3, 4, &mut out);
            assert_eq!(
                [0, 63, 64, u16::MAX].map(|position| out.contains(position)),
                [true, true, false, true]
            );
            assert_eq!(out.count(), 3);
        }
        sums.add(64, 200);
        sums.add(64, 200);
        sums.take_between(SmallSums::MOST, SmallSums::MOST, &mut out);
        assert_eq!((out.count(), out.contains(64)), (1, true));
    }
}
