//! Totals over the rows that pass dimension filters: filters are resolved against the dictionary, then
//! against the day's tuples, and only the rows of matching tuples are read.

use std::sync::Arc;

use muster_bitmaps::{Block, SmallSums};
use muster_days::Ds;
use muster_profile_store::{Dictionary, EventPart, Place, Postings, RowGroup, Snapshot, StoreError};
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
    /// Rows of tuples that pass, by block, and which of `days` they are of.
    groups: Vec<(RowGroup, u32)>,
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
        let (mut days, mut groups) = (Vec::new(), Vec::new());
        for day in &self.days {
            let Some(column) = day.column else { continue };
            let Some(postings) = day.part.postings(bucket)? else { continue };
            let number = days.len() as u32;
            for (_, rows) in postings.tuples().filter(|(tuple, _)| day.passes[*tuple as usize]) {
                postings.groups(rows, |group| groups.push((group, number)))?;
            }
            days.push(OpenedDay { postings, column });
        }
        // Stable: the rows of a day stay together.
        groups.sort_by_key(|(group, _)| group.block);
        let interval = Interval::of(self.compare);
        let small = interval.small().filter(|_| self.measure == Measure::Pv);
        Ok(Opened { days, groups, count_days: self.measure == Measure::Days, interval, small })
    }

    pub fn outlook(&self, users: f64) -> Outlook {
        outlook(self.days.iter().map(|day| day.part.meta().users), self.compare, 1.0, users)
    }

    pub fn evidence(&self, place: Place) -> Result<(bool, Evidence), StoreError> {
        let mut total = 0;
        let opened = self.open(place.bucket)?;
        for (day, groups) in opened.block_days((place.ordinal >> 16) as u16) {
            let OpenedDay { postings, column } = day;
            let number = |(group, _): &(RowGroup, u32)| {
                let row = postings.find(group, place.ordinal as u16)?;
                Some(postings.number(group, *column, row).into())
            };
            let numbers: Vec<i128> = groups.iter().filter_map(number).collect();
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
        let of_group = |(group, day): &(RowGroup, u32)| {
            let OpenedDay { postings, column } = &self.days[*day as usize];
            postings.bytes_of(group, *column)
        };
        self.groups.iter().map(of_group).sum()
    }

    /// The rows of the block.
    fn of_block(&self, key: u16) -> &[(RowGroup, u32)] {
        let first = self.groups.partition_point(|(group, _)| group.block < key);
        let own = &self.groups[first..];
        &own[..own.partition_point(|(group, _)| group.block == key)]
    }

    /// The rows of the block by day.
    fn block_days(&self, key: u16) -> impl Iterator<Item = (&OpenedDay<'_>, &[(RowGroup, u32)])> {
        let days = self.of_block(key).chunk_by(|a, b| a.1 == b.1);
        days.map(|groups| (&self.days[groups[0].1 as usize], groups))
    }

    pub fn block(&self, key: u16, scratch: &mut Scratch, out: &mut Block) {
        if let Some(ends) = self.small {
            self.add_small(key, &mut scratch.small);
            return self.interval.holds_for_small(ends, scratch, out);
        }
        scratch.clear_sums();
        for (OpenedDay { postings, column }, groups) in self.block_days(key) {
            let groups = groups.iter().map(|(group, _)| group);
            if self.count_days {
                let mut seen = scratch.blocks.take();
                seen.clear();
                groups.for_each(|group| postings.for_each(group, *column, |place, _| seen.insert(place)));
                scratch.positive.add_one(&seen.as_container());
                scratch.blocks.put(seen);
            } else {
                let mut add = |place, number| add(scratch, place, number);
                groups.for_each(|group| postings.for_each(group, *column, &mut add));
            }
        }
        self.interval.holds(scratch, out);
    }

    fn add_small(&self, key: u16, sums: &mut SmallSums) {
        for (group, day) in self.of_block(key) {
            let OpenedDay { postings, column } = &self.days[*day as usize];
            let add = |place, pv: i64| sums.add(place, pv.clamp(0, SmallSums::MOST.into()) as u8);
            postings.for_each(group, *column, add);
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
