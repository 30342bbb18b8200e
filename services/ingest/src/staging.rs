//! Staging: validated rows on their way into the store, sorted by app, part and bucket with bounded
//! memory, so that each part can be built bucket by bucket.

use std::collections::{BTreeSet, HashMap};
use std::io;

use muster_days::Ds;
use muster_profile_store::{BUCKETS, Store, StoreError, bucket_of};

use crate::rejects::RejectReport;
use crate::rows::{BadRow, BehaviorRow, BehaviorSink, LabelRow, LabelSink, Names, Refuse};
use crate::sorter::{Sorted, Sorter};

/// An app that the file has rows of.
pub struct StagedApp {
    pub app: String,
    pub rows: u64,
    buckets: u32,
    /// Label names in use: the store's and the file's.
    label_names: HashMap<String, i64>,
}

/// What is published whole: a label or an event on one day.
pub enum StagedPart {
    Label { ds: Ds, label: i64, name: String, tag_names: HashMap<i64, String> },
    Event { ds: Ds, event: String, dimensions: BTreeSet<usize>, measures: BTreeSet<usize> },
}

/// Numbers of the parts, found without making a key that owns its text.
#[derive(Default)]
struct PartNumbers {
    labels: HashMap<(u32, Ds, i64), u32>,
    events: HashMap<(u32, Ds), HashMap<String, u32>>,
}

/// The sink of the readers.
pub struct Staging<'a> {
    store: &'a Store,
    sorter: Sorter,
    rejects: RejectReport,
    app_numbers: HashMap<String, u32>,
    apps: Vec<StagedApp>,
    part_numbers: PartNumbers,
    parts: Vec<StagedPart>,
    names: Names,
    /// Reused from row to row.
    value: Vec<u8>,
}

/// Everything that was staged, ready to be built.
pub struct Staged {
    pub apps: Vec<StagedApp>,
    pub parts: Vec<StagedPart>,
    pub names: Names,
    pub rows: Sorted,
    pub rejected: u64,
}

impl<'a> Staging<'a> {
    pub fn new(store: &'a Store, sorter: Sorter, rejects: RejectReport) -> Staging<'a> {
        Staging {
            store,
            sorter,
            rejects,
            app_numbers: HashMap::new(),
            apps: Vec::new(),
            part_numbers: PartNumbers::default(),
            parts: Vec::new(),
            names: Names::default(),
            value: Vec::new(),
        }
    }

    pub fn finish(self) -> io::Result<Staged> {
        let rejected = self.rejects.finish()?;
        let rows = self.sorter.finish()?;
        Ok(Staged { apps: self.apps, parts: self.parts, names: self.names, rows, rejected })
    }

    fn app(&mut self, app: &str) -> io::Result<u32> {
        if let Some(&number) = self.app_numbers.get(app) {
            return Ok(number);
        }
        let published = self.store.snapshot(app).map_err(store_failed)?;
        let manifest = published.as_ref().map(|snapshot| snapshot.manifest());
        let labels = manifest.into_iter().flat_map(|manifest| &manifest.labels);
        let staged = StagedApp {
            app: app.to_owned(),
            rows: 0,
            buckets: manifest.map_or(BUCKETS, |manifest| manifest.buckets),
            label_names: labels.map(|(&id, entry)| (entry.name.clone(), id)).collect(),
        };
        let number = self.apps.len() as u32;
        self.app_numbers.insert(app.to_owned(), number);
        self.apps.push(staged);
        Ok(number)
    }

    fn label_part(&mut self, app: u32, ds: Ds, label: i64) -> u32 {
        let parts = &mut self.parts;
        *self.part_numbers.labels.entry((app, ds, label)).or_insert_with(|| {
            parts.push(StagedPart::Label { ds, label, name: String::new(), tag_names: HashMap::new() });
            parts.len() as u32 - 1
        })
    }

    fn event_part(&mut self, app: u32, ds: Ds, event: &str) -> u32 {
        let numbers = self.part_numbers.events.entry((app, ds)).or_default();
        if let Some(&number) = numbers.get(event) {
            return number;
        }
        let number = self.parts.len() as u32;
        numbers.insert(event.to_owned(), number);
        let (dimensions, measures) = (BTreeSet::new(), BTreeSet::new());
        self.parts.push(StagedPart::Event { ds, event: event.to_owned(), dimensions, measures });
        number
    }

    /// Hands the row in `value` to the sorter.
    fn push(&mut self, app: u32, part: u32, user: &str) -> io::Result<()> {
        let staged = &mut self.apps[app as usize];
        staged.rows += 1;
        let bucket = bucket_of(user.as_bytes(), staged.buckets);
        let mut key = [0; 12];
        for (bytes, number) in key.chunks_exact_mut(4).zip([app, part, bucket]) {
            bytes.copy_from_slice(&number.to_be_bytes());
        }
        self.sorter.push(&key, &self.value)
    }
}

/// App and part number of a staged row's key.
pub fn read_key(key: &[u8]) -> (u32, u32) {
    let number = |at: usize| u32::from_be_bytes(key[at..at + 4].try_into().expect("keys have twelve bytes"));
    (number(0), number(4))
}

fn store_failed(error: StoreError) -> io::Error {
    io::Error::other(error)
}

impl Refuse for Staging<'_> {
    fn refuse(&mut self, bad: &BadRow<'_>) -> io::Result<()> {
        self.rejects.write(bad)
    }
}

impl LabelSink for Staging<'_> {
    fn label(&mut self, line: u64, row: &LabelRow<'_>) -> io::Result<()> {
        let app = self.app(row.app)?;
        let names = &mut self.apps[app as usize].label_names;
        match names.get(row.label_name) {
            Some(&id) if id != row.label_id => {
                let reason = format!("the label with the id {id} has this name already");
                let value = row.label_name;
                return self.refuse(&BadRow { line, column: "label_name", reason: &reason, value });
            }
            Some(_) => {}
            None => _ = names.insert(row.label_name.to_owned(), row.label_id),
        }
        let part = self.label_part(app, row.ds, row.label_id);
        // Names are for people, codes decide: of several names for one code the last one stays.
        if let StagedPart::Label { name, tag_names, .. } = &mut self.parts[part as usize] {
            if name != row.label_name {
                *name = row.label_name.to_owned();
            }
            match tag_names.get_mut(&row.tag_id) {
                Some(name) if name == row.tag_name => {}
                Some(name) => *name = row.tag_name.to_owned(),
                None => _ = tag_names.insert(row.tag_id, row.tag_name.to_owned()),
            }
        }
        self.value.clear();
        put_text(&mut self.value, row.user);
        self.value.extend_from_slice(&row.tag_id.to_le_bytes());
        if let Some(weight) = row.weight {
            self.value.extend_from_slice(&weight.to_le_bytes());
        }
        self.push(app, part, row.user)
    }
}

impl BehaviorSink for Staging<'_> {
    fn behavior(&mut self, _line: u64, row: &BehaviorRow<'_>) -> io::Result<()> {
        let app = self.app(row.app)?;
        let part = self.event_part(app, row.ds, row.event);
        if let StagedPart::Event { dimensions, measures, .. } = &mut self.parts[part as usize] {
            dimensions.extend(row.dimensions.iter().map(|&(index, _)| index));
            measures.extend(row.measures.iter().map(|&(index, _)| index));
        }
        // A file without a header names its columns as they come.
        if self.names.dimensions.len() < row.names.dimensions.len() {
            self.names.dimensions.clone_from(&row.names.dimensions);
        }
        if self.names.measures.len() < row.names.measures.len() {
            self.names.measures.clone_from(&row.names.measures);
        }
        self.value.clear();
        put_text(&mut self.value, row.user);
        self.value.extend_from_slice(&row.pv.to_le_bytes());
        self.value.extend_from_slice(&(row.dimensions.len() as u32).to_le_bytes());
        for &(index, text) in row.dimensions {
            self.value.extend_from_slice(&(index as u32).to_le_bytes());
            put_text(&mut self.value, text);
        }
        for &(index, number) in row.measures {
            self.value.extend_from_slice(&(index as u32).to_le_bytes());
            self.value.extend_from_slice(&number.to_le_bytes());
        }
        self.push(app, part, row.user)
    }
}

fn put_text(out: &mut Vec<u8>, text: &str) {
    out.extend_from_slice(&(text.len() as u32).to_le_bytes());
    out.extend_from_slice(text.as_bytes());
}

/// Reads a staged row's value from its start to its end.
pub struct Unstage<'a>(pub &'a [u8]);

impl<'a> Unstage<'a> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn text(&mut self) -> io::Result<&'a str> {
        let length = self.u32()? as usize;
        let (text, rest) = self.0.split_at_checked(length).ok_or_else(torn)?;
        self.0 = rest;
        std::str::from_utf8(text).map_err(|_| torn())
    }

    pub fn u32(&mut self) -> io::Result<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub fn i64(&mut self) -> io::Result<i64> {
        self.take().map(i64::from_le_bytes)
    }

    fn take<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        let (bytes, rest) = self.0.split_first_chunk().ok_or_else(torn)?;
        self.0 = rest;
        Ok(*bytes)
    }
}

fn torn() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "a staged row is torn")
}
