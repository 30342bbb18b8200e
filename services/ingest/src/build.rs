//! From staged rows to published parts: one publication per app, one part after the other.

use std::collections::HashMap;
use std::io;
use std::time::Instant;

use muster_profile_store::{EventShape, Publication, Store, StoreError};

use crate::instruments;
use crate::rows::Names;
use crate::staging::{Staged, StagedPart, Unstage, read_key};

/// How a build is watched and ended.
pub struct Watch<'a> {
    pub stopped: &'a dyn Fn() -> bool,
    /// Asked right before an app's data are shown; false ends the build without showing them.
    pub may_publish: &'a dyn Fn() -> bool,
    /// Told the share of rows that are built, 0 to 1.
    pub progress: &'a dyn Fn(f64),
    /// Epoch milliseconds.
    pub now_ms: i64,
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

/// A publication, and the part in it that rows go to now.
struct Open<'a> {
    app: u32,
    part: u32,
    publication: Publication,
    columns: Columns<'a>,
}

/// Builds and publishes everything; each app's parts are shown at once, app by app. `shown` tells which
/// apps were, whatever becomes of the rest.
pub fn build(
    store: &Store,
    staged: Staged,
    watch: &Watch<'_>,
    shown: &mut Vec<String>,
) -> Result<(), BuildError> {
    let Staged { apps, parts, names, mut rows, .. } = staged;
    let total = apps.iter().map(|app| app.rows).sum::<u64>().max(1);
    let mut open: Option<Open<'_>> = None;
    let mut done: u64 = 0;
    while let Some((key, value)) = rows.next()? {
        let (app, part) = read_key(key);
        if open.as_ref().is_none_or(|open| (open.app, open.part) != (app, part)) {
            let publication = match open.take() {
                Some(before) => turn(store, before, app, &apps[app as usize].app, watch, shown)?,
                None => store.publish(&apps[app as usize].app)?,
            };
            open = Some(start(publication, (app, part), &parts[part as usize], &names)?);
        }
        if let Some(open) = &mut open {
            open.columns.add(&mut open.publication, value)?;
        }
        done += 1;
        if done.is_multiple_of(4096) {
            if (watch.stopped)() {
                return Err(BuildError::Stopped);
            }
            (watch.progress)(done as f64 / total as f64);
        }
    }
    match open {
        Some(last) => show(last, watch, shown),
        None => Ok(()),
    }
}

/// Ends the part, and the app's publication with it when the next row is of another app.
fn turn(
    store: &Store,
    mut before: Open<'_>,
    app: u32,
    name: &str,
    watch: &Watch<'_>,
    shown: &mut Vec<String>,
) -> Result<Publication, BuildError> {
    if before.app == app {
        before.publication.finish_part(watch.now_ms)?;
        return Ok(before.publication);
    }
    show(before, watch, shown)?;
    Ok(store.publish(name)?)
}

fn show(mut open: Open<'_>, watch: &Watch<'_>, shown: &mut Vec<String>) -> Result<(), BuildError> {
    open.publication.finish_part(watch.now_ms)?;
    if !(watch.may_publish)() {
        return Err(BuildError::Stopped);
    }
    let app = open.publication.manifest().app.clone();
    let began = Instant::now();
    open.publication.commit(watch.now_ms)?;
    instruments::published(began.elapsed());
    shown.push(app);
    Ok(())
}

fn start<'a>(
    mut publication: Publication,
    (app, number): (u32, u32),
    part: &'a StagedPart,
    names: &'a Names,
) -> Result<Open<'a>, BuildError> {
    let columns = match part {
        StagedPart::Label { ds, label, name, tag_names } => {
            publication.start_label(*label, name, *ds)?;
            Columns::Label { tag_names }
        }
        StagedPart::Event { ds, event, dimensions, measures } => {
            let named = |all: &[String], index: &usize| all[*index].clone();
            let dimension_names: Vec<String> =
                dimensions.iter().map(|index| named(&names.dimensions, index)).collect();
            let measure_names: Vec<String> =
                measures.iter().map(|index| named(&names.measures, index)).collect();
            publication.start_event(&EventShape {
                event,
                ds: *ds,
                dimensions: &dimension_names,
                measures: &measure_names,
            })?;
            let numbered = |indexes: &std::collections::BTreeSet<usize>| {
                indexes.iter().enumerate().map(|(number, &index)| (index as u32, number)).collect()
            };
            Columns::Event {
                dimensions: numbered(dimensions),
                measures: numbered(measures),
                sums: Vec::new(),
            }
        }
    };
    Ok(Open { app, part: number, publication, columns })
}

/// How the rows of the open part are read.
enum Columns<'a> {
    Label {
        tag_names: &'a HashMap<i64, String>,
    },
    /// From an index of the file's columns to the number in the part.
    Event {
        dimensions: HashMap<u32, usize>,
        measures: HashMap<u32, usize>,
        sums: Vec<i64>,
    },
}

impl Columns<'_> {
    fn add(&mut self, publication: &mut Publication, value: &[u8]) -> Result<(), BuildError> {
        let mut row = Unstage(value);
        let user = row.text()?;
        let number = row.i64()?;
        match self {
            Columns::Label { tag_names } => {
                let weight = if row.is_empty() { None } else { Some(row.i64()?) };
                let name = tag_names.get(&number).map_or("", String::as_str);
                publication.label_row(user.as_bytes(), number, name, weight)?;
            }
            Columns::Event { dimensions, measures, sums } => {
                let mut values = vec![None; dimensions.len()];
                for _ in 0..row.u32()? {
                    let index = row.u32()?;
                    values[dimensions[&index]] = Some(row.text()?);
                }
                sums.clear();
                sums.resize(measures.len(), 0);
                while !row.is_empty() {
                    let index = row.u32()?;
                    sums[measures[&index]] = row.i64()?;
                }
                publication.event_row(user.as_bytes(), number, &values, sums)?;
            }
        }
        Ok(())
    }
}
