//! Sums over many bit planes of one block, compared with constants: the planes are added four at a time by
//! carry-save adders. Planes with few positions are counted into bytes first, which join as planes of their
//! own.

use crate::block::Block;
use crate::container::Container;
use crate::kernels::{self, Bytes};

/// A counter per position of a block.
pub(crate) type Counts = [u8; Block::BITS as usize];

/// Bit planes of one block, to be added up.
pub struct Tally<'a, 's> {
    scratch: &'s mut TallyScratch,
    /// Planes that are not yet in the sums, by their weight as a power of two: fewer than four of each.
    waiting: Vec<Vec<Dense<'a>>>,
    /// Planes of the sums in use.
    depth: usize,
    sparse: Vec<(u8, Container<'a>)>,
}

enum Dense<'a> {
    Bits(&'a Bytes),
    Own(Box<Block>),
}

static ZEROS: Block = Block::zero();

/// Counters of sparse planes: a count of c stands for `c << base`.
struct Counters {
    base: u8,
    /// No count is above it.
    bound: u8,
    counts: Box<Counts>,
}

/// Memory that sums are worked out in; make one per thread and reuse it.
#[derive(Default)]
pub struct TallyScratch {
    counters: Vec<Counters>,
    /// The sums' bits, lowest first.
    planes: Vec<Box<Block>>,
    spare: Vec<Box<Block>>,
}

impl<'a, 's> Tally<'a, 's> {
    pub fn new(scratch: &'s mut TallyScratch) -> Tally<'a, 's> {
        Tally { scratch, waiting: Vec::new(), depth: 0, sparse: Vec::new() }
    }

    /// Adds 2 to the power of `weight` (below 128) at each position of `container`.
    pub fn add(&mut self, weight: u8, container: Container<'a>) {
        let dense = match container {
            Container::Array(_) => return self.sparse.push((weight, container)),
            Container::Bits(bytes) => Dense::Bits(bytes),
            Container::Masked { .. } | Container::Runs(_) => {
                let mut block = self.scratch.spare.pop().unwrap_or_else(Block::boxed);
                block.set_container(&container);
                Dense::Own(block)
            }
        };
        self.wait(weight.into(), dense);
    }

    fn wait(&mut self, weight: usize, plane: Dense<'a>) {
        if self.waiting.len() <= weight {
            self.waiting.resize_with(weight + 1, || Vec::with_capacity(4));
        }
        self.waiting[weight].push(plane);
        if self.waiting[weight].len() == 4 {
            self.add_waiting(weight);
        }
    }

    /// `out` becomes the positions whose sum lies from `low` to `high`, both included.
    pub fn between(mut self, low: u128, high: Option<u128>, out: &mut Block) {
        let counters = self.count_sparse();
        match &self.scratch.counters[..counters] {
            [] if self.waiting.is_empty() => return if low == 0 { out.fill() } else { out.clear() },
            [only] if self.waiting.is_empty() => return only.between(low, high, out),
            _ => (0..counters).for_each(|counter| self.add_counter(counter)),
        }
        let planes = self.add_up();
        let TallyScratch { planes: sums, spare, .. } = self.scratch;
        let sums = &sums[..planes];
        at_least(sums, low, out);
        if let Some(above) = high.and_then(|high| high.checked_add(1)) {
            let mut more = spare.pop().unwrap_or_else(Block::boxed);
            at_least(sums, above, &mut more);
            out.and_not(&more);
            spare.push(more);
        }
    }

    /// Adds what waits, and leaves the bits of the sums in the scratch's planes; how many they are.
    fn add_up(&mut self) -> usize {
        let mut weight = 0;
        while weight < self.waiting.len() {
            if !self.waiting[weight].is_empty() {
                self.add_waiting(weight);
            }
            weight += 1;
        }
        self.depth
    }

    /// Adds the planes that wait at `weight`, at most four, to the sums; their carry waits two weights up.
    fn add_waiting(&mut self, weight: usize) {
        let TallyScratch { planes, spare, .. } = &mut *self.scratch;
        while self.depth < weight + 2 {
            if planes.len() == self.depth {
                planes.push(Block::boxed());
            }
            planes[self.depth].clear();
            self.depth += 1;
        }
        let addends = &mut self.waiting[weight];
        let [sum, next] = &mut planes[weight..weight + 2] else { unreachable!("both were made ready") };
        let mut carry = spare.pop().unwrap_or_else(Block::boxed);
        let bits = std::array::from_fn(|i| addends.get(i).map_or(ZEROS.as_bytes(), Dense::bits));
        let carried = kernels::add_four(bits, &mut sum.words, &mut next.words, &mut carry.words);
        spare.extend(addends.drain(..).filter_map(Dense::into_own));
        match carried {
            true => self.wait(weight + 2, Dense::Own(carry)),
            false => spare.push(carry),
        }
    }

    /// Counts the sparse planes into as few counters as can't overflow; how many they are.
    fn count_sparse(&mut self) -> usize {
        let counters = &mut self.scratch.counters;
        self.sparse.sort_by_key(|(weight, _)| *weight);
        let mut used = 0;
        for (weight, container) in &self.sparse {
            let fits = counters[..used].last_mut().and_then(|last| {
                let one = 1u8.checked_shl((weight - last.base).into())?;
                last.bound = last.bound.checked_add(one)?;
                Some((last, one))
            });
            let (counter, one) = match fits {
                Some(fits) => fits,
                None => {
                    if used == counters.len() {
                        counters.push(Counters::new());
                    }
                    used += 1;
                    (counters[used - 1].begin(*weight), 1)
                }
            };
            let counts = &mut counter.counts;
            // It can't overflow unless a file's contents are wrong in spite of its checksums.
            container.for_each(|position| {
                let count = &mut counts[usize::from(position)];
                *count = count.wrapping_add(one);
            });
        }
        used
    }

    /// The bits of a counter's counts as planes.
    fn add_counter(&mut self, counter: usize) {
        let (base, bound) = (self.scratch.counters[counter].base, self.scratch.counters[counter].bound);
        for k in 0..(u8::BITS - bound.leading_zeros()) as u8 {
            let mut plane = self.scratch.spare.pop().unwrap_or_else(Block::boxed);
            kernels::counts_with_bit(&self.scratch.counters[counter].counts, k.into(), &mut plane.words);
            self.wait((base + k).into(), Dense::Own(plane));
        }
    }
}

impl Counters {
    fn new() -> Counters {
        let counts = vec![0; Block::BITS as usize].into_boxed_slice();
        Counters { base: 0, bound: 0, counts: counts.try_into().expect("a count per position") }
    }

    fn begin(&mut self, base: u8) -> &mut Counters {
        self.counts.fill(0);
        (self.base, self.bound) = (base, 1);
        self
    }

    /// As [`Tally::between`], for the counts alone.
    fn between(&self, low: u128, high: Option<u128>, out: &mut Block) {
        let low = low.div_ceil(1 << self.base);
        let high = high.map_or(u128::from(u8::MAX), |high| high >> self.base);
        let Ok(low) = u8::try_from(low) else { return out.clear() };
        kernels::counts_between(&self.counts, low, high.min(u8::MAX.into()) as u8, &mut out.words);
    }
}

impl<'a> Dense<'a> {
    fn bits(&self) -> &Bytes {
        match self {
            Dense::Bits(bytes) => bytes,
            Dense::Own(block) => block.as_bytes(),
        }
    }

    fn into_own(self) -> Option<Box<Block>> {
        if let Dense::Own(block) = self { Some(block) } else { None }
    }
}

/// `out` becomes the positions where the number made of the planes' bits is at least `threshold`.
fn at_least(planes: &[Box<Block>], threshold: u128, out: &mut Block) {
    if (u128::BITS - threshold.leading_zeros()) as usize > planes.len() {
        return out.clear();
    }
    // From low to high, a plane decides alone where it differs from the threshold's bit.
    out.fill();
    for (k, plane) in planes.iter().enumerate() {
        if k < 128 && threshold >> k & 1 == 1 {
            out.and(plane);
        } else {
            out.or(plane);
        }
    }
}
