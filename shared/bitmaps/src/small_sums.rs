//! A small sum per position of a block, for totals of scattered rows.

use crate::block::Block;
use crate::kernels;
use crate::tally::Counts;

/// Sums that stop growing at [`SmallSums::MOST`]: exact wherever they are below it. 64 KB; make one per
/// thread and reuse it.
pub struct SmallSums {
    counts: Box<Counts>,
}

impl Default for SmallSums {
    fn default() -> SmallSums {
        let counts = vec![0; Block::BITS as usize].into_boxed_slice();
        SmallSums { counts: counts.try_into().expect("a count per position") }
    }
}

impl SmallSums {
    pub const MOST: u8 = u8::MAX;

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
