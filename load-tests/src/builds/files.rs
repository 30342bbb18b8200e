//! The same rows as CSV files, and their way through an import.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::atomic::AtomicU64;

use anyhow::ensure;
use muster_days::Tz;
use muster_ingest::build::{Watch, build};
use muster_ingest::formats::{Format, Intake, Source, read_behavior, read_labels};
use muster_ingest::rejects::RejectReport;
use muster_ingest::staging::Staging;
use muster_profile_store::Store;

use super::direct::{APP, label_id, order};
use crate::engine::rules::{label_name, page_name};
use crate::engine::set::{self, DAYS, Event, Label, PAGES, day};

pub fn write_labels(path: &Path, users: u32, shuffled: bool) -> anyhow::Result<()> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writeln!(out, "ds,app_id,label_id,label_name,user_id,tag_id,tag_name,tag_value")?;
    let ds = day(DAYS - 1);
    for label in Label::all() {
        let (id, name) = (label_id(label.number), label_name(label.number));
        for user in order(users, shuffled, u32::from(label.number)) {
            if let Some(tag) = label.tag(user) {
                writeln!(out, "{ds},{APP},{id},{name},{},{tag},tag {tag},", set::user_id(user))?;
            }
        }
    }
    Ok(out.flush()?)
}

pub fn write_behaviour(path: &Path, users: u32, shuffled: bool) -> anyhow::Result<()> {
    let pages: Vec<String> = (0..=PAGES as u16).map(page_name).collect();
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writeln!(out, "ds,app_id,user_id,event,pv,page")?;
    let mut rows = Vec::new();
    for n in 0..DAYS {
        let ds = day(n);
        for event in Event::ALL {
            for user in order(users, shuffled, n as u32) {
                set::rows(user, event, n, &mut rows);
                for row in &rows {
                    let page = if row.page == 0 { "" } else { &pages[usize::from(row.page)] };
                    writeln!(out, "{ds},{APP},{},{},{},{page}", set::user_id(user), event.name(), row.pv)?;
                }
            }
        }
    }
    Ok(out.flush()?)
}

/// What a file holds.
#[derive(Clone, Copy, Debug)]
pub enum Rows {
    Labels,
    Behaviour,
}

/// Imports the file as an import job does; gives the number of rows.
pub fn import(path: &Path, rows: Rows, store: &Store, scratch: &Path, memory: usize) -> anyhow::Result<u64> {
    let report = RejectReport::create(&scratch.join("rejects.csv"), "bench", false)?;
    let mut staging = Staging::new(store, scratch, memory, report);
    let consumed = AtomicU64::new(0);
    let intake = Intake {
        allowed: &|app| app == APP,
        takes_label: &|_, _| true,
        zone_of: &|_| Tz::UTC,
        last_day: &|_| None,
        stopped: &|| false,
        consumed: &consumed,
        scratch,
    };
    let source = Source { path, format: Format::Csv, gzip: false };
    let counts = match rows {
        Rows::Labels => read_labels(&source, &intake, &mut staging)?,
        Rows::Behaviour => read_behavior(&source, &intake, &mut staging)?,
    };
    ensure!(counts.rejected == 0, "rows were refused");
    let staged = staging.finish()?;
    let watch = Watch { stopped: &|| false, may_publish: &|| true, progress: &|_| {}, now_ms: &|| 0 };
    build(store, staged, &watch, &mut Vec::new())?;
    Ok(counts.read)
}
