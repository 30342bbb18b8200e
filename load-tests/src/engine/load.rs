//! Puts the set into both stores.

use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use muster_profile_store::{
    BUCKETS, EventBucket, EventRow, EventShape, LabelBucket, LabelRow, LabelShape, Publication, Store, Tuple,
    User, bucket_of,
};

use super::peer::Peer;
use super::rules::{label_name, page_name};
use super::set::{self, DAYS, Event, Ids, Label, PAGES, day};

/// The users' numbers and ids by bucket.
pub struct Users(Vec<Vec<(u32, u32)>>);

impl Users {
    pub fn of(users: u32, ids: Ids) -> Users {
        let mut buckets = vec![Vec::new(); BUCKETS as usize];
        let mut text = Text::default();
        for user in 0..users {
            let id = ids.of(user);
            buckets[bucket_of(text.of(id), BUCKETS) as usize].push((user, id));
        }
        Users(buckets)
    }
}

/// Rows handed over at once.
const BATCH: usize = 256;

/// The decimal digits of a user id.
#[derive(Clone, Default)]
struct Text(Vec<u8>);

impl Text {
    fn of(&mut self, id: u32) -> &[u8] {
        self.0.clear();
        write!(self.0, "{id}").expect("a vector takes every byte");
        &self.0
    }
}

pub struct Rows {
    pub labels: u64,
    pub behaviour: u64,
}

/// Behaviour first, day by day, then the labels.
pub fn fill(
    app: &str,
    users: &Users,
    store: &Store,
    peer: Option<&mut Peer>,
    scratch: &Path,
) -> anyhow::Result<Rows> {
    let mut peer = peer;
    let mut publication = store.publish(app)?;
    let mut behaviour = 0;
    for n in 0..DAYS {
        behaviour += fill_day(users, n, &mut publication, peer.as_deref_mut(), scratch)?;
        eprint!("\rday {} of {DAYS}: {behaviour} rows of behaviour ", n + 1);
    }
    eprintln!();
    let mut labels = 0;
    for label in Label::all() {
        labels += fill_label(users, &label, &mut publication, peer.as_deref_mut(), scratch)?;
        eprint!("\rlabel {}: {labels} rows of labels ", label.number + 1);
    }
    eprintln!();
    publication.commit(0)?;
    if let Some(peer) = peer {
        peer.settle()?;
    }
    Ok(Rows { labels, behaviour })
}

fn fill_day(
    users: &Users,
    n: usize,
    publication: &mut Publication,
    peer: Option<&mut Peer>,
    scratch: &Path,
) -> anyhow::Result<u64> {
    let pages: Vec<String> = (0..=PAGES as u16).map(page_name).collect();
    let copy = Copy::create(peer.is_some(), scratch.join("behaviour.bin"))?;
    let count = AtomicU64::new(0);
    for event in Event::ALL {
        let dimensions = if event == Event::Visit { vec!["page".to_owned()] } else { Vec::new() };
        let shape = EventShape { event: event.name(), ds: day(n), dimensions: &dimensions, measures: &[] };
        publication.event(&shape, 0, |bucket, out| {
            let tuples: Vec<Tuple> = match event {
                Event::Visit => pages.iter().map(|page| out.tuple(&[Some(page)])).collect(),
                _ => vec![out.tuple(&[])],
            };
            let users = &users.0[bucket as usize];
            count.fetch_add(fill_event(users, event, n, &tuples, out, &copy)?, Ordering::Relaxed);
            anyhow::Ok(())
        })?;
    }
    if let (Some(peer), Some(path)) = (peer, copy.finish()?) {
        peer.load_behaviour(&path)?;
        fs::remove_file(&path)?;
    }
    Ok(count.into_inner())
}

/// One bucket of an event's day; gives the number of rows.
fn fill_event(
    users: &[(u32, u32)],
    event: Event,
    n: usize,
    tuples: &[Tuple],
    out: &mut EventBucket<'_>,
    copy: &Copy,
) -> anyhow::Result<u64> {
    let (mut count, mut rows) = (0, Vec::new());
    let (mut texts, mut bytes) = (vec![Text::default(); BATCH], Vec::new());
    for users in users.chunks(BATCH) {
        let mut batch = Vec::with_capacity(2 * BATCH);
        for (&(user, id), text) in users.iter().zip(&mut texts) {
            set::rows(user, event, n, &mut rows);
            if rows.is_empty() {
                continue;
            }
            let user = User::new(text.of(id));
            for row in &rows {
                let tuple = tuples[usize::from(row.page)];
                batch.push(EventRow { user, tuple, pv: row.pv.into(), measures: &[] });
                bytes.push(event as u8);
                bytes.extend_from_slice(&day(n).number().to_le_bytes());
                bytes.extend_from_slice(&row.page.to_le_bytes());
                bytes.extend_from_slice(&id.to_le_bytes());
                bytes.extend_from_slice(&row.pv.to_le_bytes());
            }
        }
        count += batch.len() as u64;
        out.add(&batch)?;
        copy.write(&mut bytes)?;
    }
    Ok(count)
}

fn fill_label(
    users: &Users,
    label: &Label,
    publication: &mut Publication,
    peer: Option<&mut Peer>,
    scratch: &Path,
) -> anyhow::Result<u64> {
    let copy = Copy::create(peer.is_some(), scratch.join("label.bin"))?;
    let count = AtomicU64::new(0);
    let shape = LabelShape {
        label: 10_001 + i64::from(label.number),
        name: &label_name(label.number),
        ds: day(DAYS - 1),
        tag_names: &HashMap::new(),
    };
    publication.label(&shape, 0, |bucket, out| {
        count.fetch_add(fill_tags(&users.0[bucket as usize], label, out, &copy)?, Ordering::Relaxed);
        anyhow::Ok(())
    })?;
    if let (Some(peer), Some(path)) = (peer, copy.finish()?) {
        peer.load_label(label.number, &path)?;
        fs::remove_file(&path)?;
    }
    Ok(count.into_inner())
}

/// One bucket of a label; gives the number of rows.
fn fill_tags(
    users: &[(u32, u32)],
    label: &Label,
    out: &mut LabelBucket<'_>,
    copy: &Copy,
) -> anyhow::Result<u64> {
    let mut count = 0;
    let (mut texts, mut bytes) = (vec![Text::default(); BATCH], Vec::new());
    for users in users.chunks(BATCH) {
        let mut batch = Vec::with_capacity(BATCH);
        for (&(user, id), text) in users.iter().zip(&mut texts) {
            let Some(tag) = label.tag(user) else { continue };
            batch.push(LabelRow { user: User::new(text.of(id)), tag: tag.into(), weight: None });
            bytes.extend_from_slice(&tag.to_le_bytes());
            bytes.extend_from_slice(&id.to_le_bytes());
        }
        count += batch.len() as u64;
        out.add(&batch)?;
        copy.write(&mut bytes)?;
    }
    Ok(count)
}

/// The same rows in a file for the other store, if there is one.
struct Copy(Option<(Mutex<BufWriter<File>>, PathBuf)>);

impl Copy {
    fn create(wanted: bool, path: PathBuf) -> anyhow::Result<Copy> {
        if !wanted {
            return Ok(Copy(None));
        }
        Ok(Copy(Some((Mutex::new(BufWriter::new(File::create(&path)?)), path))))
    }

    /// Takes whole rows and empties `bytes`.
    fn write(&self, bytes: &mut Vec<u8>) -> anyhow::Result<()> {
        if let Some((file, _)) = &self.0 {
            file.lock().unwrap_or_else(PoisonError::into_inner).write_all(bytes)?;
        }
        bytes.clear();
        Ok(())
    }

    fn finish(self) -> anyhow::Result<Option<PathBuf>> {
        let Some((file, path)) = self.0 else { return Ok(None) };
        file.into_inner().ok().context("a thread panicked")?.flush()?;
        Ok(Some(path))
    }
}
