//! Number of distinct days with any row of an event.

use std::sync::Arc;

use muster_bitmaps::{BitmapView, Block, Tally};
use muster_days::Ds;
use muster_profile_store::{EventPart, Place, Snapshot, StoreError};
use muster_rules::Compare;

use super::sums::{event_parts, outlook};
use crate::explain::Evidence;
use crate::order::Outlook;
use crate::scratch::Scratch;
use crate::totals::Interval;

pub(crate) struct Days {
    days: Vec<Arc<EventPart>>,
    compare: Compare,
}

pub(crate) struct Opened<'a> {
    users: Vec<BitmapView<'a>>,
    interval: Interval,
}

impl Days {
    pub fn bind(snapshot: &Snapshot, event: &str, days: &[Ds], compare: Compare) -> Result<Days, StoreError> {
        Ok(Days { days: event_parts(snapshot, event, days)?, compare })
    }

    pub fn open(&self, bucket: u32) -> Result<Opened<'_>, StoreError> {
        let mut users = Vec::with_capacity(self.days.len());
        for day in &self.days {
            users.extend(day.active(bucket)?);
        }
        Ok(Opened { users, interval: Interval::of(self.compare) })
    }

    pub fn outlook(&self, users: f64) -> Outlook {
        outlook(self.days.iter().map(|day| day.meta().users), self.compare, 1.0 / 8.0, users)
    }

    pub fn evidence(&self, place: Place) -> Result<(bool, Evidence), StoreError> {
        let mut total = 0;
        for day in &self.days {
            let users = day.active(place.bucket)?;
            total += i128::from(users.is_some_and(|users| users.contains(place.ordinal)));
        }
        Ok((self.compare.holds(total), Evidence::Total(total)))
    }
}

impl Opened<'_> {
    pub fn bytes(&self) -> usize {
        self.users.iter().map(BitmapView::byte_len).sum()
    }

    pub fn block(&self, key: u16, scratch: &mut Scratch, out: &mut Block) {
        if let Some(any) = self.interval.asks_for_any() {
            out.set_union(&self.users, key);
            if !any {
                out.not();
            }
            return;
        }
        let mut tally = Tally::new(&mut scratch.tally);
        let days = self.users.iter().filter_map(|users| users.container(key));
        days.for_each(|users| tally.add(0, users));
        self.interval.holds_for(tally, out);
    }
}
