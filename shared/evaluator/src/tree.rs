//! The rule's tree over one block.

use muster_bitmaps::Block;
use muster_rules::Node;

use crate::operators::Opened;
use crate::scratch::{Pool, Scratch};

/// Where the blocks of the conditions come from.
pub(crate) enum Leaves<'a> {
    /// All were filled before, because their counts are wanted.
    Ready(&'a [Box<Block>]),
    /// Filled when the tree comes to them.
    Lazy { opened: &'a [Opened<'a>], key: u16, scratch: &'a mut Scratch },
}

impl Leaves<'_> {
    fn fill(&mut self, index: usize, out: &mut Block) {
        match self {
            Leaves::Ready(blocks) => out.copy_from(&blocks[index]),
            Leaves::Lazy { opened, key, scratch } => opened[index].block(*key, scratch, out),
        }
    }
}

/// `out` becomes the users of `universe` that satisfy `node`. Depth is bounded by the rule's caps.
pub(crate) fn evaluate(
    node: &Node,
    universe: &Block,
    leaves: &mut Leaves<'_>,
    pool: &mut Pool,
    out: &mut Block,
) {
    match node {
        Node::Leaf(index) => {
            leaves.fill(*index, out);
            out.and(universe);
        }
        Node::Not(inner) => {
            evaluate(inner, universe, leaves, pool, out);
            out.not();
            out.and(universe);
        }
        Node::All(nodes) => {
            out.copy_from(universe);
            let mut part = pool.take();
            for node in nodes {
                if out.is_empty() {
                    break;
                }
                evaluate(node, universe, leaves, pool, &mut part);
                out.and(&part);
            }
            pool.put(part);
        }
        Node::Any(nodes) => {
            out.clear();
            let mut part = pool.take();
            for node in nodes {
                evaluate(node, universe, leaves, pool, &mut part);
                out.or(&part);
            }
            pool.put(part);
        }
    }
}
