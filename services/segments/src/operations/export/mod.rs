//! Streams a cohort's user ids, with what they carry of some labels: no cap, flat memory.

mod carried;
mod chunks;
mod format;
mod parquet;

pub use format::{Format, write_csv};

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use muster_bitmaps::{BitmapView, encode};
use muster_days::Ds;
use muster_profile_store::{Place, Snapshot, StoreError};
use roaring::RoaringBitmap;
use tokio::sync::mpsc::Sender;

use super::profile::Scope;
use super::served::snapshot;
use crate::Segments;
use crate::answers::Cohort;
use crate::error::Error;
use crate::instruments;
use carried::{Carried, Column};
use chunks::Chunks;
use format::Sink;

/// Ordinals per bucket, and the group that is to stand beside their ids; None: there is no column for it.
pub type InGroup = (Option<String>, Vec<RoaringBitmap>);

/// Users opened for export.
pub struct Export {
    sets: Vec<Set>,
    snapshot: Arc<Snapshot>,
    format: Format,
    columns: Vec<Column>,
}

struct Set {
    group: Option<String>,
    /// By bucket: their bitmap, as portable bytes.
    members: Vec<Vec<u8>>,
}

/// Opens everything first, so that what can't be exported is an error and no torn stream. `labels` are by id or
/// name, each with its newest day at or before `ds`.
pub fn export(
    segments: &Segments,
    cohort: &Cohort,
    format: Format,
    (labels, ds): (Vec<String>, Option<Ds>),
) -> Result<Export, Error> {
    let users = super::members(segments, &cohort.app_id, &cohort.id)?;
    export_users(segments, &cohort.app_id, &[(None, users)], format, (labels, ds.unwrap_or(cohort.ds)))
}

/// The same of any users, one set after the other.
pub fn export_users(
    segments: &Segments,
    app: &str,
    users: &[InGroup],
    format: Format,
    (labels, ds): (Vec<String>, Ds),
) -> Result<Export, Error> {
    super::on_newest_data(|| {
        let snapshot = snapshot(segments, app)?;
        let columns = match labels.is_empty() {
            true => Vec::new(),
            false => {
                let scope = Scope { labels: labels.clone(), ds: Some(ds), top: 0 };
                let asked = scope.parts(&snapshot, ds)?;
                asked.into_iter().map(|label| Column::new(&snapshot, label)).collect()
            }
        };
        let set = |(group, users): &InGroup| Set {
            group: group.clone(),
            members: users.iter().map(encode).collect(),
        };
        Ok(Export { sets: users.iter().map(set).collect(), snapshot, format, columns })
    })
}

impl Export {
    /// Which day of each label is in it; None: none.
    pub fn label_days(&self) -> impl Iterator<Item = (i64, Option<Ds>)> {
        self.columns.iter().map(|column| (column.id, column.ds()))
    }

    /// Sends the ids in chunks, set by set and bucket by bucket, until all are sent or nobody listens any more. Blocks.
    pub fn run(self, to: &Sender<io::Result<Bytes>>) {
        match self.send(to) {
            Ok(users) => instruments::exported(users),
            // Nobody listens.
            Err(_) if to.is_closed() => {}
            Err(error) => {
                tracing::error!(%error, "an export broke off");
                // The connection is cut, so that the client does not take a part for the whole.
                let _ = to.blocking_send(Err(io::Error::other("the export broke off")));
            }
        }
    }

    fn send(&self, to: &Sender<io::Result<Bytes>>) -> Result<u64, Error> {
        let names: Vec<&str> = self.columns.iter().map(|column| column.name.as_str()).collect();
        let grouped = self.sets.iter().any(|set| set.group.is_some());
        let mut sink = Sink::begin(self.format, (grouped, &names), Chunks::new(to.clone()))?;
        let mut users = 0;
        for set in &self.sets {
            users += self.send_set(set, &mut sink)?;
        }
        sink.end()?;
        Ok(users)
    }

    fn send_set(&self, set: &Set, sink: &mut Sink) -> Result<u64, Error> {
        let (group, mut users) = (set.group.as_deref(), 0);
        for (bucket, members) in (0..).zip(&set.members) {
            let members =
                BitmapView::parse_trusted(members).map_err(|error| Error::Inside(error.to_string()))?;
            let mut ids = self.snapshot.directory().ids(bucket);
            let mut carried = Carried::open(&self.columns, bucket)?;
            for (key, container) in members.containers() {
                carried.block(key, &container);
                let mut failed = Ok(());
                container.for_each(|position| {
                    if failed.is_err() {
                        return;
                    }
                    let place = Place { bucket, ordinal: u32::from(key) << 16 | u32::from(position) };
                    failed = match ids.user(place.ordinal) {
                        Some(user) => sink.row(user, group, carried.of(position)),
                        None => Err(missing(place)),
                    };
                    users += 1;
                });
                failed?;
            }
        }
        Ok(users)
    }
}

fn missing(place: Place) -> Error {
    Error::Store(StoreError::Full(format!("bucket {} has no user {}", place.bucket, place.ordinal)))
}
