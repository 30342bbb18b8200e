//! A piece of the file on its way into staging: its rows as bytes, and what they name, numbered within the
//! piece. Pieces are made side by side; [`Staging::take`](super::Staging) puts them together in the order
//! of the file.

use std::collections::HashMap;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use muster_days::Ds;
use muster_profile_store::{Store, User};

use super::record::{put_behavior, put_label};
use super::store::{Key, Segment};
use super::store_failed;
use crate::rows::{BadRow, BehaviorRow, BehaviorSink, LabelRow, LabelSink, Names, Refuse};

pub struct Piece<'a> {
    store: &'a Store,
    spare: Arc<Spare>,
    pub apps: Vec<PieceApp>,
    pub parts: Vec<PiecePart>,
    pub tags: Vec<PieceTag>,
    pub names: Names,
    pub bad: Vec<OwnedBad>,
    rows: Vec<u8>,
    entries: Vec<Entry>,
    numbers: Numbers,
    /// The rows by key, with the piece's own numbers of apps and parts.
    sorted: Option<(Vec<u8>, Vec<Segment>)>,
}

/// Memory of earlier pieces, for later ones.
#[derive(Default)]
pub struct Spare(Mutex<Vec<(Vec<u8>, Vec<Entry>)>>);

pub struct PieceApp {
    pub app: String,
    /// Over which its rows are spread.
    pub buckets: u32,
}

/// A label with its name, or an event, on one day. A label that has two names in the piece is two parts
/// here and becomes one in staging.
pub struct PiecePart {
    pub app: u32,
    pub ds: Ds,
    pub of: Of,
    /// The last of its rows.
    pub last: u32,
}

pub enum Of {
    Label { id: i64, name: String },
    Event { name: String, dimensions: Vec<bool>, measures: Vec<bool> },
}

/// A tag of a part, with the last name it has there and the row that said so.
pub struct PieceTag {
    pub part: u32,
    pub tag: i64,
    pub name: String,
    pub last: u32,
}

/// One row of `rows`.
#[derive(Clone, Copy)]
struct Entry {
    part: u32,
    bucket: u32,
    len: u32,
    line: u64,
}

pub struct OwnedBad {
    pub line: u64,
    column: String,
    reason: String,
    value: String,
}

impl OwnedBad {
    pub fn new(bad: &BadRow<'_>) -> OwnedBad {
        OwnedBad {
            line: bad.line,
            column: bad.column.to_owned(),
            reason: bad.reason.to_owned(),
            value: bad.value.to_owned(),
        }
    }

    pub fn borrowed(&self) -> BadRow<'_> {
        BadRow { line: self.line, column: &self.column, reason: &self.reason, value: &self.value }
    }
}

/// Slots of each cache: few parts and tags alternate from row to row.
const SLOTS: usize = 256;

/// Where apps, parts and tags stand in their lists. The caches answer for most rows; what they hold is
/// compared before it counts.
struct Numbers {
    last_app: u32,
    apps: HashMap<String, u32>,
    part_slots: Vec<u32>,
    labels: HashMap<(u32, Ds, i64), Vec<u32>>,
    events: HashMap<(u32, Ds), HashMap<String, u32>>,
    tag_slots: Vec<u32>,
    tags: HashMap<(u32, i64), u32>,
}

impl<'a> Piece<'a> {
    pub fn new(store: &'a Store, spare: Arc<Spare>) -> Piece<'a> {
        let (rows, entries) =
            spare.0.lock().unwrap_or_else(PoisonError::into_inner).pop().unwrap_or_default();
        Piece {
            store,
            spare,
            apps: Vec::new(),
            parts: Vec::new(),
            tags: Vec::new(),
            names: Names::default(),
            bad: Vec::new(),
            rows,
            entries,
            numbers: Numbers {
                last_app: 0,
                apps: HashMap::new(),
                part_slots: vec![0; SLOTS],
                labels: HashMap::new(),
                events: HashMap::new(),
                tag_slots: vec![0; SLOTS],
                tags: HashMap::new(),
            },
            sorted: None,
        }
    }

    fn app(&mut self, app: &str) -> io::Result<u32> {
        let last = self.numbers.last_app;
        if self.apps.get(last as usize).is_some_and(|last| last.app == app) {
            return Ok(last);
        }
        let number = match self.numbers.apps.get(app) {
            Some(&number) => number,
            None => {
                let buckets = self.store.buckets(app).map_err(store_failed)?;
                self.apps.push(PieceApp { app: app.to_owned(), buckets });
                let number = self.apps.len() as u32 - 1;
                self.numbers.apps.insert(app.to_owned(), number);
                number
            }
        };
        self.numbers.last_app = number;
        Ok(number)
    }

    fn label_part(&mut self, app: u32, row: &LabelRow<'_>) -> u32 {
        let slot = (row.label_id as usize ^ row.ds.number() as usize) % SLOTS;
        let is = |part: &PiecePart| {
            (part.app, part.ds) == (app, row.ds)
                && matches!(&part.of, Of::Label { id, name } if *id == row.label_id && name == row.label_name)
        };
        let cached = self.numbers.part_slots[slot];
        if self.parts.get(cached as usize).is_some_and(is) {
            return cached;
        }
        let named = self.numbers.labels.entry((app, row.ds, row.label_id)).or_default();
        let known = named.iter().copied().find(|&part| is(&self.parts[part as usize]));
        let part = known.unwrap_or_else(|| {
            let part = self.parts.len() as u32;
            named.push(part);
            let of = Of::Label { id: row.label_id, name: row.label_name.to_owned() };
            self.parts.push(PiecePart { app, ds: row.ds, of, last: 0 });
            part
        });
        self.numbers.part_slots[slot] = part;
        part
    }

    fn event_part(&mut self, app: u32, row: &BehaviorRow<'_>) -> u32 {
        let slot = (row.event.len() ^ row.ds.number() as usize) % SLOTS;
        let is = |part: &PiecePart| {
            (part.app, part.ds) == (app, row.ds)
                && matches!(&part.of, Of::Event { name, .. } if name == row.event)
        };
        let cached = self.numbers.part_slots[slot];
        if self.parts.get(cached as usize).is_some_and(is) {
            return cached;
        }
        let named = self.numbers.events.entry((app, row.ds)).or_default();
        let part = named.get(row.event).copied().unwrap_or_else(|| {
            let part = self.parts.len() as u32;
            named.insert(row.event.to_owned(), part);
            let name = row.event.to_owned();
            let of = Of::Event { name, dimensions: Vec::new(), measures: Vec::new() };
            self.parts.push(PiecePart { app, ds: row.ds, of, last: 0 });
            part
        });
        self.numbers.part_slots[slot] = part;
        part
    }

    /// Names are for people, codes decide: of several names for one code the last one stays.
    fn name_tag(&mut self, part: u32, row: &LabelRow<'_>) {
        let slot = (row.tag_id as usize ^ (part as usize) << 3) % SLOTS;
        let is = |tag: &PieceTag| (tag.part, tag.tag) == (part, row.tag_id);
        let cached = self.numbers.tag_slots[slot];
        let number = match self.tags.get(cached as usize).is_some_and(is) {
            true => cached,
            false => *self.numbers.tags.entry((part, row.tag_id)).or_insert_with(|| {
                self.tags.push(PieceTag { part, tag: row.tag_id, name: String::new(), last: 0 });
                self.tags.len() as u32 - 1
            }),
        };
        self.numbers.tag_slots[slot] = number;
        let tag = &mut self.tags[number as usize];
        tag.last = self.entries.len() as u32;
        if tag.name != row.tag_name {
            tag.name.clear();
            tag.name.push_str(row.tag_name);
        }
    }

    /// Notes the row that was put at the end of `rows`, which was `before` long.
    fn push(&mut self, part: u32, user: &User<'_>, line: u64, before: usize) {
        let PiecePart { app, last, .. } = &mut self.parts[part as usize];
        *last = self.entries.len() as u32;
        let bucket = user.bucket(self.apps[*app as usize].buckets);
        self.entries.push(Entry { part, bucket, len: (self.rows.len() - before) as u32, line });
    }

    /// The lines of a part's rows.
    /// How many rows it has.
    pub fn count(&self) -> usize {
        self.entries.len()
    }

    pub fn lines(&self, part: u32) -> Vec<u64> {
        self.entries.iter().filter(|entry| entry.part == part).map(|entry| entry.line).collect()
    }

    /// The rows by key, each key's in the order of the file. `numbers`: by part of the piece, its app and
    /// number in staging; None leaves its rows out.
    pub fn into_rows(mut self, numbers: &[Option<(u32, u32)>]) -> (Vec<u8>, Vec<Segment>) {
        let rows = match self.sorted.take() {
            None => self.sorted(numbers),
            Some((bytes, mut segments)) => {
                segments.retain_mut(|segment| match numbers[segment.key.part as usize] {
                    Some((app, part)) => {
                        segment.key = Key { app, part, ..segment.key };
                        true
                    }
                    None => false,
                });
                (bytes, segments)
            }
        };
        self.rows.clear();
        self.entries.clear();
        let mut spare = self.spare.0.lock().unwrap_or_else(PoisonError::into_inner);
        spare.push((std::mem::take(&mut self.rows), std::mem::take(&mut self.entries)));
        drop(spare);
        rows
    }

    /// Rows of parts that became one keep their order.
    fn sorted(&self, numbers: &[Option<(u32, u32)>]) -> (Vec<u8>, Vec<Segment>) {
        let mut order: Vec<(u32, u32)> = numbers.iter().flatten().copied().collect();
        order.sort_unstable();
        order.dedup();
        let place = |number: &Option<(u32, u32)>| number.and_then(|number| order.binary_search(&number).ok());
        let places: Vec<Option<usize>> = numbers.iter().map(place).collect();
        let buckets = self.apps.iter().map(|app| app.buckets).max().unwrap_or(0) as usize;
        let group = |entry: &Entry| Some(places[entry.part as usize]? * buckets + entry.bucket as usize);

        let mut ends = vec![0; order.len() * buckets];
        for entry in &self.entries {
            if let Some(group) = group(entry) {
                ends[group] += entry.len as usize;
            }
        }
        let mut segments = Vec::new();
        let mut at = 0;
        for (group, end) in ends.iter_mut().enumerate() {
            let (len, (app, part)) = (*end, order[group / buckets]);
            *end = at;
            if len > 0 {
                let key = Key { app, part, bucket: (group % buckets) as u32 };
                segments.push(Segment { key, at: at as u64, len: len as u64 });
            }
            at += len;
        }
        let mut sorted = vec![0; at];
        let mut from = 0;
        for entry in &self.entries {
            let row = from..from + entry.len as usize;
            from = row.end;
            if let Some(group) = group(entry) {
                sorted[ends[group]..ends[group] + entry.len as usize].copy_from_slice(&self.rows[row]);
                ends[group] += entry.len as usize;
            }
        }
        (sorted, segments)
    }
}

impl Refuse for Piece<'_> {
    fn refuse(&mut self, bad: &BadRow<'_>) -> io::Result<()> {
        self.bad.push(OwnedBad::new(bad));
        Ok(())
    }

    fn end(&mut self) {
        // Else how rows of the two go together is known in staging only.
        if self.numbers.labels.values().all(|named| named.len() == 1) {
            let own: Vec<_> =
                self.parts.iter().zip(0..).map(|(part, number)| Some((part.app, number))).collect();
            self.sorted = Some(self.sorted(&own));
        }
    }
}

impl LabelSink for Piece<'_> {
    fn label(&mut self, line: u64, row: &LabelRow<'_>) -> io::Result<()> {
        let app = self.app(row.app)?;
        let part = self.label_part(app, row);
        self.name_tag(part, row);
        let user = User::new(row.user.as_bytes());
        let before = self.rows.len();
        put_label(&mut self.rows, &user, row);
        self.push(part, &user, line, before);
        Ok(())
    }
}

impl BehaviorSink for Piece<'_> {
    fn behavior(&mut self, line: u64, row: &BehaviorRow<'_>) -> io::Result<()> {
        let app = self.app(row.app)?;
        let part = self.event_part(app, row);
        if let Of::Event { dimensions, measures, .. } = &mut self.parts[part as usize].of {
            row.dimensions.iter().for_each(|&(index, _)| note(dimensions, index));
            row.measures.iter().for_each(|&(index, _)| note(measures, index));
        }
        // A file without a header names its columns as they come.
        if self.names.dimensions.len() < row.names.dimensions.len() {
            self.names.dimensions.clone_from(&row.names.dimensions);
        }
        if self.names.measures.len() < row.names.measures.len() {
            self.names.measures.clone_from(&row.names.measures);
        }
        let user = User::new(row.user.as_bytes());
        let before = self.rows.len();
        put_behavior(&mut self.rows, &user, row);
        self.push(part, &user, line, before);
        Ok(())
    }
}

fn note(seen: &mut Vec<bool>, index: usize) {
    if seen.len() <= index {
        seen.resize(index + 1, false);
    }
    seen[index] = true;
}
