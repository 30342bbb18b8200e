//! One event over one week, Monday to Sunday: the sums of pv and of measures per user that its seven days come
//! to, so that a rule over a month adds up some ten columns instead of thirty. A week's file is made when all of
//! its days are published, and says which files of days it stands for.

use std::cell::Cell;
use std::path::Path;
use std::sync::Arc;

use muster_bitmaps::{Block, SlicesView, slices};
use muster_days::Ds;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::error::{Result, StoreError};
use crate::event_part::{EventPart, column};
use crate::sealed::{Kind, Sealed, Writer};

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WeekMeta {
    pub event: String,
    /// Its Monday.
    pub first: Ds,
    /// The files of its days that it was made from, by day.
    pub of: Vec<String>,
    /// Number of a measure in the file.
    pub measures: Vec<String>,
    /// Users with a pv above 0.
    pub users: u64,
}

pub struct EventWeek {
    file: Arc<Sealed>,
    meta: WeekMeta,
}

impl EventWeek {
    pub(crate) fn new(file: Arc<Sealed>) -> Result<EventWeek> {
        Ok(EventWeek { meta: file.meta()?, file })
    }

    pub fn meta(&self) -> &WeekMeta {
        &self.meta
    }

    /// pv of the week per user. Every position of a block that anybody is in has a value, most of them 0; None
    /// when the app has no such bucket.
    pub fn pv(&self, bucket: u32) -> Result<Option<SlicesView<'_>>> {
        column(&self.file, Kind::Pv, bucket, 0)
    }

    /// Sum of the measure per user, as [`EventWeek::pv`]; None when no day of the week has the measure.
    pub fn measure(&self, bucket: u32, name: &str) -> Result<Option<SlicesView<'_>>> {
        let Some(number) = self.meta.measures.iter().position(|measure| measure == name) else {
            return Ok(None);
        };
        column(&self.file, Kind::Measure, bucket, number as i64)
    }
}

/// Writes the week of these days; false when a user's total does not fit 64 bits, and the days have to do.
pub(crate) fn write_week(path: &Path, mut meta: WeekMeta, days: &[EventPart], buckets: u32) -> Result<bool> {
    for measure in days.iter().flat_map(|day| &day.meta().measures) {
        if !meta.measures.contains(measure) {
            meta.measures.push(measure.clone());
        }
    }
    let made: Vec<Option<Vec<Totals>>> =
        (0..buckets).into_par_iter().map(|bucket| totals_of(&meta, days, bucket)).collect::<Result<_>>()?;
    let Some(made) = made.into_iter().collect::<Option<Vec<_>>>() else { return Ok(false) };
    let mut writer = Writer::create(path)?;
    for (bucket, columns) in made.iter().enumerate() {
        for (number, totals) in columns.iter().enumerate() {
            let (kind, key) = match number {
                0 => (Kind::Pv, 0),
                number => (Kind::Measure, number as i64 - 1),
            };
            writer.section(kind, bucket as u32, key, &totals.bytes)?;
        }
        meta.users += columns[0].above;
    }
    let json = serde_json::to_vec(&meta).map_err(|error| StoreError::Full(error.to_string()))?;
    writer.section(Kind::Meta, 0, 0, &json)?;
    writer.seal()?;
    Ok(true)
}

/// A column of one bucket.
struct Totals {
    bytes: Vec<u8>,
    /// Users whose total is above 0.
    above: u64,
}

/// pv, then each measure; None when a total does not fit.
fn totals_of(meta: &WeekMeta, days: &[EventPart], bucket: u32) -> Result<Option<Vec<Totals>>> {
    let pv = days.iter().map(|day| day.pv(bucket)).collect::<Result<Vec<_>>>()?;
    let mut made = vec![add_up(pv.iter().flatten())?];
    for name in &meta.measures {
        let sums = days.iter().map(|day| day.measure(bucket, name)).collect::<Result<Vec<_>>>()?;
        made.push(add_up(sums.iter().flatten())?);
    }
    Ok(made.into_iter().collect())
}

/// The sum of the columns, worked out block by block; None when one does not fit.
fn add_up<'a>(columns: impl Iterator<Item = &'a SlicesView<'a>> + Clone) -> Result<Option<Totals>> {
    let mut keys: Vec<u16> = Vec::new();
    columns.clone().for_each(|column| keys.extend(column.exists().containers().map(|(key, _)| key)));
    keys.sort_unstable();
    keys.dedup();
    let (above, fits) = (Cell::new(0), Cell::new(true));
    let of_block = |key: u16| {
        let mut totals = vec![0i128; Block::BITS as usize];
        columns.clone().for_each(|column| add_block(column, key, &mut totals));
        totals.into_iter().enumerate().map(move |(place, total)| (u32::from(key) << 16 | place as u32, total))
    };
    let values = keys.into_iter().flat_map(of_block).map(|(position, total)| {
        above.update(|users| users + u64::from(total > 0));
        let total = i64::try_from(total).unwrap_or_else(|_| {
            fits.set(false);
            0
        });
        (position, total)
    });
    let bytes = slices::encode(values).map_err(|error| StoreError::Full(error.to_string()))?;
    Ok(fits.get().then_some(Totals { bytes, above: above.get() }))
}

fn add_block(column: &SlicesView<'_>, key: u16, totals: &mut [i128]) {
    for (planes, sign) in [(column.positive_planes(), 1), (column.negative_planes(), -1)] {
        for (k, container) in
            planes.iter().enumerate().filter_map(|(k, plane)| Some((k, plane.container(key)?)))
        {
            container.for_each(|position| totals[usize::from(position)] += sign << k);
        }
    }
}
