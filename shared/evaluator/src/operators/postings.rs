//! Totals over the rows that pass dimension filters: filters are resolved against the dictionary, then
//! against the day's tuples, and only the rows of matching tuples are read.

use std::ops::Range;
use std::sync::Arc;

use muster_bitmaps::{Block, SmallSums};
use muster_days::Ds;
use muster_profile_store::{Dictionary, EventPart, Place, Postings, Snapshot, StoreError};
use muster_rules::{Compare, Filter, Matcher, Measure, compile_regex};

use super::sums::{event_parts, outlook};
use crate::explain::Evidence;
use crate::order::Outlook;
use crate::scratch::Scratch;
use crate::totals::Interval;

pub(crate) struct PostingSums {
    days: Vec<Day>,
    measure: Measure,
    compare: Compare,
}

struct Day {
    part: Arc<EventPart>,
    /// Per tuple of the part: whether its rows pass the filters.
    passes: Vec<bool>,
    /// Number column to add up; None when the day lacks the measure.
    column: Option<usize>,
}

pub(crate) struct Rows<'a> {
    pub event: &'a str,
    pub days: &'a [Ds],
    pub filters: &'a [Filter],
}

pub(crate) struct Opened<'a> {
    days: Vec<OpenedDay<'a>>,
    /// Rows of tuples that pass, by block: which of `days` they are of.
    blocks: Vec<(u16, usize, Range<usize>)>,
    count_days: bool,
    interval: Interval,
    /// The interval's ends, where small sums are enough.
    small: Option<(u8, u8)>,
}

struct OpenedDay<'a> {
    postings: Postings<'a>,
    column: usize,
}

/// A filter with, per dictionary id, whether the value passes.
struct Resolved<'a> {
    dimension: &'a str,
    passes: Vec<bool>,
}

impl PostingSums {
    pub fn bind(
        snapshot: &Snapshot,
        rows: Rows<'_>,
        measure: &Measure,
        compare: Compare,
    ) -> Result<PostingSums, StoreError> {
        let mut filters = Vec::with_capacity(rows.filters.len());
        for filter in rows.filters {
            let dictionary = snapshot.dictionary(rows.event, &filter.dimension)?;
            let passes =
                dictionary.map(|dictionary| passing(&filter.matcher, &dictionary)).unwrap_or_default();
            filters.push(Resolved { dimension: &filter.dimension, passes });
        }
        let parts = event_parts(snapshot, rows.event, rows.days)?;
        let days = parts.into_iter().map(|part| Day {
            passes: passing_tuples(&part, &filters),
            column: match measure {
                Measure::Pv | Measure::Days => Some(0),
                Measure::Sum(name) => part.measure_number(name).map(|number| number + 1),
            },
            part,
        });
        Ok(PostingSums { days: days.collect(), measure: measure.clone(), compare })
    }

    pub fn open(&self, bucket: u32) -> Result<Opened<'_>, StoreError> {
        let (mut days, mut blocks) = (Vec::new(), Vec::new());
        for day in &self.days {
            let Some(column) = day.column else { continue };
            let Some(postings) = day.part.postings(bucket)? else { continue };
            let passing = postings.tuples().filter(|(tuple, _)| day.passes[*tuple as usize]);
            let rows = passing.flat_map(|(_, rows)| postings.blocks(&rows));
            blocks.extend(rows.map(|(block, rows)| (block, days.len(), rows)));
            days.push(OpenedDay { postings, column });
        }
        // Stable: the rows of a day stay together.
        blocks.sort_by_key(|(block, ..)| *block);
        let interval = Interval::of(self.compare);
        let small = interval.small().filter(|_| self.measure == Measure::Pv);
        Ok(Opened { days, blocks, count_days: self.measure == Measure::Days, interval, small })
    }

    pub fn outlook(&self, users: f64) -> Outlook {
        outlook(self.days.iter().map(|day| day.part.meta().users), self.compare, 1.0, users)
    }

    pub fn evidence(&self, place: Place) -> Result<(bool, Evidence), StoreError> {
        let mut total = 0;
        let opened = self.open(place.bucket)?;
        for rows in opened.block_days((place.ordinal >> 16) as u16) {
            let day = &opened.days[rows[0].1];
            let own =
                rows.iter().filter_map(|(.., rows)| day.postings.find(rows.clone(), place.ordinal as u16));
            let numbers: Vec<i128> = own.map(|row| day.postings.number(day.column, row).into()).collect();
            total += match self.measure {
                Measure::Days => i128::from(!numbers.is_empty()),
                _ => numbers.iter().sum(),
            };
        }
        Ok((self.compare.holds(total), Evidence::Total(total)))
    }
}

impl Opened<'_> {
    pub fn bytes(&self) -> usize {
        let of_rows = |(_, day, rows): &(u16, usize, Range<usize>)| {
            let OpenedDay { postings, column } = &self.days[*day];
            postings.bytes_of(rows.len(), *column)
        };
        self.blocks.iter().map(of_rows).sum()
    }

    /// The rows of the block, those of one day together.
    fn block_days(&self, key: u16) -> impl Iterator<Item = &[(u16, usize, Range<usize>)]> {
        let first = self.blocks.partition_point(|(block, ..)| *block < key);
        let own = &self.blocks[first..];
        let own = &own[..own.partition_point(|(block, ..)| *block == key)];
        own.chunk_by(|a, b| a.1 == b.1)
    }

    pub fn block(&self, key: u16, scratch: &mut Scratch, out: &mut Block) {
        if let Some(ends) = self.small {
            self.add_small(key, scratch);
            return self.interval.holds_for_small(ends, scratch, out);
        }
        scratch.clear_sums();
        for rows in self.block_days(key) {
            let day = &self.days[rows[0].1];
            let rows = rows.iter().map(|(.., rows)| rows.clone());
            if self.count_days {
                let mut seen = scratch.blocks.take();
                seen.clear();
                rows.for_each(|rows| day.postings.for_each(rows, day.column, |place, _| seen.insert(place)));
                scratch.positive.add_one(&seen.as_container());
                scratch.blocks.put(seen);
            } else {
                let mut add = |place, number| add(scratch, place, number);
                rows.for_each(|rows| day.postings.for_each(rows, day.column, &mut add));
            }
        }
        self.interval.holds(scratch, out);
    }

    fn add_small(&self, key: u16, scratch: &mut Scratch) {
        scratch.small.clear();
        for rows in self.block_days(key) {
            for (_, day, rows) in rows {
                let OpenedDay { postings, column } = &self.days[*day];
                let add =
                    |place, pv: i64| scratch.small.add(place, pv.clamp(0, SmallSums::MOST.into()) as u8);
                postings.for_each(rows.clone(), *column, add);
            }
        }
    }
}

fn add(scratch: &mut Scratch, position: u16, number: i64) {
    let side = if number < 0 { &mut scratch.negative } else { &mut scratch.positive };
    side.add_at(position, number.unsigned_abs());
}

fn passing(matcher: &Matcher, dictionary: &Dictionary) -> Vec<bool> {
    let each = |passes: &dyn Fn(&str) -> bool| dictionary.values().map(passes).collect();
    match matcher {
        Matcher::In(values) => {
            let mut passes = vec![false; dictionary.len() as usize];
            values.iter().filter_map(|value| dictionary.id(value)).for_each(|id| passes[id as usize] = true);
            passes
        }
        Matcher::NotIn(values) => each(&|value| !values.contains(value)),
        Matcher::Contains(part) => each(&|value| value.contains(part.as_str())),
        Matcher::Prefix(prefix) => each(&|value| value.starts_with(prefix.as_str())),
        // The rule was checked: a pattern that does not compile never gets here, and would match nothing.
        Matcher::Regex(pattern) => match compile_regex(pattern) {
            Ok(regex) => each(&|value| regex.is_match(value)),
            Err(_) => Vec::new(),
        },
    }
}

fn passing_tuples(part: &EventPart, filters: &[Resolved<'_>]) -> Vec<bool> {
    let columns: Option<Vec<(usize, &Resolved<'_>)>> = filters
        .iter()
        .map(|filter| {
            let column = part.meta().dimensions.iter().position(|name| name == filter.dimension)?;
            Some((column, filter))
        })
        .collect();
    // A day without the dimension has no row that carries it.
    let Some(columns) = columns else { return vec![false; part.meta().tuples as usize] };
    let passes = |tuple, column, filter: &Resolved<'_>| {
        let id = part.tuple_value(tuple, column);
        id.is_some_and(|id| filter.passes.get(id as usize).copied().unwrap_or(false))
    };
    (0..part.meta().tuples)
        .map(|tuple| columns.iter().all(|&(column, filter)| passes(tuple, column, filter)))
        .collect()
}
