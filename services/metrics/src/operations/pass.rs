//! One look at the data, and what is done about it: the missing days, from new to old, each in as few
//! passes over the users as its tags allow.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Instant;

use chrono::Utc;
use muster_evaluator::{Control, Earlier, LabelCounts, Matrix, MatrixCounts, Weights};
use muster_jobs::Run;
use muster_profile_store::{LabelPart, Snapshot};
use muster_rules::Universe;
use rayon::ThreadPool;

use super::plan::{EVERYONE, Missing, Names, Work};
use super::precompute::{Done, inside};
use crate::Metrics;
use crate::error::Error;
use crate::instruments;
use crate::store::{self, CrowdRow, LabelRow, NewRow, WeightCell};

/// Tags that are counted in one pass: a thread keeps a number for each and every crowd.
const TAGS_AT_ONCE: usize = 50_000;
/// Cells that are written in one transaction, unless one label has more.
const CELLS_AT_ONCE: usize = 5_000;

pub struct Pass<'a> {
    pub metrics: &'a Metrics,
    pub app: &'a str,
    pub run: &'a Run,
    pub pool: Arc<ThreadPool>,
    pub snapshot: Arc<Snapshot>,
}

/// Labels of a day that are counted together.
#[derive(Default)]
struct Parts {
    /// With their places in the work's labels.
    labels: Vec<(usize, Arc<LabelPart>)>,
    /// Where to go on.
    next: usize,
    failed: Option<Error>,
}

impl Pass<'_> {
    /// A file that can't be read delays what rests on it and nothing else: the error comes at the end.
    pub async fn work(&self, missing: Missing, done: &mut Done) -> Result<(), Error> {
        let total = missing.amount();
        self.names(&missing.names).await?;
        self.totals(&missing).await?;
        let mut failed = match self.dimensions(&missing.dimensions, done).await {
            Err(Error::Store(error)) if !error.is_away() => Some(Error::Store(error)),
            result => result.map(|()| None)?,
        };
        let mut worked = 0;
        for work in missing.work {
            worked += work.amount();
            match self.day(Arc::new(work), done).await {
                Err(Error::Store(error)) if !error.is_away() => {
                    tracing::error!(app = self.app, %error, "a day can't be worked out");
                    failed = Some(Error::Store(error));
                }
                result => result?,
            }
            self.run.progress(worked as f64 / total as f64);
        }
        failed.map_or(Ok(()), Err)
    }

    async fn names(&self, names: &[Names]) -> Result<(), Error> {
        for Names { label, fingerprint } in names {
            let Some(entry) = self.snapshot.manifest().labels.get(label) else { continue };
            let line = (*label, entry.name.as_str(), fingerprint.as_str());
            store::replace_names(&self.metrics.db, self.app, line, &entry.tags).await?;
        }
        Ok(())
    }

    /// What is known without looking at any user.
    async fn totals(&self, missing: &Missing) -> Result<(), Error> {
        let Missing { from, users, resized, everyone_on, events, .. } = missing;
        let db = &self.metrics.db;
        if *resized {
            store::refresh_everyone(db, self.app, *from, *users).await?;
        }
        if !everyone_on.is_empty() {
            let row = |&ds| CrowdRow {
                crowd: EVERYONE.to_owned(),
                ds,
                users: *users,
                fingerprint: users.to_string(),
            };
            let rows: Vec<CrowdRow> = everyone_on.iter().map(row).collect();
            store::replace_crowds(db, self.app, &rows, now()).await?;
        }
        for events in events.chunks(CELLS_AT_ONCE) {
            store::replace_events(db, self.app, events, now()).await?;
        }
        Ok(())
    }

    async fn day(&self, work: Arc<Work>, done: &mut Done) -> Result<(), Error> {
        let mut place = 0;
        let mut failed = None;
        // Once also without any label: for the sizes of the crowds.
        loop {
            let parts = self.parts(work.clone(), place).await?;
            failed = parts.failed.or(failed);
            let crowds = work.all_crowds();
            // Who is new is counted once, not with every part of the labels.
            let new: Vec<usize> = work.new.iter().copied().filter(|_| place == 0).collect();
            let counts = self.count(&work, (&crowds, &new), &parts.labels).await?;
            if !self.run.still_mine().await? {
                return Err(Error::Stopped);
            }
            if place == 0 {
                let rows = crowd_rows(&work, &crowds, &counts);
                store::replace_crowds(&self.metrics.db, self.app, &rows, now()).await?;
                let rows = new_rows(&work, &crowds, &counts);
                store::replace_new(&self.metrics.db, self.app, &rows, now()).await?;
            }
            self.write(&work, label_rows(&work, &crowds, &parts.labels, &counts), done).await?;
            place = parts.next;
            if place >= work.labels.len() {
                break;
            }
        }
        done.days.insert(work.day.ds);
        failed.map_or(Ok(()), Err)
    }

    /// Opens the next labels, as many as are counted at once.
    async fn parts(&self, work: Arc<Work>, from: usize) -> Result<Parts, Error> {
        let snapshot = self.snapshot.clone();
        let opened = tokio::task::spawn_blocking(move || {
            let mut parts = Parts { next: from, ..Parts::default() };
            let mut tags = 0;
            while parts.next < work.labels.len() && tags < TAGS_AT_ONCE {
                let label = &work.day.labels[work.labels[parts.next].0];
                match snapshot.label(label.id, label.ds) {
                    Ok(part) => {
                        tags += part.as_ref().map_or(0, |part| part.meta().tags.len());
                        parts.labels.extend(part.map(|part| (parts.next, part)));
                    }
                    Err(error) => parts.failed = Some(Error::Store(error)),
                }
                parts.next += 1;
            }
            parts
        });
        opened.await.map_err(inside)
    }

    async fn count(
        &self,
        work: &Work,
        (crowds, new): (&[usize], &[usize]),
        labels: &[(usize, Arc<LabelPart>)],
    ) -> Result<MatrixCounts, Error> {
        let earlier = work.earlier(crowds, new);
        let earlier: Vec<(usize, Universe)> =
            earlier.map(|(place, _, of)| (place, of.users.clone())).collect();
        let universes: Vec<Universe> =
            crowds.iter().map(|&crowd| work.day.crowds[crowd].universe.clone()).collect();
        let parts = labels.iter().map(|(_, part)| part.clone()).collect();
        let (pool, snapshot, run) = (self.pool.clone(), self.snapshot.clone(), self.run.clone());
        let counted = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let control = Control { stopped: &|| run.stopped(), progress: &|_| {} };
            let counts =
                pool.install(|| Matrix::new(&universes, &earlier, parts, snapshot)?.counts(&control));
            instruments::counted(began.elapsed());
            counts
        });
        Ok(counted.await.map_err(inside)??)
    }

    /// All crowds of a label in one transaction, labels together as long as they are small.
    async fn write(&self, work: &Work, labels: Vec<Vec<LabelRow>>, done: &mut Done) -> Result<(), Error> {
        let mut labels = labels.into_iter().peekable();
        while labels.peek().is_some() {
            let (mut rows, mut cells) = (Vec::new(), 0);
            while let Some(label) = labels.next_if(|_| cells < CELLS_AT_ONCE) {
                cells += label.iter().map(|row| row.cells.len()).sum::<usize>();
                rows.extend(label);
            }
            // Not what it counted before somebody else took over, who may have looked for the last time.
            if !self.run.still_mine().await? {
                return Err(Error::Stopped);
            }
            let began = Instant::now();
            store::replace_labels(&self.metrics.db, self.app, work.day.ds, &rows, now()).await?;
            instruments::written(began.elapsed(), cells);
            done.labels += rows.len();
            done.cells += cells;
        }
        Ok(())
    }
}

pub fn now() -> i64 {
    Utc::now().timestamp_millis()
}

impl Work {
    /// Places of the crowds that anything is worked out for.
    fn all_crowds(&self) -> Vec<usize> {
        let of_labels = self.labels.iter().flat_map(|(_, crowds)| crowds);
        let crowds: BTreeSet<usize> = self.crowds.iter().chain(&self.new).chain(of_labels).copied().collect();
        crowds.into_iter().collect()
    }

    /// Of the crowds in `new` that anything is known of before their windows: the place in `crowds`, the
    /// number, and who was there.
    fn earlier(&self, crowds: &[usize], new: &[usize]) -> impl Iterator<Item = (usize, usize, &Earlier)> {
        let new = crowds.iter().enumerate().filter(|(_, crowd)| new.contains(crowd));
        new.filter_map(|(place, &crowd)| {
            let before = self.day.crowds[crowd].before.as_ref()?;
            Some((place, crowd, before.earlier.as_ref()?))
        })
    }
}

fn crowd_rows(work: &Work, crowds: &[usize], counts: &MatrixCounts) -> Vec<CrowdRow> {
    let stale = crowds.iter().zip(&counts.crowds).filter(|(crowd, _)| work.crowds.contains(*crowd));
    let row = |(&crowd, &users): (&usize, &u64)| {
        let crowd = &work.day.crowds[crowd];
        CrowdRow { crowd: crowd.name.clone(), ds: work.day.ds, users, fingerprint: crowd.fingerprint.clone() }
    };
    stale.map(row).collect()
}

/// `counts` were made with all of `work.new`.
fn new_rows(work: &Work, crowds: &[usize], counts: &MatrixCounts) -> Vec<NewRow> {
    let new: Vec<usize> = work.new.iter().copied().collect();
    let counted = work.earlier(crowds, &new).zip(&counts.returning);
    let counted: HashMap<usize, (u64, u64)> = counted
        .map(|((place, crowd, _), &returning)| (crowd, (counts.crowds[place] - returning, returning)))
        .collect();
    let row = |&number: &usize| {
        let crowd = &work.day.crowds[number];
        let before = crowd.before.as_ref()?;
        Some(NewRow {
            crowd: crowd.name.clone(),
            ds: work.day.ds,
            users: counted.get(&number).copied(),
            from: before.earlier.as_ref().map(|earlier| earlier.from),
            fingerprint: before.fingerprint.clone(),
        })
    };
    work.new.iter().filter_map(row).collect()
}

/// Per label, its lines in the crowds of which it is not there.
fn label_rows(
    work: &Work,
    crowds: &[usize],
    labels: &[(usize, Arc<LabelPart>)],
    counts: &MatrixCounts,
) -> Vec<Vec<LabelRow>> {
    let mut all = Vec::with_capacity(labels.len());
    for ((place, _), label) in labels.iter().zip(&counts.labels) {
        let (number, stale) = &work.labels[*place];
        let places = crowds.iter().enumerate().filter(|(_, crowd)| stale.contains(*crowd));
        let row = |(place, &crowd)| label_row(work, (*number, crowd), (place, counts.crowds[place]), label);
        all.push(places.map(row).collect());
    }
    all
}

fn label_row(
    work: &Work,
    (label, crowd): (usize, usize),
    (place, crowd_users): (usize, u64),
    counts: &LabelCounts,
) -> LabelRow {
    let (label, crowd) = (&work.day.labels[label], &work.day.crowds[crowd]);
    let cells = counts.tags.iter().copied().zip(counts.users[place].iter().copied());
    LabelRow {
        label: label.id,
        crowd: crowd.name.clone(),
        label_ds: label.ds,
        crowd_users,
        carrying: counts.carrying[place],
        fingerprint: label.fingerprint(crowd),
        cells: cells.filter(|(_, users)| *users > 0).collect(),
        weights: weights(counts, place),
    }
}

/// Of the tags that the crowd carries with a weight.
fn weights(counts: &LabelCounts, crowd: usize) -> Vec<WeightCell> {
    let weighted = counts.weighted.iter().zip(&counts.weights[crowd]);
    let cell = |(&place, weights): (&usize, &Weights)| WeightCell {
        tag: counts.tags[place],
        users: weights.users,
        sum: weights.sum.try_into().ok(),
    };
    weighted.filter(|(_, weights)| weights.users > 0).map(cell).collect()
}
