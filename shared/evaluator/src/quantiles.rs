//! Exact quantiles of one number per user over a crowd: of the weights of a tag, or of what users come to of
//! an event over a range of days.
//!
//! They are searched for: how many users have at most a number is what comparisons of sums tell anyway, so
//! the interval in which a quantile lies is cut in four, each border is counted, and so on, until one number is
//! left. The columns are added up once a round for the borders of all quantiles. One way does for a single
//! column and for sums of many, of either sign and any width, and all that is kept between rounds is a bit per
//! user; the sums of all users, to walk down their planes or to sort them, would take many times as much.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;
use std::sync::Arc;

use muster_bitmaps::{BitmapView, Block, SlicesView};
use muster_days::Ds;
use muster_profile_store::{EventPart, LabelPart, Snapshot, StoreError};
use muster_rules::Universe;

use crate::behaviour::published;
use crate::operators::{Span, event_parts, spans};
use crate::run::{Control, EvaluationError, each_bucket};
use crate::scratch::{Pool, Scratch};
use crate::totals::Interval;
use crate::universe::BoundUniverse;

/// Bits by which a round narrows each interval: with more, counting the borders would take longer than
/// adding up the columns of a month does.
const BITS: u32 = 2;

/// Shares are taken to nine decimals: 0.07 of 100 users are 7, which the product of floating-point numbers
/// is a little above.
const DECIMALS: f64 = 1e9;

/// The number that each user has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum QuantilesOf<'a> {
    /// The weight with which users carry the tag on the day; those without one are left out. Nobody carries
    /// it on a day that the label is not published for.
    Weight { label: i64, tag: i64, ds: Ds },
    /// The total over the published days of the range, first and last day included, of pv, or of a measure;
    /// of users with any row of the event on any of them. A measure that a day lacks adds 0.
    Total { event: &'a str, days: RangeInclusive<Ds>, measure: Option<&'a str> },
}

/// A crowd and a number bound to the parts of one snapshot that they read.
pub struct Quantiles {
    snapshot: Arc<Snapshot>,
    crowd: BoundUniverse,
    numbers: Numbers,
}

enum Numbers {
    Weight(Option<Arc<LabelPart>>, i64),
    Total { days: Vec<Arc<EventPart>>, spans: Vec<Span>, measure: Option<String> },
}

/// How the numbers of a crowd spread. Exact.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Spread {
    /// Users of the crowd who have the number.
    pub users: u64,
    pub sum: i128,
    /// One per share asked for, in the same order; empty when no user has the number.
    pub quantiles: Vec<i128>,
}

/// The users of one bucket who have the number, by block; blocks without any are left out.
type Users = Vec<(u16, Box<Block>)>;

/// The users of all buckets, and between which numbers theirs lie.
struct Found {
    users: Vec<Users>,
    count: u64,
    sum: i128,
    range: (i128, i128),
}

/// A quantile that is looked for, between `low` and `high`, both included.
struct Search {
    /// How many users have at most the quantile; it is the smallest such number.
    rank: u64,
    low: i128,
    high: i128,
}

/// What one thread works with.
#[derive(Default)]
struct Worker {
    scratch: Scratch,
    pool: Pool,
}

impl Quantiles {
    /// # Errors
    /// Those of opening the parts.
    pub fn new(
        crowd: &Universe,
        of: &QuantilesOf<'_>,
        snapshot: Arc<Snapshot>,
    ) -> Result<Quantiles, StoreError> {
        let crowd = BoundUniverse::bind(crowd, &snapshot)?;
        let numbers = match of {
            QuantilesOf::Weight { label, tag, ds } => Numbers::Weight(snapshot.label(*label, *ds)?, *tag),
            QuantilesOf::Total { event, days, measure } => {
                let days = published(&snapshot, event, days);
                let spans = spans(&snapshot, event, &days)?;
                let days = event_parts(&snapshot, event, &days)?;
                Numbers::Total { days, spans, measure: measure.map(str::to_owned) }
            }
        };
        Ok(Quantiles { crowd, numbers, snapshot })
    }

    /// The quantile of a share q is the smallest number that at least `ceil(q × users)` users are at or
    /// below (nearest rank): 0 asks for the smallest number there is, 1 for the greatest. Shares beyond
    /// these are taken as these. Memory: a bit per user of the app.
    ///
    /// # Errors
    /// Those of reading the parts, and [`EvaluationError::Stopped`].
    pub fn spread(&self, shares: &[f64], control: &Control<'_>) -> Result<Spread, EvaluationError> {
        // How many rounds follow is not known yet: finding the users is told as half of the work.
        let told = |done: f64| (control.progress)(done / 2.0);
        let told = Control { stopped: control.stopped, progress: &told };
        let find = |bucket, worker: &mut Worker| self.find(bucket, control, worker);
        let found = each_bucket(&self.snapshot, &told, Worker::default, find)?;
        let found = found.into_iter().fold(Found::nobody(), Found::and);
        if found.count == 0 {
            return Ok(Spread::default());
        }
        let (low, high) = found.range;
        let search = |share: &f64| Search { rank: rank(*share, found.count), low, high };
        let mut searches: Vec<Search> = shares.iter().map(search).collect();
        // None is left open after so many.
        let rounds = (i128::BITS - (high - low).leading_zeros()).div_ceil(BITS);
        for round in 0..rounds {
            let told =
                |done: f64| (control.progress)(0.5 + (f64::from(round) + done) / f64::from(2 * rounds));
            let told = Control { stopped: control.stopped, progress: &told };
            let borders: BTreeSet<i128> = searches.iter().flat_map(Search::borders).collect();
            if borders.is_empty() {
                break;
            }
            let borders: Vec<i128> = borders.into_iter().collect();
            let at_most = self.at_most(&borders, &found.users, &told)?;
            for search in &mut searches {
                borders.iter().zip(&at_most).for_each(|(border, count)| search.learn(*border, *count));
            }
        }
        let quantiles = searches.iter().map(|search| search.low).collect();
        Ok(Spread { users: found.count, sum: found.sum, quantiles })
    }

    /// Who of the bucket has the number, and the sum of theirs.
    fn find(
        &self,
        bucket: u32,
        control: &Control<'_>,
        worker: &mut Worker,
    ) -> Result<Found, EvaluationError> {
        let opened = self.crowd.open(bucket, self.snapshot.directory())?;
        let (having, columns) = (self.numbers.having(bucket)?, self.numbers.columns(bucket)?);
        let mut found = Found { range: range_of(&columns), ..Found::nobody() };
        let Worker { scratch, pool } = worker;
        let (mut users, mut union) = (Vec::new(), pool.take());
        for key in 0..opened.blocks() {
            if (control.stopped)() {
                return Err(EvaluationError::Stopped);
            }
            let key = key as u16;
            union.set_union(&having, key);
            if union.is_empty() {
                continue;
            }
            let mut block = Block::boxed();
            opened.block(key, (scratch, pool), &mut block);
            block.and(&union);
            let count = block.count();
            if count > 0 {
                found.count += u64::from(count);
                found.sum += columns.iter().map(|column| column.sum(key, Some(&block))).sum::<i128>();
                users.push((key, block));
            }
        }
        pool.put(union);
        found.users.push(users);
        Ok(found)
    }

    /// Per border, how many of the users have at most that number.
    fn at_most(
        &self,
        borders: &[i128],
        users: &[Users],
        control: &Control<'_>,
    ) -> Result<Vec<u64>, EvaluationError> {
        let buckets = each_bucket(&self.snapshot, control, Worker::default, |bucket, worker| {
            let columns = self.numbers.columns(bucket)?;
            let mut counts = vec![0; borders.len()];
            for (key, users) in &users[bucket as usize] {
                if (control.stopped)() {
                    return Err(EvaluationError::Stopped);
                }
                worker.count_block(&columns, (*key, users), borders, &mut counts);
            }
            Ok(counts)
        })?;
        let sum = |border: usize| buckets.iter().map(|counts| counts[border]).sum();
        Ok((0..borders.len()).map(sum).collect())
    }
}

impl Numbers {
    /// Between them they hold whoever has the number.
    fn having(&self, bucket: u32) -> Result<Vec<BitmapView<'_>>, StoreError> {
        match self {
            Numbers::Weight(..) => Ok(self.columns(bucket)?.iter().map(SlicesView::exists).collect()),
            // Sums of weeks have a number for everybody.
            Numbers::Total { days, .. } => {
                days.iter().filter_map(|day| day.active(bucket).transpose()).collect()
            }
        }
    }

    /// They add up to the number.
    fn columns(&self, bucket: u32) -> Result<Vec<SlicesView<'_>>, StoreError> {
        match self {
            Numbers::Weight(part, tag) => {
                part.iter().filter_map(|part| part.weights(bucket, *tag).transpose()).collect()
            }
            Numbers::Total { spans, measure, .. } => {
                spans.iter().filter_map(|span| span.column(measure.as_deref(), bucket).transpose()).collect()
            }
        }
    }
}

impl Found {
    fn nobody() -> Found {
        Found { users: Vec::new(), count: 0, sum: 0, range: (0, 0) }
    }

    fn and(mut self, other: Found) -> Found {
        self.users.extend(other.users);
        self.count += other.count;
        self.sum += other.sum;
        self.range = (self.range.0.min(other.range.0), self.range.1.max(other.range.1));
        self
    }
}

impl Search {
    /// Numbers of which to know how many users are at or below; none when the quantile is found.
    fn borders(&self) -> impl Iterator<Item = i128> + use<> {
        let (low, width, parts) = (self.low, self.high - self.low, 1 << BITS);
        (1..parts).filter(move |_| width > 0).map(move |part| low + width * part / parts)
    }

    fn learn(&mut self, border: i128, at_most: u64) {
        match at_most >= self.rank {
            true => self.high = self.high.min(border),
            false => self.low = self.low.max(border + 1),
        }
    }
}

impl Worker {
    fn count_block(
        &mut self,
        columns: &[SlicesView<'_>],
        (key, users): (u16, &Block),
        borders: &[i128],
        counts: &mut [u64],
    ) {
        let Worker { scratch, pool } = self;
        scratch.clear_sums();
        columns.iter().for_each(|c| c.add_block(key, &mut scratch.positive, &mut scratch.negative));
        let mut holds = pool.take();
        for (border, count) in borders.iter().zip(counts) {
            Interval::at_most(*border).holds(scratch, &mut holds);
            *count += u64::from(users.and_count(&holds));
        }
        pool.put(holds);
    }
}

/// Between which numbers the sums of the columns lie, by the planes that the columns have.
fn range_of(columns: &[SlicesView<'_>]) -> (i128, i128) {
    let most = |planes: &[BitmapView<'_>]| (1i128 << planes.len()) - 1;
    let least = -columns.iter().map(|column| most(column.negative_planes())).sum::<i128>();
    (least, columns.iter().map(|column| most(column.positive_planes())).sum())
}

/// How many of the users have at most the quantile of the share, which is that of the one of this rank.
pub fn rank(share: f64, users: u64) -> u64 {
    let parts = (share.clamp(0.0, 1.0) * DECIMALS).round() as u128;
    (parts * u128::from(users)).div_ceil(DECIMALS as u128).max(1) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_are_those_of_whole_hundredths() {
        for (hundredths, users) in (0..=100).flat_map(|n| (1..=500).map(move |users| (n, users))) {
            let expected = (1..).find(|rank| rank * 100 >= hundredths * users);
            assert_eq!(Some(rank(hundredths as f64 / 100.0, users)), expected, "{hundredths} of {users}");
        }
        assert_eq!([-1.0, f64::NAN, 2.0].map(|share| rank(share, 10)), [1, 1, 10]);
        assert_eq!(rank(1.0, u64::MAX), u64::MAX);
    }
}
