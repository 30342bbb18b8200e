//! Blocks against plain sets of positions.

mod samples;

use std::collections::BTreeSet;

use muster_bitmaps::{BitmapView, Block, Container, encode};
use rand::{Rng, SeedableRng, rngs::StdRng};
use roaring::RoaringBitmap;

fn block_of(set: &BTreeSet<u16>) -> Box<Block> {
    let mut block = Block::boxed();
    set.iter().for_each(|position| block.insert(*position));
    block
}

fn check(block: &Block, expected: &BTreeSet<u16>) {
    assert!(block.iter().eq(expected.iter().copied()));
    assert_eq!(block.count() as usize, expected.len());
    assert_eq!(block.is_empty(), expected.is_empty());
    for position in (0..=65_535).step_by(61) {
        assert_eq!(block.contains(position), expected.contains(&position));
    }
}

fn positions(container: &Container<'_>) -> BTreeSet<u16> {
    let mut set = BTreeSet::new();
    container.for_each(|position| {
        set.insert(position);
    });
    set
}

#[test]
fn operations_with_containers_and_blocks() {
    let mut random = StdRng::seed_from_u64(1);
    let mut tried = 0;
    for _ in 0..40 {
        let (left, right) = (samples::bitmap(&mut random), samples::bitmap(&mut random));
        let (left, right) = (samples::portable(&left), encode(&right));
        let (left, right) = (BitmapView::parse(&left).unwrap(), BitmapView::parse(&right).unwrap());
        for ((_, a), (_, b)) in left.containers().zip(right.containers()) {
            tried += 1;
            let (mine, other) = (positions(&a), positions(&b));
            let (mine_block, other_block) = (block_of(&mine), block_of(&other));
            let run = |operation: &dyn Fn(&mut Block)| {
                let mut block = mine_block.clone();
                operation(&mut block);
                block
            };
            check(&run(&|_| {}), &mine);
            check(&run(&|block| block.or(&other_block)), &(&mine | &other));
            check(&run(&|block| block.or_container(&b)), &(&mine | &other));
            check(&run(&|block| block.and(&other_block)), &(&mine & &other));
            check(&run(&|block| block.and_container(&b)), &(&mine & &other));
            check(&run(&|block| block.and_not(&other_block)), &(&mine - &other));
            check(&run(&|block| block.and_not_container(&b)), &(&mine - &other));
            check(&run(&|block| block.copy_from(&other_block)), &other);
            check(&run(&|block| block.set_container(&b)), &other);
            check(&run(&|block| block.not()), &(0..=65_535).filter(|p| !mine.contains(p)).collect());
            let both = (&mine & &other).len() as u32;
            assert_eq!(mine_block.and_count(&other_block), both);
            assert_eq!(mine_block.and_count_container(&b), both);
            assert_eq!(positions(&mine_block.as_container()), mine);
        }
    }
    assert!(tried > 60);
}

#[test]
fn prefixes() {
    let mut block = Block::boxed();
    for n in [0, 1, 63, 64, 65, 127, 128, 4_096, 65_471, 65_472, 65_535, 65_536] {
        block.fill();
        block.set_prefix(n);
        check(&block, &(0..n).map(|position| position as u16).collect());
    }
    block.set_prefix(u32::MAX);
    assert_eq!(block.count(), Block::BITS);
    block.clear();
    assert!(block.is_empty());
    block.insert(65_535);
    assert!(!block.is_empty());
    block.fill();
    assert_eq!(block.count(), Block::BITS);
}

#[test]
fn to_and_from_roaring() {
    let mut random = StdRng::seed_from_u64(2);
    for _ in 0..100 {
        let bitmap = samples::bitmap(&mut random);
        let mut copy = RoaringBitmap::new();
        let mut block = Block::boxed();
        for key in (0..32).chain([65_535]) {
            block.clear();
            block.or_roaring(key, &bitmap);
            block.append_to(key, &mut copy);
        }
        assert_eq!(copy, bitmap);
    }
}

/// Array and run containers whose contents were never checked: wrong answers, never a panic.
#[test]
fn containers_that_lie() {
    let mut random = StdRng::seed_from_u64(3);
    for _ in 0..2_000 {
        let bytes: Vec<u8> = (0..random.random_range(0..64)).map(|_| random.random()).collect();
        for container in [Container::Array(bytes.as_chunks().0), Container::Runs(bytes.as_chunks().0)] {
            let mut block = Block::boxed();
            block.or_container(&container);
            block.and_container(&container);
            block.and_count_container(&container);
            block.and_not_container(&container);
            container.contains(random.random());
            container.count();
        }
    }
}
