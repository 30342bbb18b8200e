//! Total of pv or of a measure over some days, whatever the dimensions.

use std::sync::Arc;

use muster_bitmaps::{Block, SlicesView};
use muster_days::Ds;
use muster_profile_store::{EventPart, Place, Snapshot, StoreError};
use muster_rules::{Compare, Measure};

use crate::explain::Evidence;
use crate::order::Outlook;
use crate::scratch::Scratch;
use crate::totals::Interval;

pub(crate) struct Sums {
    days: Vec<Arc<EventPart>>,
    /// None: pv.
    measure: Option<String>,
    compare: Compare,
}

pub(crate) struct Opened<'a> {
    columns: Vec<SlicesView<'a>>,
    interval: Interval,
    /// Set when only "any at all" is asked of a column where every user that is there has some.
    any: Option<bool>,
}

/// The event's parts of the days.
pub(super) fn event_parts(
    snapshot: &Snapshot,
    event: &str,
    days: &[Ds],
) -> Result<Vec<Arc<EventPart>>, StoreError> {
    days.iter().filter_map(|&ds| snapshot.event(event, ds).transpose()).collect()
}

/// What to expect of a total over the days, of which so many bytes are read per user and day.
pub(super) fn outlook(days: &[Arc<EventPart>], compare: Compare, bytes: f64, users: f64) -> Outlook {
    let user_days: f64 = days.iter().map(|day| day.meta().users as f64).sum();
    // As if everybody came by chance: who comes on most days is rather expected to be one of few.
    let nobody: f64 = days.iter().map(|day| 1.0 - (day.meta().users as f64 / users).min(1.0)).product();
    let share = if compare.holds(0) { nobody.max(0.5) } else { 1.0 - nobody };
    Outlook { cost: user_days * bytes, share }
}

impl Sums {
    pub fn bind(
        snapshot: &Snapshot,
        event: &str,
        days: &[Ds],
        measure: &Measure,
        compare: Compare,
    ) -> Result<Sums, StoreError> {
        let measure = if let Measure::Sum(name) = measure { Some(name.clone()) } else { None };
        Ok(Sums { days: event_parts(snapshot, event, days)?, measure, compare })
    }

    fn column<'a>(&self, day: &'a EventPart, bucket: u32) -> Result<Option<SlicesView<'a>>, StoreError> {
        match &self.measure {
            None => day.pv(bucket),
            Some(name) => day.measure(bucket, name),
        }
    }

    pub fn open(&self, bucket: u32) -> Result<Opened<'_>, StoreError> {
        let columns: Result<Vec<_>, StoreError> =
            self.days.iter().filter_map(|day| self.column(day, bucket).transpose()).collect();
        let interval = Interval::of(self.compare);
        let never_idle = self.measure.is_none() && self.days.iter().all(|day| day.meta().idle_users == 0);
        let any = interval.asks_for_any().filter(|_| never_idle);
        Ok(Opened { columns: columns?, interval, any })
    }

    pub fn outlook(&self, users: f64) -> Outlook {
        outlook(&self.days, self.compare, 0.5, users)
    }

    pub fn evidence(&self, place: Place) -> Result<(bool, Evidence), StoreError> {
        let mut total = 0;
        for day in &self.days {
            let value = self.column(day, place.bucket)?.and_then(|column| column.value_at(place.ordinal));
            total += i128::from(value.unwrap_or(0));
        }
        Ok((self.compare.holds(total), Evidence::Total(total)))
    }
}

impl Opened<'_> {
    pub fn bytes(&self) -> usize {
        let of_column = |column: &SlicesView<'_>| match self.any {
            Some(_) => column.exists().byte_len(),
            None => column.plane_bytes(),
        };
        self.columns.iter().map(of_column).sum()
    }

    pub fn block(&self, key: u16, scratch: &mut Scratch, out: &mut Block) {
        if let Some(any) = self.any {
            out.clear();
            for container in self.columns.iter().filter_map(|column| column.exists_container(key)) {
                out.or_container(&container);
            }
            if !any {
                out.not();
            }
            return;
        }
        self.interval.holds_for_columns(&self.columns, key, scratch, out);
    }
}
