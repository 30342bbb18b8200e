//! Staging: validated rows on their way into the store, by app, part and bucket and with bounded memory,
//! so that each part can be built bucket by bucket.

mod piece;
mod record;
mod store;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::path::Path;
use std::sync::Arc;

use muster_days::Ds;
use muster_profile_store::{Store, StoreError};

use piece::{Of, OwnedBad, Spare};
pub use piece::{Piece, PieceApp};
pub use record::Records;
use store::RowStore;
pub use store::{PartRows, StagedRows};

use crate::rejects::RejectReport;
use crate::rows::{BadRow, Names, Pieces};

/// What is published whole: a label or an event on one day.
pub enum StagedPart {
    Label { ds: Ds, label: i64, name: String, tag_names: HashMap<i64, String> },
    Event { ds: Ds, event: String, dimensions: BTreeSet<usize>, measures: BTreeSet<usize> },
}

/// Takes what the readers read, piece by piece.
pub struct Staging<'a> {
    store: &'a Store,
    disabled: &'a dyn Fn(&str) -> bool,
    aside: BTreeSet<String>,
    rows_aside: u64,
    rows: RowStore,
    spare: Arc<Spare>,
    rejects: RejectReport,
    count: u64,
    apps: Vec<PieceApp>,
    app_numbers: HashMap<String, u32>,
    /// By app: label names in use, the store's and the file's.
    label_names: Vec<HashMap<String, i64>>,
    parts: Vec<StagedPart>,
    label_numbers: HashMap<(u32, Ds, i64), u32>,
    event_numbers: HashMap<(u32, Ds, String), u32>,
    names: Names,
}

/// Everything that was staged, ready to be built.
pub struct Staged {
    pub apps: Vec<PieceApp>,
    pub parts: Vec<StagedPart>,
    pub names: Names,
    pub rows: StagedRows,
    pub count: u64,
    pub rejected: u64,
    /// Apps that are disabled, of which nothing is staged, and how many good rows of theirs there were.
    pub aside: BTreeSet<String>,
    pub rows_aside: u64,
}

/// The number of buckets was settled while the rows were read: reading them again will do.
pub fn other_buckets(app: &str) -> io::Error {
    io::Error::other(format!("the number of buckets of `{app}` was settled meanwhile"))
}

impl<'a> Staging<'a> {
    /// Rows beyond about `memory` bytes are spilled to the folder `spill`.
    pub fn new(store: &'a Store, spill: &Path, memory: usize, rejects: RejectReport) -> Staging<'a> {
        Staging {
            store,
            disabled: &|_| false,
            aside: BTreeSet::new(),
            rows_aside: 0,
            rows: RowStore::new(spill, memory),
            spare: Arc::default(),
            rejects,
            count: 0,
            apps: Vec::new(),
            app_numbers: HashMap::new(),
            label_names: Vec::new(),
            parts: Vec::new(),
            label_numbers: HashMap::new(),
            event_numbers: HashMap::new(),
            names: Names::default(),
        }
    }

    /// Leaves out the rows of the apps that `disabled` names.
    pub fn without(self, disabled: &'a dyn Fn(&str) -> bool) -> Staging<'a> {
        Staging { disabled, ..self }
    }

    pub fn finish(self) -> io::Result<Staged> {
        let rejected = self.rejects.finish()?;
        let rows = self.rows.finish();
        Ok(Staged {
            apps: self.apps,
            parts: self.parts,
            names: self.names,
            rows,
            count: self.count,
            rejected,
            aside: self.aside,
            rows_aside: self.rows_aside,
        })
    }

    fn app(&mut self, PieceApp { app, buckets }: &PieceApp) -> io::Result<u32> {
        if let Some(&number) = self.app_numbers.get(app) {
            let settled = self.apps[number as usize].buckets;
            return if settled == *buckets { Ok(number) } else { Err(other_buckets(app)) };
        }
        let published = self.store.snapshot(app).map_err(store_failed)?;
        let labels = published.iter().flat_map(|snapshot| &snapshot.manifest().labels);
        self.label_names.push(labels.map(|(&id, entry)| (entry.name.clone(), id)).collect());
        let number = self.apps.len() as u32;
        self.app_numbers.insert(app.clone(), number);
        self.apps.push(PieceApp { app: app.clone(), buckets: *buckets });
        Ok(number)
    }

    fn label_part(&mut self, app: u32, ds: Ds, label: i64) -> u32 {
        *self.label_numbers.entry((app, ds, label)).or_insert_with(|| {
            let (name, tag_names) = (String::new(), HashMap::new());
            self.parts.push(StagedPart::Label { ds, label, name, tag_names });
            self.parts.len() as u32 - 1
        })
    }

    fn event_part(&mut self, app: u32, ds: Ds, event: &str) -> u32 {
        *self.event_numbers.entry((app, ds, event.to_owned())).or_insert_with(|| {
            let (dimensions, measures) = (BTreeSet::new(), BTreeSet::new());
            self.parts.push(StagedPart::Event { ds, event: event.to_owned(), dimensions, measures });
            self.parts.len() as u32 - 1
        })
    }

    /// The id that the label name belongs to in the app: the first to come with it.
    fn name_owner(&mut self, app: u32, name: &str, id: i64) -> i64 {
        let names = &mut self.label_names[app as usize];
        names.get(name).copied().unwrap_or_else(|| {
            names.insert(name.to_owned(), id);
            id
        })
    }

    /// By part of the piece: app and number in staging, None when its rows are refused, which is noted in
    /// `bad`.
    fn numbers(&mut self, piece: &Piece<'_>, bad: &mut Vec<OwnedBad>) -> io::Result<Vec<Option<(u32, u32)>>> {
        let apps = piece.apps.iter().map(|app| self.app(app)).collect::<io::Result<Vec<u32>>>()?;
        let mut numbers = Vec::with_capacity(piece.parts.len());
        for (part, own) in piece.parts.iter().zip(0..) {
            let app = apps[part.app as usize];
            if (self.disabled)(&self.apps[app as usize].app) {
                self.aside.insert(self.apps[app as usize].app.clone());
                self.rows_aside += piece.lines(own).len() as u64;
                numbers.push(None);
                continue;
            }
            let number = match &part.of {
                Of::Event { name, .. } => self.event_part(app, part.ds, name),
                Of::Label { id, name } => match self.name_owner(app, name, *id) {
                    owner if owner == *id => self.label_part(app, part.ds, *id),
                    owner => {
                        let reason = &format!("the label with the id {owner} has this name already");
                        let refused = |line| BadRow { line, column: "label_name", reason, value: name };
                        bad.extend(piece.lines(own).into_iter().map(|line| OwnedBad::new(&refused(line))));
                        numbers.push(None);
                        continue;
                    }
                },
            };
            numbers.push(Some((app, number)));
        }
        Ok(numbers)
    }

    /// What the rows of a part name; of several names for one label or tag the last one stays.
    fn take_names(&mut self, piece: &mut Piece<'_>, numbers: &[Option<(u32, u32)>]) {
        let mut parts: Vec<_> = piece.parts.drain(..).zip(numbers).collect();
        parts.sort_by_key(|(part, _)| part.last);
        for (part, number) in parts {
            let Some((_, number)) = *number else { continue };
            match (&mut self.parts[number as usize], part.of) {
                (StagedPart::Label { name, .. }, Of::Label { name: last, .. }) => *name = last,
                (
                    StagedPart::Event { dimensions, measures, .. },
                    Of::Event { dimensions: d, measures: m, .. },
                ) => {
                    dimensions.extend((0..d.len()).filter(|&index| d[index]));
                    measures.extend((0..m.len()).filter(|&index| m[index]));
                }
                _ => unreachable!("a part is of the kind that it was numbered as"),
            }
        }
        piece.tags.sort_by_key(|tag| tag.last);
        for tag in piece.tags.drain(..) {
            let Some((_, number)) = numbers[tag.part as usize] else { continue };
            if let StagedPart::Label { tag_names, .. } = &mut self.parts[number as usize] {
                tag_names.insert(tag.tag, tag.name);
            }
        }
        // Those of a later piece begin with those of an earlier one.
        if self.names.dimensions.len() < piece.names.dimensions.len() {
            self.names.dimensions = std::mem::take(&mut piece.names.dimensions);
        }
        if self.names.measures.len() < piece.names.measures.len() {
            self.names.measures = std::mem::take(&mut piece.names.measures);
        }
    }
}

impl<'a> Pieces for Staging<'a> {
    type Piece = Piece<'a>;

    fn start(&self) -> impl Fn() -> Piece<'a> + Sync + use<'a> {
        let (store, spare) = (self.store, self.spare.clone());
        move || Piece::new(store, spare.clone())
    }

    fn take(&mut self, mut piece: Piece<'a>) -> io::Result<()> {
        let mut bad = std::mem::take(&mut piece.bad);
        let refused = bad.len();
        let aside = self.rows_aside;
        let numbers = self.numbers(&piece, &mut bad)?;
        self.count += (piece.count() - (bad.len() - refused)) as u64 - (self.rows_aside - aside);
        bad.sort_by_key(|bad| bad.line);
        bad.iter().try_for_each(|bad| self.rejects.write(&bad.borrowed()))?;
        self.take_names(&mut piece, &numbers);
        let (bytes, segments) = piece.into_rows(&numbers);
        self.rows.push(bytes, segments)
    }
}

fn store_failed(error: StoreError) -> io::Error {
    io::Error::other(error)
}
