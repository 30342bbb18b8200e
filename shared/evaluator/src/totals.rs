//! Comparisons of per-user totals with constants.

use muster_bitmaps::{Block, SlicesView, SmallSums, Tally, compare_difference};
use muster_rules::Compare;

use crate::scratch::Scratch;

/// A comparison as an interval with both ends included, or everything outside it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Interval {
    low: Option<i128>,
    high: Option<i128>,
    outside: bool,
}

impl Interval {
    pub fn of(compare: Compare) -> Interval {
        let within = |low: Option<i128>, high: Option<i128>| Interval { low, high, outside: false };
        match compare {
            Compare::Eq(n) => within(Some(n.into()), Some(n.into())),
            Compare::Ne(n) => Interval { outside: true, ..Interval::of(Compare::Eq(n)) },
            Compare::Gt(n) => within(Some(i128::from(n) + 1), None),
            Compare::Gte(n) => within(Some(n.into()), None),
            Compare::Lt(n) => within(None, Some(i128::from(n) - 1)),
            Compare::Lte(n) => within(None, Some(n.into())),
            Compare::Between(low, high) => within(Some(low.into()), Some(high.into())),
        }
    }

    pub fn at_most(high: i128) -> Interval {
        Interval { low: None, high: Some(high), outside: false }
    }

    /// Whether the comparison only asks if a total that is never negative is 0 or not: `Some(true)` holds
    /// for those above 0, `Some(false)` for those at 0.
    pub fn asks_for_any(self) -> Option<bool> {
        match self {
            Interval { low: Some(1), high: None, outside: false } => Some(true),
            Interval { low: None, high: Some(0), outside: false } => Some(false),
            Interval { low: Some(0), high: Some(0), outside } => Some(outside),
            _ => None,
        }
    }

    /// The ends of the interval, if [`SmallSums`] of what is never negative are enough to tell.
    pub fn small(self) -> Option<(u8, u8)> {
        let low = u8::try_from(self.low.unwrap_or(0).max(0)).ok()?;
        let high = match self.high {
            None => SmallSums::MOST,
            Some(high) => u8::try_from(high).ok().filter(|high| *high < SmallSums::MOST)?,
        };
        Some((low, high))
    }

    /// `out` becomes the positions where the small sums of the scratch satisfy the comparison, whose ends
    /// are `low` and `high`. The sums become 0.
    pub fn holds_for_small(self, (low, high): (u8, u8), scratch: &mut Scratch, out: &mut Block) {
        scratch.small.take_between(low, high, out);
        if self.outside {
            out.not();
        }
    }

    /// `out` becomes the positions where the sum of `tally` satisfies the comparison.
    pub fn holds_for(self, tally: Tally<'_, '_>, out: &mut Block) {
        let low = self.low.and_then(|low| u128::try_from(low).ok()).unwrap_or(0);
        match self.high.map(u128::try_from) {
            None => tally.between(low, None, out),
            Some(Ok(high)) => tally.between(low, Some(high), out),
            // No sum is below zero.
            Some(Err(_)) => out.clear(),
        }
        if self.outside {
            out.not();
        }
    }

    /// `out` becomes the positions where the columns' sum in block `key` satisfies the comparison.
    pub fn holds_for_columns(
        self,
        columns: &[SlicesView<'_>],
        key: u16,
        scratch: &mut Scratch,
        out: &mut Block,
    ) {
        if columns.iter().any(|column| column.has_negative(key)) {
            scratch.clear_sums();
            for column in columns {
                column.add_block(key, &mut scratch.positive, &mut scratch.negative);
            }
            return self.holds(scratch, out);
        }
        let mut tally = Tally::new(&mut scratch.tally);
        columns.iter().for_each(|column| column.tally(key, &mut tally));
        self.holds_for(tally, out);
    }

    /// `out` becomes the positions where `positive - negative` of the scratch satisfies the comparison.
    pub fn holds(self, scratch: &mut Scratch, out: &mut Block) {
        match self.low {
            Some(low) => at_least(scratch, low, out),
            None => out.fill(),
        }
        if let Some(high) = self.high {
            let mut above = scratch.blocks.take();
            at_least(scratch, high + 1, &mut above);
            out.and_not(&above);
            scratch.blocks.put(above);
        }
        if self.outside {
            out.not();
        }
    }
}

fn at_least(scratch: &mut Scratch, threshold: i128, out: &mut Block) {
    if scratch.negative.depth() > 0 {
        let mut equal = scratch.blocks.take();
        compare_difference(&scratch.positive, &scratch.negative, threshold - 1, out, &mut equal);
        return scratch.blocks.put(equal);
    }
    match u128::try_from(threshold) {
        Ok(threshold) if threshold > 0 => scratch.positive.at_least(threshold, out),
        _ => out.fill(),
    }
}
