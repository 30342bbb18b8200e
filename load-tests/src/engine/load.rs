//! Puts the set into both stores.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::Path;

use muster_profile_store::{BUCKETS, EventShape, Publication, Store, bucket_of};

use super::peer::Peer;
use super::rules::{label_name, page_name};
use super::set::{self, DAYS, Event, Label, PAGES, day};

/// The users' numbers by bucket.
pub struct Users(Vec<Vec<u32>>);

impl Users {
    pub fn of(users: u32) -> Users {
        let mut buckets = vec![Vec::new(); BUCKETS as usize];
        let mut text = Text::default();
        for user in 0..users {
            buckets[bucket_of(text.of(set::user_id(user)), BUCKETS) as usize].push(user);
        }
        Users(buckets)
    }

    fn each(&self) -> impl Iterator<Item = u32> + '_ {
        self.0.iter().flatten().copied()
    }
}

/// The decimal digits of a user id.
#[derive(Default)]
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
    let path = scratch.join("behaviour.bin");
    let mut file = peer.is_some().then(|| File::create(&path).map(BufWriter::new)).transpose()?;
    let (mut count, mut rows, mut text) = (0, Vec::new(), Text::default());
    for event in Event::ALL {
        let paged = event == Event::Visit;
        let dimensions = if paged { vec!["page".to_owned()] } else { Vec::new() };
        let shape = EventShape { event: event.name(), ds: day(n), dimensions: &dimensions, measures: &[] };
        publication.start_event(&shape)?;
        for user in users.each() {
            set::rows(user, event, n, &mut rows);
            count += rows.len() as u64;
            let id = set::user_id(user);
            for row in &rows {
                let page = Some(pages[usize::from(row.page)].as_str());
                let values: &[Option<&str>] = if paged { &[page] } else { &[] };
                publication.event_row(text.of(id), row.pv.into(), values, &[])?;
                if let Some(file) = &mut file {
                    file.write_all(&[event as u8])?;
                    file.write_all(&day(n).number().to_le_bytes())?;
                    file.write_all(&row.page.to_le_bytes())?;
                    file.write_all(&id.to_le_bytes())?;
                    file.write_all(&row.pv.to_le_bytes())?;
                }
            }
        }
        publication.finish_part(0)?;
    }
    if let (Some(peer), Some(mut file)) = (peer, file) {
        file.flush()?;
        peer.load_behaviour(&path)?;
        fs::remove_file(&path)?;
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
    let path = scratch.join("label.bin");
    let mut file = peer.is_some().then(|| File::create(&path).map(BufWriter::new)).transpose()?;
    publication.start_label(10_001 + i64::from(label.number), &label_name(label.number), day(DAYS - 1))?;
    let (mut count, mut text) = (0, Text::default());
    for user in users.each() {
        let Some(tag) = label.tag(user) else { continue };
        count += 1;
        let id = set::user_id(user);
        publication.label_row(text.of(id), tag.into(), "", None)?;
        if let Some(file) = &mut file {
            file.write_all(&tag.to_le_bytes())?;
            file.write_all(&id.to_le_bytes())?;
        }
    }
    publication.finish_part(0)?;
    if let (Some(peer), Some(mut file)) = (peer, file) {
        file.flush()?;
        peer.load_label(label.number, &path)?;
        fs::remove_file(&path)?;
    }
    Ok(count)
}
