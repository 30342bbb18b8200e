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
    /// Filled when a tree first comes to them, and kept for others.
    Shared { opened: &'a [Opened<'a>], shared: &'a mut Shared, key: u16, scratch: &'a mut Scratch },
}

/// Blocks that are filled when they are first asked for.
#[derive(Default)]
pub(crate) struct Shared {
    blocks: Vec<Box<Block>>,
    filled: Vec<bool>,
}

impl Shared {
    /// Makes `count` blocks wait to be filled.
    pub fn forget(&mut self, count: usize) {
        self.filled.clear();
        self.filled.resize(count, false);
        if self.blocks.len() < count {
            self.blocks.resize_with(count, Block::boxed);
        }
    }

    pub fn get(&mut self, index: usize, fill: impl FnOnce(&mut Block)) -> &Block {
        if !std::mem::replace(&mut self.filled[index], true) {
            fill(&mut self.blocks[index]);
        }
        &self.blocks[index]
    }
}

impl Leaves<'_> {
    /// Gives the users that satisfy condition `index` to `apply`.
    fn with(&mut self, index: usize, pool: &mut Pool, apply: impl FnOnce(&Block)) {
        match self {
            Leaves::Ready(blocks) => apply(&blocks[index]),
            Leaves::Lazy { opened, key, scratch } => {
                let mut part = pool.take();
                opened[index].block(*key, scratch, &mut part);
                apply(&part);
                pool.put(part);
            }
            Leaves::Shared { opened, shared, key, scratch } => {
                apply(shared.get(index, |out| opened[index].block(*key, scratch, out)));
            }
        }
    }
}

/// Keeps in `users` those that satisfy `node`. Depth is bounded by the rule's caps.
pub(crate) fn narrow(node: &Node, leaves: &mut Leaves<'_>, pool: &mut Pool, users: &mut Block) {
    if users.is_empty() {
        return;
    }
    match node {
        Node::Leaf(index) => leaves.with(*index, pool, |part| users.and(part)),
        Node::Not(inner) => {
            if let Node::Leaf(index) = **inner {
                return leaves.with(index, pool, |part| users.and_not(part));
            }
            let mut part = pool.take();
            part.copy_from(users);
            narrow(inner, leaves, pool, &mut part);
            users.and_not(&part);
            pool.put(part);
        }
        Node::All(nodes) => nodes.iter().for_each(|node| narrow(node, leaves, pool, users)),
        Node::Any(nodes) => {
            // Whoever satisfies one need not be looked at for the next.
            let (mut left, mut part) = (pool.take(), pool.take());
            left.copy_from(users);
            for node in nodes {
                part.copy_from(&left);
                narrow(node, leaves, pool, &mut part);
                left.and_not(&part);
            }
            users.and_not(&left);
            pool.put(left);
            pool.put(part);
        }
    }
}
