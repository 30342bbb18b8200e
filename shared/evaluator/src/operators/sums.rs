//! Total of pv or of a measure over some days, whatever the dimensions.

use std::sync::Arc;

use muster_bitmaps::{BitmapView, Block, SlicesView};
use muster_days::Ds;
use muster_profile_store::{EventPart, EventWeek, Place, Snapshot, StoreError};
use muster_rules::{Compare, Measure};

use crate::explain::Evidence;
use crate::order::Outlook;
use crate::scratch::Scratch;
use crate::totals::Interval;

pub(crate) struct Sums {
    spans: Vec<Span>,
    /// None: pv.
    measure: Option<String>,
    compare: Compare,
}

/// What is added up already.
pub(crate) enum Span {
    Day(Arc<EventPart>),
    Week(Arc<EventWeek>),
}

pub(crate) enum Opened<'a> {
    Totals {
        columns: Vec<SlicesView<'a>>,
        interval: Interval,
    },
    /// Only "any at all" is asked: who is in any of these, or in none.
    Any {
        users: Vec<BitmapView<'a>>,
        any: bool,
    },
}

/// The event's parts of the days.
pub(crate) fn event_parts(
    snapshot: &Snapshot,
    event: &str,
    days: &[Ds],
) -> Result<Vec<Arc<EventPart>>, StoreError> {
    days.iter().filter_map(|&ds| snapshot.event(event, ds).transpose()).collect()
}

/// The event on the days in as few columns as there are: whole weeks, and the days besides.
pub(crate) fn spans(snapshot: &Snapshot, event: &str, days: &[Ds]) -> Result<Vec<Span>, StoreError> {
    let Some(entry) = snapshot.manifest().events.get(event) else { return Ok(Vec::new()) };
    let (weeks, days) = entry.weeks_and_days(days);
    let mut spans = Vec::new();
    for first in weeks {
        spans.extend(snapshot.week(event, first)?.map(Span::Week));
    }
    spans.extend(event_parts(snapshot, event, &days)?.into_iter().map(Span::Day));
    Ok(spans)
}

/// What to expect of a total over parts that have so many users each, of which so many bytes are read per
/// user and part.
pub(super) fn outlook(parts: impl Iterator<Item = u64>, compare: Compare, bytes: f64, users: f64) -> Outlook {
    let (mut read, mut nobody) = (0.0, 1.0);
    for part in parts {
        read += part as f64;
        // As if everybody came by chance: who comes on most days is rather expected to be one of few.
        nobody *= 1.0 - (part as f64 / users).min(1.0);
    }
    let share = if compare.holds(0) { nobody.max(0.5) } else { 1.0 - nobody };
    Outlook { cost: read * bytes, share }
}

impl Span {
    /// Totals of pv, or of the measure, per user.
    pub fn column(&self, measure: Option<&str>, bucket: u32) -> Result<Option<SlicesView<'_>>, StoreError> {
        match (self, measure) {
            (Span::Day(day), None) => day.pv(bucket),
            (Span::Day(day), Some(name)) => day.measure(bucket, name),
            (Span::Week(week), None) => week.pv(bucket),
            (Span::Week(week), Some(name)) => week.measure(bucket, name),
        }
    }

    fn users(&self) -> u64 {
        match self {
            Span::Day(day) => day.meta().users,
            Span::Week(week) => week.meta().users,
        }
    }

    /// Adds the bitmaps that hold between them whoever has a pv above 0.
    fn add_active<'a>(&'a self, bucket: u32, users: &mut Vec<BitmapView<'a>>) -> Result<(), StoreError> {
        match self {
            Span::Day(day) if day.meta().idle_users == 0 => users.extend(day.active(bucket)?),
            _ => users.extend(self.column(None, bucket)?.iter().flat_map(SlicesView::positive_planes)),
        }
        Ok(())
    }
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
        Ok(Sums { spans: spans(snapshot, event, days)?, measure, compare })
    }

    pub fn open(&self, bucket: u32) -> Result<Opened<'_>, StoreError> {
        let interval = Interval::of(self.compare);
        if let Some(any) = interval.asks_for_any().filter(|_| self.measure.is_none()) {
            let mut users = Vec::new();
            self.spans.iter().try_for_each(|span| span.add_active(bucket, &mut users))?;
            return Ok(Opened::Any { users, any });
        }
        let measure = self.measure.as_deref();
        let columns = self.spans.iter().filter_map(|span| span.column(measure, bucket).transpose());
        Ok(Opened::Totals { columns: columns.collect::<Result<_, _>>()?, interval })
    }

    pub fn outlook(&self, users: f64) -> Outlook {
        outlook(self.spans.iter().map(Span::users), self.compare, 0.5, users)
    }

    pub fn evidence(&self, place: Place) -> Result<(bool, Evidence), StoreError> {
        let mut total = 0;
        for span in &self.spans {
            let column = span.column(self.measure.as_deref(), place.bucket)?;
            total += i128::from(column.and_then(|column| column.value_at(place.ordinal)).unwrap_or(0));
        }
        Ok((self.compare.holds(total), Evidence::Total(total)))
    }
}

impl Opened<'_> {
    pub fn bytes(&self) -> usize {
        match self {
            Opened::Totals { columns, .. } => columns.iter().map(SlicesView::plane_bytes).sum(),
            Opened::Any { users, .. } => users.iter().map(BitmapView::byte_len).sum(),
        }
    }

    pub fn block(&self, key: u16, scratch: &mut Scratch, out: &mut Block) {
        let (users, any) = match self {
            Opened::Totals { columns, interval } => {
                return interval.holds_for_columns(columns, key, scratch, out);
            }
            Opened::Any { users, any } => (users, *any),
        };
        out.set_union(users, key);
        if !any {
            out.not();
        }
    }
}
