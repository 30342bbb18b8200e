//! Memory that one thread evaluates in, reused from block to block.

use muster_bitmaps::{Block, Planes, SmallSums, TallyScratch};

/// Scratch of the operators.
pub(crate) struct Scratch {
    pub positive: Planes,
    pub negative: Planes,
    pub tally: TallyScratch,
    pub small: Box<SmallSums>,
    pub blocks: Pool,
}

impl Default for Scratch {
    fn default() -> Scratch {
        Scratch {
            positive: Planes::default(),
            negative: Planes::default(),
            tally: TallyScratch::default(),
            small: SmallSums::boxed(),
            blocks: Pool::default(),
        }
    }
}

impl Scratch {
    pub fn clear_sums(&mut self) {
        self.positive.clear();
        self.negative.clear();
    }
}

/// Blocks that are taken for a while and put back.
#[derive(Default)]
pub(crate) struct Pool(Vec<Box<Block>>);

impl Pool {
    /// A block with whatever was left in it.
    pub fn take(&mut self) -> Box<Block> {
        self.0.pop().unwrap_or_else(Block::boxed)
    }

    pub fn put(&mut self, block: Box<Block>) {
        self.0.push(block);
    }
}
