//! Parsed rows straight into the store: what an import does once its file is read.

use std::collections::HashMap;

use muster_profile_store::{
    EventRow, EventShape, LabelRow, LabelShape, Publication, Store, StoreError, User,
};
use rayon::prelude::*;

use crate::engine::rules::{label_name, page_name};
use crate::engine::set::{self, DAYS, Event, Label, PAGES, day};

pub const APP: &str = "builds";

/// Rows that a thread puts into their buckets at once.
const CHUNK: usize = 16 * 1024;

/// The rows of both files, part by part, users as places in `ids`.
pub struct Parsed {
    ids: Vec<String>,
    /// (user, tag) by label.
    labels: Vec<Vec<(u32, u16)>>,
    events: Vec<EventRows>,
}

/// An event on day `n`.
struct EventRows {
    event: Event,
    n: usize,
    rows: Vec<(u32, set::Row)>,
}

impl Parsed {
    pub fn labels(users: u32, shuffled: bool) -> Parsed {
        let rows = |label: Label| {
            let tag = |user| label.tag(user).map(|tag| (user, tag));
            order(users, shuffled, u32::from(label.number)).filter_map(tag).collect()
        };
        Parsed { ids: ids(users), labels: Label::all().into_iter().map(rows).collect(), events: Vec::new() }
    }

    pub fn behaviour(users: u32, shuffled: bool) -> Parsed {
        let mut events = Vec::new();
        let mut some = Vec::new();
        for n in 0..DAYS {
            for event in Event::ALL {
                let mut rows = Vec::new();
                for user in order(users, shuffled, n as u32) {
                    set::rows(user, event, n, &mut some);
                    rows.extend(some.iter().map(|row| (user, *row)));
                }
                events.push(EventRows { event, n, rows });
            }
        }
        Parsed { ids: ids(users), labels: Vec::new(), events }
    }

    fn rows(&self) -> u64 {
        let events = self.events.iter().map(|part| part.rows.len());
        self.labels.iter().map(Vec::len).chain(events).sum::<usize>() as u64
    }

    /// Gives the number of rows.
    pub fn publish(&self, store: &Store) -> Result<u64, StoreError> {
        let mut publication = store.publish(APP)?;
        for (label, rows) in self.labels.iter().enumerate() {
            self.publish_label(&mut publication, label as u16, rows)?;
        }
        for part in &self.events {
            self.publish_event(&mut publication, part)?;
        }
        publication.commit(0)?;
        Ok(self.rows())
    }

    fn user(&self, user: u32) -> User<'_> {
        User::new(self.ids[user as usize].as_bytes())
    }

    fn publish_label(
        &self,
        publication: &mut Publication,
        label: u16,
        rows: &[(u32, u16)],
    ) -> Result<(), StoreError> {
        let (name, tag_names) = (label_name(label), HashMap::new());
        let shape =
            LabelShape { label: label_id(label), name: &name, ds: day(DAYS - 1), tag_names: &tag_names };
        let buckets = publication.buckets();
        let row =
            |&(user, tag): &(u32, u16)| LabelRow { user: self.user(user), tag: tag.into(), weight: None };
        let parted: Vec<Vec<Vec<LabelRow<'_>>>> = rows
            .par_chunks(CHUNK)
            .map(|rows| by_bucket(rows.iter().map(row), buckets, |row| row.user))
            .collect();
        publication.label(&shape, 0, |bucket, out| {
            parted.iter().try_for_each(|rows| out.add(&rows[bucket as usize]))
        })
    }

    fn publish_event(&self, publication: &mut Publication, part: &EventRows) -> Result<(), StoreError> {
        let EventRows { event, n, rows } = part;
        let pages: Vec<String> = (0..=PAGES as u16).map(page_name).collect();
        let dimensions = if *event == Event::Visit { vec!["page".to_owned()] } else { Vec::new() };
        let shape = EventShape { event: event.name(), ds: day(*n), dimensions: &dimensions, measures: &[] };
        let buckets = publication.buckets();
        let row = |&(user, row): &(u32, set::Row)| (self.user(user), row);
        let parted: Vec<Vec<Vec<(User<'_>, set::Row)>>> = rows
            .par_chunks(CHUNK)
            .map(|rows| by_bucket(rows.iter().map(row), buckets, |row| row.0))
            .collect();
        publication.event(&shape, 0, |bucket, out| {
            let tuples: Vec<_> = match event {
                Event::Visit => pages.iter().map(|page| out.tuple(&[Some(page)])).collect(),
                _ => vec![out.tuple(&[])],
            };
            let mut batch = Vec::new();
            parted.iter().try_for_each(|rows| {
                batch.clear();
                batch.extend(rows[bucket as usize].iter().map(|&(user, row)| EventRow {
                    user,
                    tuple: tuples[usize::from(row.page)],
                    pv: row.pv.into(),
                    measures: &[],
                }));
                out.add(&batch)
            })
        })
    }
}

fn by_bucket<'u, T>(
    rows: impl Iterator<Item = T>,
    buckets: u32,
    user: impl Fn(&T) -> User<'u>,
) -> Vec<Vec<T>> {
    let mut parted: Vec<Vec<T>> =
        (0..buckets).map(|_| Vec::with_capacity(CHUNK / buckets as usize * 5 / 4)).collect();
    for row in rows {
        let bucket = user(&row).bucket(buckets);
        parted[bucket as usize].push(row);
    }
    parted
}

pub fn label_id(label: u16) -> i64 {
    10_001 + i64::from(label)
}

fn ids(users: u32) -> Vec<String> {
    (0..users).map(|user| set::user_id(user).to_string()).collect()
}

/// The users in the order of their numbers, or in another one for each `part`.
pub fn order(users: u32, shuffled: bool, part: u32) -> impl Iterator<Item = u32> {
    // A step that shares no factor with the number of users meets each of them once.
    let step = if shuffled { coprime(users, 1_000_003 + 2 * part) } else { 1 };
    let (mut user, users) = (0u64, u64::from(users));
    (0..users).map(move |_| {
        user = (user + u64::from(step)) % users;
        user as u32
    })
}

fn coprime(users: u32, mut step: u32) -> u32 {
    let common = |mut a: u32, mut b: u32| {
        while b > 0 {
            (a, b) = (b, a % b);
        }
        a
    };
    while common(users, step) > 1 {
        step += 1;
    }
    step
}
