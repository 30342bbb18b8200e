//! An unsigned number for each of a block's 65,536 positions, as bit planes: plane k is the block
//! of the numbers' bits k. Sums grow by a plane when they need one, so they never overflow.

use crate::block::{BYTES, Block, ONES};
use crate::container::Container;
use crate::kernels;

/// Containers with at most this many positions are added position by position.
const FEW: u32 = 512;
/// Bits of the widest number that is added at once.
const WIDEST: usize = 128;

/// A plane, a little longer than its block: planes exactly 8 KB apart would share the low bits of
/// their addresses, and a processor then holds each load back behind the store to the plane before.
#[derive(Clone)]
pub(crate) struct Plane {
    pub(crate) block: Block,
    _apart: [u64; 32],
}

impl Plane {
    pub(crate) const fn zero() -> Plane {
        Plane { block: Block::zero(), _apart: [0; 32] }
    }
}

/// A number per position. `clear` keeps the memory: make one per thread and reuse it.
#[derive(Default)]
pub struct Planes {
    planes: Vec<Plane>,
    /// Planes in use; those behind hold leftovers.
    depth: usize,
    /// Where arrays and runs become bits before they are added.
    scratch: Vec<Block>,
}

impl Planes {
    pub fn new() -> Planes {
        Planes::default()
    }

    /// Every number becomes 0; the memory stays.
    pub fn clear(&mut self) {
        self.depth = 0;
    }

    /// Planes in use: every number is below 2 to the power of this.
    pub fn depth(&self) -> usize {
        self.depth
    }

    /// The bits `plane` of all numbers.
    ///
    /// Panics unless it is below [`Planes::depth`].
    pub fn plane(&self, plane: usize) -> &Block {
        &self.planes[..self.depth][plane].block
    }

    /// Adds, at each position, the number whose bit k is set where `bits[k]` has the position.
    /// At most 128 bits; a block goes in as `block.as_container()`.
    ///
    /// Panics when `bits` is longer.
    pub fn add_planes(&mut self, bits: &[Option<Container<'_>>]) {
        assert!(bits.len() <= WIDEST, "at most 128 bits are added at once");
        if self.depth == 0 {
            return self.load(bits);
        }
        let mut scratch = std::mem::take(&mut self.scratch);
        if scratch.len() < bits.len() {
            scratch.resize(bits.len(), Block::zero());
        }
        let mut inputs = [None; WIDEST];
        let mut width = 0;
        for (k, (bits, scratch)) in bits.iter().zip(&mut scratch).enumerate() {
            match bits {
                None => continue,
                Some(Container::Bits(bytes)) => inputs[k] = Some(*bytes),
                Some(few) if few.count() <= FEW => {
                    few.for_each(|position| self.add_power(position, k));
                    continue;
                }
                Some(many) => {
                    scratch.clear();
                    scratch.or_container(many);
                    inputs[k] = Some(scratch.as_bytes());
                }
            }
            width = k + 1;
        }
        self.add_inputs(&inputs[..width]);
        self.scratch = scratch;
    }

    /// Adds 1 at each position of `container`.
    pub fn add_one(&mut self, container: &Container<'_>) {
        self.add_planes(&[Some(*container)]);
    }

    /// Adds `value` at one position.
    pub fn add_at(&mut self, position: u16, value: u64) {
        let mut rest = value;
        while rest != 0 {
            self.add_power(position, rest.trailing_zeros() as usize);
            rest &= rest - 1;
        }
    }

    /// Adds `value` at every position.
    pub fn add_constant(&mut self, value: u128) {
        let mut inputs = [None; WIDEST];
        let width = bits_of(value);
        for (k, input) in inputs[..width].iter_mut().enumerate() {
            *input = (value >> k & 1 == 1).then_some(ONES.as_bytes());
        }
        self.add_inputs(&inputs[..width]);
    }

    /// The number at a position; `u128::MAX` when it needs more than 128 bits.
    pub fn value_at(&self, position: u16) -> u128 {
        let set = self.used().iter().enumerate().filter(|(_, plane)| plane.block.contains(position));
        set.map(|(k, _)| 1u128.checked_shl(k as u32).unwrap_or(u128::MAX)).fold(0, u128::saturating_add)
    }

    /// `out` becomes the positions whose number is at least `threshold`.
    pub fn at_least(&self, threshold: u128, out: &mut Block) {
        if bits_of(threshold) > self.depth {
            return out.clear();
        }
        kernels::at_least(self.used(), threshold, &mut out.words);
    }

    /// `out` becomes the positions whose number is `value`.
    pub fn equal(&self, value: u128, out: &mut Block) {
        if bits_of(value) > self.depth {
            return out.clear();
        }
        kernels::equal(self.used(), value, &mut out.words);
    }

    /// The planes in use, lowest bit first.
    pub(crate) fn blocks(&self) -> impl Iterator<Item = &Block> {
        self.used().iter().map(|plane| &plane.block)
    }

    fn used(&self) -> &[Plane] {
        &self.planes[..self.depth]
    }

    /// The first addition: the numbers are the bits themselves.
    fn load(&mut self, bits: &[Option<Container<'_>>]) {
        let width = bits.iter().rposition(Option::is_some).map_or(0, |last| last + 1);
        self.grow(width);
        for (plane, bits) in self.planes.iter_mut().zip(&bits[..width]) {
            match bits {
                Some(Container::Bits(bytes)) => plane.block.copy_from_bytes(bytes),
                Some(container) => plane.block.or_container(container),
                None => {}
            }
        }
    }

    fn add_inputs(&mut self, inputs: &[Option<&[u8; BYTES]>]) {
        if inputs.is_empty() {
            return;
        }
        // One plane more than either number has holds every sum.
        self.grow(self.depth.max(inputs.len()) + 1);
        if !kernels::add(&mut self.planes[..self.depth], inputs) {
            self.depth -= 1;
        }
    }

    /// Adds 2 to the power of `k` at one position.
    fn add_power(&mut self, position: u16, k: usize) {
        let (word, bit) = (usize::from(position >> 6), 1 << (position & 63));
        for k in k.. {
            self.grow(k + 1);
            let word = &mut self.planes[k].block.words[word];
            *word ^= bit;
            if *word & bit != 0 {
                return;
            }
        }
    }

    /// At least `depth` planes, the new ones empty.
    fn grow(&mut self, depth: usize) {
        while self.depth < depth {
            match self.planes.get_mut(self.depth) {
                Some(leftover) => leftover.block.clear(),
                None => self.planes.push(Plane::zero()),
            }
            self.depth += 1;
        }
    }
}

/// Where `a` is greater than `b`, and where they are equal.
pub fn compare_planes(a: &Planes, b: &Planes, greater: &mut Block, equal: &mut Block) {
    compare_difference(a, b, 0, greater, equal);
}

/// Where `positive - negative` is greater than `constant`, and where it is equal to it: exact
/// comparison of signed sums that are kept as two unsigned ones.
pub fn compare_difference(
    positive: &Planes,
    negative: &Planes,
    constant: i128,
    greater: &mut Block,
    equal: &mut Block,
) {
    // The constant is added to the side where it is not negative, on the fly.
    let shift = constant.unsigned_abs();
    let depth = positive.depth.max(negative.depth).max(bits_of(shift)) + 1;
    let (a, b) = if constant >= 0 { (positive, negative) } else { (negative, positive) };
    kernels::compare(a.used(), b.used(), shift, depth, &mut greater.words, &mut equal.words);
    if constant < 0 {
        // negative against positive + shift: the answer is greater where that one is less.
        greater.or(equal);
        greater.not();
    }
}

fn bits_of(number: u128) -> usize {
    (u128::BITS - number.leading_zeros()) as usize
}
