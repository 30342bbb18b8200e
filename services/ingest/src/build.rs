//! From staged rows to published parts: one publication per app, one part after the other, the buckets of
//! a part side by side.

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use muster_profile_store::{
    EventBucket, EventRow, EventShape, LabelBucket, LabelShape, Publication, Store, StoreError, Tuple,
};

use crate::instruments;
use crate::rows::Names;
use crate::staging::{PartRows, PieceApp, Records, Staged, StagedPart, other_buckets};

/// How a build is watched and ended, on any of its threads.
pub struct Watch<'a> {
    pub stopped: &'a (dyn Fn() -> bool + Sync),
    /// Asked right before an app's data are shown; false ends the build without showing them.
    pub may_publish: &'a (dyn Fn() -> bool + Sync),
    /// Told the share of rows that are built, 0 to 1.
    pub progress: &'a (dyn Fn(f64) + Sync),
    /// Epoch milliseconds.
    pub now_ms: &'a (dyn Fn() -> i64 + Sync),
}

#[derive(Debug, thiserror::Error)]
pub enum BuildError {
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error("staged rows: {0}")]
    Io(#[from] io::Error),
    #[error("stopped")]
    Stopped,
}

/// Rows handed to the store at once.
const BATCH: usize = 256;

/// Builds and publishes everything; each app's parts are shown at once, app by app. `shown` tells which
/// apps were, whatever becomes of the rest. Works on the threads of the rayon pool it is called in.
pub fn build(
    store: &Store,
    staged: Staged,
    watch: &Watch<'_>,
    shown: &mut Vec<String>,
) -> Result<(), BuildError> {
    let Staged { apps, parts, names, mut rows, count, .. } = staged;
    let done = Done { watch, rows: AtomicU64::new(0), total: count.max(1) };
    let mut open: Option<(u32, Publication)> = None;
    while let Some(part) = rows.next_part()? {
        let mut publication = match open.take() {
            Some((app, publication)) if app == part.app => publication,
            other => {
                if let Some((_, before)) = other {
                    show(before, watch, shown)?;
                }
                let PieceApp { app, buckets } = &apps[part.app as usize];
                let publication = store.publish(app)?;
                if publication.buckets() != *buckets {
                    return Err(other_buckets(app).into());
                }
                publication
            }
        };
        build_part(&mut publication, &parts[part.part as usize], &names, &part, &done)?;
        open = Some((part.app, publication));
    }
    match open {
        Some((_, last)) => show(last, watch, shown),
        None => Ok(()),
    }
}

fn show(mut publication: Publication, watch: &Watch<'_>, shown: &mut Vec<String>) -> Result<(), BuildError> {
    publication.sum_weeks()?;
    if !(watch.may_publish)() {
        return Err(BuildError::Stopped);
    }
    let app = publication.manifest().app.clone();
    let began = Instant::now();
    publication.commit((watch.now_ms)())?;
    instruments::published(began.elapsed());
    shown.push(app);
    Ok(())
}

/// Counts the rows that are built.
struct Done<'a> {
    watch: &'a Watch<'a>,
    rows: AtomicU64,
    total: u64,
}

impl Done<'_> {
    fn add(&self, rows: usize) -> Result<(), BuildError> {
        let before = self.rows.fetch_add(rows as u64, Ordering::Relaxed);
        let after = before + rows as u64;
        if before / 4096 != after / 4096 {
            if (self.watch.stopped)() {
                return Err(BuildError::Stopped);
            }
            (self.watch.progress)(after as f64 / self.total as f64);
        }
        Ok(())
    }
}

fn build_part(
    publication: &mut Publication,
    part: &StagedPart,
    names: &Names,
    rows: &PartRows<'_>,
    done: &Done<'_>,
) -> Result<(), BuildError> {
    let now_ms = (done.watch.now_ms)();
    match part {
        StagedPart::Label { ds, label, name, tag_names } => {
            let shape = LabelShape { label: *label, name, ds: *ds, tag_names };
            publication.label(&shape, now_ms, |bucket, out| {
                rows.bucket(bucket, |bytes| add_labels(bytes, out, done))
            })
        }
        StagedPart::Event { ds, event, dimensions, measures } => {
            let named = |all: &[String], some: &BTreeSet<usize>| -> Vec<String> {
                some.iter().map(|&index| all[index].clone()).collect()
            };
            let (dimension_names, measure_names) =
                (named(&names.dimensions, dimensions), named(&names.measures, measures));
            let shape = EventShape { event, ds: *ds, dimensions: &dimension_names, measures: &measure_names };
            publication.event(&shape, now_ms, |bucket, out| {
                let mut columns = Columns::new(dimensions, measures);
                rows.bucket(bucket, |bytes| columns.add(bytes, out, done))
            })
        }
    }
}

fn add_labels(bytes: &[u8], out: &mut LabelBucket<'_>, done: &Done<'_>) -> Result<(), BuildError> {
    let mut records = Records(bytes);
    let mut batch = Vec::with_capacity(BATCH);
    while !records.is_empty() {
        batch.clear();
        while batch.len() < BATCH && !records.is_empty() {
            batch.push(records.label()?);
        }
        out.add(&batch)?;
        done.add(batch.len())?;
    }
    Ok(())
}

/// How the rows of an event are read: from an index of the file's columns to the number in the part.
struct Columns {
    dimensions: HashMap<u32, usize>,
    measures: HashMap<u32, usize>,
    /// By the bytes of the dimensions in a row.
    tuples: HashMap<Box<[u8]>, Tuple>,
}

impl Columns {
    fn new(dimensions: &BTreeSet<usize>, measures: &BTreeSet<usize>) -> Columns {
        let numbered = |indexes: &BTreeSet<usize>| {
            indexes.iter().enumerate().map(|(number, &index)| (index as u32, number)).collect()
        };
        Columns { dimensions: numbered(dimensions), measures: numbered(measures), tuples: HashMap::new() }
    }

    fn add(&mut self, bytes: &[u8], out: &mut EventBucket<'_>, done: &Done<'_>) -> Result<(), BuildError> {
        let mut records = Records(bytes);
        let stride = self.measures.len();
        let mut sums = Vec::new();
        while !records.is_empty() {
            let mut heads = Vec::with_capacity(BATCH);
            sums.clear();
            while heads.len() < BATCH && !records.is_empty() {
                let (user, pv) = (records.user()?, records.number()?);
                let tuple = self.tuple(records.dimensions()?, out)?;
                heads.push((user, pv as i64, tuple));
                let row = sums.len();
                sums.resize(row + stride, 0);
                for _ in 0..records.number()? {
                    let (index, number) = records.measure()?;
                    sums[row + self.measures[&index]] = number;
                }
            }
            let rows = heads.iter().enumerate().map(|(row, &(user, pv, tuple))| EventRow {
                user,
                tuple,
                pv,
                measures: &sums[row * stride..(row + 1) * stride],
            });
            out.add(&rows.collect::<Vec<_>>())?;
            done.add(heads.len())?;
        }
        Ok(())
    }

    fn tuple(&mut self, bytes: &[u8], out: &mut EventBucket<'_>) -> Result<Tuple, BuildError> {
        if let Some(&tuple) = self.tuples.get(bytes) {
            return Ok(tuple);
        }
        let mut values = vec![None; self.dimensions.len()];
        let mut read = Records(bytes);
        while !read.is_empty() {
            let (index, text) = read.dimension()?;
            values[self.dimensions[&index]] = Some(text);
        }
        let tuple = out.tuple(&values);
        self.tuples.insert(bytes.into(), tuple);
        Ok(tuple)
    }
}
