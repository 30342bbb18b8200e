//! What a number per user comes to over groups of users: sums, sums of squares, and sums of products with another
//! number of the same users, such as the same from before. What comparisons of groups rest on.
//!
//! No user is looked at. A number is a sum of bit planes, v = Σ ±2^i · plane_i, so its square is a sum over pairs
//! of planes, and summed over a group it is Σ ±2^(i+j) · |plane_i ∧ plane_j ∧ group|: a few hundred counts of
//! bits for a block of 65,536 users.

use std::ops::RangeInclusive;
use std::sync::Arc;

use muster_bitmaps::{BitmapView, Block, Planes, SlicesView};
use muster_days::Ds;
use muster_profile_store::{EventPart, Snapshot, StoreError};
use roaring::RoaringBitmap;

use crate::behaviour::published;
use crate::operators::{Span, event_parts, spans};
use crate::run::{Control, EvaluationError, each_bucket};

/// A number that every user has; 0 of who did nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Number<'a> {
    pub event: &'a str,
    /// First and last day; those that the event is not published for add nothing.
    pub days: RangeInclusive<Ds>,
    pub of: NumberOf<'a>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NumberOf<'a> {
    /// 1 with any row of the event on any of the days.
    Users,
    Pv,
    /// A day that lacks the measure adds 0.
    Measure(&'a str),
}

/// Two numbers of the same users. Whole numbers; exact up to 2⁵³, and beyond it as well as 53 bits tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct PairSums {
    pub users: u64,
    pub y: f64,
    pub yy: f64,
    pub x: f64,
    pub xx: f64,
    pub xy: f64,
}

/// Bound to the parts that it reads.
struct Bound<'a> {
    of: NumberOf<'a>,
    days: Vec<Arc<EventPart>>,
    spans: Vec<Span>,
}

/// The views of one bucket.
enum Opened<'b> {
    Users(Vec<BitmapView<'b>>),
    Columns(Vec<SlicesView<'b>>),
}

/// A number in one block.
struct Column {
    positive: Planes,
    negative: Planes,
    union: Box<Block>,
    /// It is `union`, and not the planes.
    is_union: bool,
}

/// Of a column in one group: each plane with what a bit of it stands for.
type Masked = Vec<(f64, Box<Block>)>;

struct Worker {
    y: Column,
    x: Column,
    group: Box<Block>,
    masked: (Masked, Masked),
    pool: Vec<Box<Block>>,
}

/// `groups` are ordinals per bucket; answers the sums of each, in their order. Without `x` its sums are 0.
///
/// # Errors
/// Those of reading the parts, and [`EvaluationError::Stopped`].
pub fn moments(
    snapshot: &Arc<Snapshot>,
    groups: &[&[RoaringBitmap]],
    (y, x): (&Number<'_>, Option<&Number<'_>>),
    control: &Control<'_>,
) -> Result<Vec<PairSums>, EvaluationError> {
    let y = Bound::new(snapshot, y)?;
    let x = x.map(|x| Bound::new(snapshot, x)).transpose()?;
    let buckets = each_bucket(snapshot, control, Worker::new, |bucket, worker| {
        let (y, x) = (y.open(bucket)?, x.as_ref().map(|x| x.open(bucket)).transpose()?);
        let mut sums = vec![PairSums::default(); groups.len()];
        let users = snapshot.directory().ordinals_in(bucket);
        for key in 0..users.div_ceil(Block::BITS) {
            if (control.stopped)() {
                return Err(EvaluationError::Stopped);
            }
            let members = groups.iter().map(|group| group.get(bucket as usize));
            worker.count_block(key as u16, (&y, x.as_ref()), members, &mut sums);
        }
        Ok(sums)
    })?;
    let mut sums = vec![PairSums::default(); groups.len()];
    for bucket in buckets {
        sums.iter_mut().zip(bucket).for_each(|(sum, more)| sum.add(more));
    }
    Ok(sums)
}

impl<'a> Bound<'a> {
    fn new(snapshot: &Snapshot, number: &Number<'a>) -> Result<Bound<'a>, StoreError> {
        let days = published(snapshot, number.event, &number.days);
        let (mut bound, event) = (Bound { of: number.of, days: Vec::new(), spans: Vec::new() }, number.event);
        match number.of {
            NumberOf::Users => bound.days = event_parts(snapshot, event, &days)?,
            NumberOf::Pv | NumberOf::Measure(_) => bound.spans = spans(snapshot, event, &days)?,
        }
        Ok(bound)
    }

    fn open(&self, bucket: u32) -> Result<Opened<'_>, StoreError> {
        let measure = match self.of {
            NumberOf::Users => {
                let active = self.days.iter().filter_map(|day| day.active(bucket).transpose());
                return Ok(Opened::Users(active.collect::<Result<_, _>>()?));
            }
            NumberOf::Pv => None,
            NumberOf::Measure(name) => Some(name),
        };
        let columns = self.spans.iter().filter_map(|span| span.column(measure, bucket).transpose());
        Ok(Opened::Columns(columns.collect::<Result<_, _>>()?))
    }
}

impl Default for Column {
    fn default() -> Column {
        Column {
            positive: Planes::default(),
            negative: Planes::default(),
            union: Block::boxed(),
            is_union: false,
        }
    }
}

impl Column {
    fn fill(&mut self, key: u16, from: Option<&Opened<'_>>) {
        self.positive.clear();
        self.negative.clear();
        self.is_union = false;
        match from {
            None => {}
            Some(Opened::Users(active)) => {
                self.union.set_union(active, key);
                self.is_union = true;
            }
            Some(Opened::Columns(columns)) => {
                columns
                    .iter()
                    .for_each(|column| column.add_block(key, &mut self.positive, &mut self.negative));
            }
        }
    }

    /// Each plane with what a bit of it stands for.
    fn planes(&self) -> impl Iterator<Item = (f64, &Block)> {
        let bit = |plane: usize| 2f64.powi(plane as i32);
        let positive = (0..self.positive.depth()).map(move |plane| (bit(plane), self.positive.plane(plane)));
        let negative = (0..self.negative.depth()).map(move |plane| (-bit(plane), self.negative.plane(plane)));
        let union = self.is_union.then_some((1.0, &*self.union));
        positive.chain(negative).chain(union)
    }
}

impl Worker {
    fn new() -> Worker {
        let (masked, pool) = (Default::default(), Vec::new());
        Worker { y: Column::default(), x: Column::default(), group: Block::boxed(), masked, pool }
    }

    fn count_block<'m>(
        &mut self,
        key: u16,
        (y, x): (&Opened<'_>, Option<&Opened<'_>>),
        groups: impl Iterator<Item = Option<&'m RoaringBitmap>>,
        sums: &mut [PairSums],
    ) {
        self.y.fill(key, Some(y));
        self.x.fill(key, x);
        let Worker { y, x, group, masked, pool } = self;
        for (members, sums) in groups.zip(sums) {
            let Some(members) = members else { continue };
            group.clear();
            group.or_roaring(key, members);
            let users = group.count();
            if users == 0 {
                continue;
            }
            mask(y, group, &mut masked.0, pool);
            mask(x, group, &mut masked.1, pool);
            sums.add(PairSums {
                users: users.into(),
                y: sum(&masked.0),
                yy: squares(&masked.0),
                x: sum(&masked.1),
                xx: squares(&masked.1),
                xy: products(&masked.0, &masked.1),
            });
        }
    }
}

/// The planes of the column that any user of the group has.
fn mask(column: &Column, group: &Block, masked: &mut Masked, pool: &mut Vec<Box<Block>>) {
    pool.extend(masked.drain(..).map(|(_, block)| block));
    for (bit, plane) in column.planes() {
        let mut block = pool.pop().unwrap_or_else(Block::boxed);
        block.copy_from(plane);
        block.and(group);
        match block.is_empty() {
            true => pool.push(block),
            false => masked.push((bit, block)),
        }
    }
}

fn sum(planes: &Masked) -> f64 {
    planes.iter().map(|(bit, block)| bit * f64::from(block.count())).sum()
}

fn squares(planes: &Masked) -> f64 {
    let mut sum = 0.0;
    for (place, (bit, block)) in planes.iter().enumerate() {
        sum += bit * bit * f64::from(block.count());
        // Each pair twice.
        let pairs = planes[..place].iter().map(|(other, with)| other * f64::from(block.and_count(with)));
        sum += 2.0 * bit * pairs.sum::<f64>();
    }
    sum
}

fn products(y: &Masked, x: &Masked) -> f64 {
    let of = |(bit, block): &(f64, Box<Block>)| {
        let pairs = x.iter().map(|(other, with)| other * f64::from(block.and_count(with)));
        bit * pairs.sum::<f64>()
    };
    y.iter().map(of).sum()
}

impl PairSums {
    fn add(&mut self, other: PairSums) {
        self.users += other.users;
        self.y += other.y;
        self.yy += other.yy;
        self.x += other.x;
        self.xx += other.xx;
        self.xy += other.xy;
    }
}
