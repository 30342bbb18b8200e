//! How fast this machine reads memory: the floor under every rule.

use std::hint::black_box;
use std::time::Instant;

use crate::times::median;

/// Larger than any cache it may share.
const BYTES: usize = 512 << 20;
const ROUNDS: usize = 9;

/// Bytes a second that `threads` read together, each its own stretch, median of some rounds.
pub fn measure(threads: usize) -> f64 {
    let memory: Vec<u64> = (0..BYTES as u64 / 8).collect();
    let share = memory.len() / threads;
    let rounds = (0..ROUNDS).map(|_| {
        let began = Instant::now();
        std::thread::scope(|scope| {
            for part in memory.chunks_exact(share) {
                scope.spawn(move || black_box(sum(part)));
            }
        });
        (share * threads * 8) as f64 / began.elapsed().as_secs_f64()
    });
    median(rounds.collect())
}

fn sum(words: &[u64]) -> u64 {
    let mut lanes = [0u64; 32];
    for chunk in words.as_chunks::<32>().0 {
        for (lane, word) in lanes.iter_mut().zip(chunk) {
            *lane = lane.wrapping_add(*word);
        }
    }
    lanes.iter().fold(0, |sum, lane| sum.wrapping_add(*lane))
}
