//! Sums over many bit planes of one block, compared with constants without ever being written down: the
//! planes are added by carry-save adders a stripe of the block at a time, so that everything but the planes
//! themselves stays in the processor's first cache. Planes with few positions are counted into bytes
//! first, which join as planes of their own.

use crate::block::{Block, WORDS};
use crate::container::Container;
use crate::kernels::{self, Bytes, Level};
use crate::masked::Expand;

/// Words that are worked on together.
const STRIPE: usize = 32;
pub(crate) type Stripe = [u64; STRIPE];
/// A counter per position of a block.
pub(crate) type Counts = [u8; Block::BITS as usize];

/// Bit planes of one block, to be added up.
#[derive(Default)]
pub struct Tally<'a> {
    /// With the weight of their positions, as a power of two.
    dense: Vec<(u8, Dense<'a>)>,
    sparse: Vec<(u8, Container<'a>)>,
}

pub(crate) enum Dense<'a> {
    Bits(&'a Bytes),
    Masked(Expand<'a>),
    Own(Box<Block>),
}

/// Counters of sparse planes: a count of c stands for `c << base`.
pub(crate) struct Counters {
    base: u8,
    /// No count is above it.
    bound: u8,
    counts: Box<Counts>,
}

/// Memory that sums are worked out in; make one per thread and reuse it.
#[derive(Default)]
pub struct TallyScratch {
    counters: Vec<Counters>,
    pub(crate) stripes: Stripes,
}

/// Stripes of the weight at hand, of the next one, and the finished planes.
#[derive(Default)]
pub(crate) struct Stripes {
    addends: Vec<Stripe>,
    carries: Vec<Stripe>,
    planes: Vec<Stripe>,
    /// Planes of each counter.
    counted: Vec<[Stripe; 8]>,
}

impl<'a> Tally<'a> {
    /// An empty one with room for so many planes.
    pub fn with_capacity(planes: usize) -> Tally<'a> {
        Tally { dense: Vec::with_capacity(planes), sparse: Vec::with_capacity(planes) }
    }

    /// Adds 2 to the power of `weight` (below 128) at each position of `container`.
    pub fn add(&mut self, weight: u8, container: Container<'a>) {
        match container {
            Container::Array(_) => self.sparse.push((weight, container)),
            Container::Bits(bytes) => self.dense.push((weight, Dense::Bits(bytes))),
            Container::Masked { mask, bytes } => {
                self.dense.push((weight, Dense::Masked(Expand::new(mask, bytes))));
            }
            Container::Runs(_) => {
                let mut block = Block::boxed();
                block.set_container(&container);
                self.dense.push((weight, Dense::Own(block)));
            }
        }
    }

    /// `out` becomes the positions whose sum lies from `low` to `high`, both included.
    pub fn between(mut self, low: u128, high: Option<u128>, scratch: &mut TallyScratch, out: &mut Block) {
        let TallyScratch { counters, stripes } = scratch;
        let used = self.count_sparse(counters);
        match &counters[..used] {
            [] if self.dense.is_empty() => {
                if low == 0 {
                    out.fill()
                } else {
                    out.clear()
                }
            }
            [only] if self.dense.is_empty() => only.between(low, high, out),
            counters => {
                self.dense.sort_by_key(|(weight, _)| *weight);
                kernels::tally(&mut self.dense, counters, low, high, stripes, &mut out.words);
            }
        }
    }

    /// Counts the sparse planes into as few counters as can't overflow; how many they are.
    fn count_sparse(&mut self, counters: &mut Vec<Counters>) -> usize {
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
            container.for_each(|position| counts[usize::from(position)] += one);
        }
        used
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

/// Adds up the planes, sorted by weight, and the counters; see [`Tally::between`].
#[inline(always)]
pub(crate) fn add_up(
    level: Level,
    dense: &mut [(u8, Dense<'_>)],
    counters: &[Counters],
    low: u128,
    high: Option<u128>,
    stripes: &mut Stripes,
    out: &mut [u64; WORDS],
) {
    for (number, out) in out.as_chunks_mut().0.iter_mut().enumerate() {
        stripes.start(level, counters, number);
        let mut dense = dense.iter_mut().peekable();
        for weight in 0u8.. {
            while let Some((_, plane)) = dense.next_if(|(of, _)| *of == weight) {
                stripes.addends.push(plane.stripe(level, number));
            }
            let more = stripes.add_counted(counters, weight);
            if stripes.addends.is_empty() && !more && dense.peek().is_none() {
                break;
            }
            stripes.finish_weight();
        }
        *out = within(&stripes.planes, low, high);
    }
}

impl Stripes {
    #[inline(always)]
    fn start(&mut self, level: Level, counters: &[Counters], number: usize) {
        self.addends.clear();
        self.carries.clear();
        self.planes.clear();
        self.counted.clear();
        for counter in counters {
            let counts = &counter.counts.as_chunks::<{ STRIPE * 64 }>().0[number];
            self.counted.push(planes_of(level, counts, u8::BITS - counter.bound.leading_zeros()));
        }
    }

    /// Takes in the counters' planes of this weight; whether there are more to come.
    #[inline(always)]
    fn add_counted(&mut self, counters: &[Counters], weight: u8) -> bool {
        let mut more = false;
        for (counter, planes) in counters.iter().zip(&self.counted) {
            let depth = (u8::BITS - counter.bound.leading_zeros()) as u8;
            more |= weight < counter.base + depth;
            if (counter.base..counter.base + depth).contains(&weight) {
                self.addends.push(planes[usize::from(weight - counter.base)]);
            }
        }
        more
    }

    /// Adds everything of one weight: what remains is the sum's plane, what is carried is of the next.
    #[inline(always)]
    fn finish_weight(&mut self) {
        let mut sum = [0; STRIPE];
        let (pairs, last) = self.addends.as_chunks::<2>();
        for [a, b] in pairs {
            let mut carry = [0; STRIPE];
            for i in 0..STRIPE {
                let (a, b, c) = (a[i], b[i], sum[i]);
                sum[i] = a ^ b ^ c;
                carry[i] = (a & b) | (c & (a ^ b));
            }
            self.carries.push(carry);
        }
        if let [last] = last {
            if pairs.is_empty() {
                sum = *last;
            } else {
                let mut carry = [0; STRIPE];
                for i in 0..STRIPE {
                    carry[i] = sum[i] & last[i];
                    sum[i] ^= last[i];
                }
                self.carries.push(carry);
            }
        }
        self.planes.push(sum);
        std::mem::swap(&mut self.addends, &mut self.carries);
        self.carries.clear();
    }
}

impl Dense<'_> {
    /// The plane's stripe of this number; masked ones come in order only.
    #[inline(always)]
    fn stripe(&mut self, level: Level, number: usize) -> Stripe {
        match self {
            Dense::Bits(bytes) => {
                let stripe: &[[u8; 8]; STRIPE] = &bytes.as_chunks().0.as_chunks().0[number];
                std::array::from_fn(|i| u64::from_le_bytes(stripe[i]))
            }
            Dense::Own(block) => block.words.as_chunks().0[number],
            Dense::Masked(expand) => {
                let mut stripe = [0; STRIPE];
                for words in stripe.as_chunks_mut().0 {
                    *words = expand.next(level);
                }
                stripe
            }
        }
    }
}

/// Where the number made of the planes' bits lies from `low` to `high`.
#[inline(always)]
fn within(planes: &[Stripe], low: u128, high: Option<u128>) -> Stripe {
    let mut holds = at_least(planes, low);
    if let Some(above) = high.and_then(|high| high.checked_add(1)) {
        let above = at_least(planes, above);
        for i in 0..STRIPE {
            holds[i] &= !above[i];
        }
    }
    holds
}

#[inline(always)]
fn at_least(planes: &[Stripe], threshold: u128) -> Stripe {
    if (u128::BITS - threshold.leading_zeros()) as usize > planes.len() {
        return [0; STRIPE];
    }
    let mut holds = [u64::MAX; STRIPE];
    for (k, plane) in planes.iter().enumerate() {
        if k < 128 && threshold >> k & 1 == 1 {
            for i in 0..STRIPE {
                holds[i] &= plane[i];
            }
        } else {
            for i in 0..STRIPE {
                holds[i] |= plane[i];
            }
        }
    }
    holds
}

/// The first `depth` bit planes of a stripe of counts.
#[inline(always)]
fn planes_of(level: Level, counts: &[u8; STRIPE * 64], depth: u32) -> [Stripe; 8] {
    let mut planes = [[0; STRIPE]; 8];
    for (i, counts) in counts.as_chunks::<64>().0.iter().enumerate() {
        for (k, plane) in planes.iter_mut().take(depth as usize).enumerate() {
            plane[i] = kernels::bytes_with_bit(level, counts, k as u32);
        }
    }
    planes
}
