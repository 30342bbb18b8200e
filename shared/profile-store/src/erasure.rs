//! Takes users out of everything that is published of an app: their ids, their labels, what they did.
//!
//! The parts that have them are written anew; their ordinals stay, so that nobody else's changes, and are named in a
//! file of their own as nobody's. Values of dimensions stay in their dictionaries, where they name no user.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use muster_bitmaps::{BitmapView, SlicesView, encode};
use muster_days::Ds;
use rayon::prelude::*;
use roaring::RoaringBitmap;

use crate::directory::{Directory, UsersFile};
use crate::enrolment::{Enrolment, users_without};
use crate::error::{Result, StoreError};
use crate::event_part::{EventMeta, EventPart};
use crate::event_rows::Rows;
use crate::label_part::{LabelMeta, LabelPart, slices_of};
use crate::manifest::ErasedEntry;
use crate::posting_writer::write_postings;
use crate::publication::{Publication, file_name, open_erased};
use crate::sealed::{Kind, Sealed, Writer};

/// Ordinals by bucket.
type Gone = [RoaringBitmap];

/// What an erasure came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Erased {
    /// Users that were known.
    pub users: u64,
    /// Days of labels and of events that had any of them.
    pub label_days: u64,
    pub event_days: u64,
}

impl Publication {
    /// Has everything be as if these users had never been there, but that their ordinals are not given out again. To
    /// be called before anything else is built. Who comes again later is a new user.
    pub fn erase(&mut self, users: &[impl AsRef<[u8]>]) -> Result<Erased> {
        let directory = &self.enrolment.directory;
        let mut gone = vec![RoaringBitmap::new(); directory.buckets() as usize];
        for place in users.iter().filter_map(|user| directory.find(user.as_ref())) {
            gone[place.bucket as usize].insert(place.ordinal);
        }
        let users = gone.iter().map(RoaringBitmap::len).sum();
        if users == 0 {
            return Ok(Erased::default());
        }
        let (label_days, event_days) = (self.erase_labels(&gone)?, self.erase_events(&gone)?);
        self.erase_ids(&gone)?;
        Ok(Erased { users, label_days, event_days })
    }

    fn erase_labels(&mut self, gone: &Gone) -> Result<u64> {
        let labels = self.manifest.labels.iter();
        let days: Vec<(i64, Ds, &str)> = labels
            .flat_map(|(id, label)| label.days.iter().map(|(ds, day)| (*id, *ds, &*day.file)))
            .collect();
        let shelf = &self.shelf;
        let made = days.into_par_iter().map(|(label, ds, file)| {
            let part = LabelPart::new(Arc::new(shelf.open(file)?))?;
            let name = file_name("label");
            let meta = label_without(&part, gone, &shelf.folder().join(&name))?;
            Ok(meta.map(|meta| (label, ds, name, meta)))
        });
        let made: Vec<Option<(i64, Ds, String, LabelMeta)>> = made.collect::<Result<_>>()?;
        let mut days = 0;
        for (label, ds, name, meta) in made.into_iter().flatten() {
            let entry = self.manifest.labels.get_mut(&label).and_then(|label| label.days.get_mut(&ds));
            let Some(day) = entry else { continue };
            day.pairs = meta.tags.values().map(|tag| tag.users).sum();
            let old = std::mem::replace(&mut day.file, name.clone());
            self.written.push(name);
            self.retire(Some(old));
            days += 1;
        }
        Ok(days)
    }

    fn erase_events(&mut self, gone: &Gone) -> Result<u64> {
        let events = self.manifest.events.iter();
        let days: Vec<(&String, Ds, &str)> = events
            .flat_map(|(name, event)| event.days.iter().map(move |(ds, day)| (name, *ds, &*day.file)))
            .collect();
        let shelf = &self.shelf;
        let made = days.into_par_iter().map(|(event, ds, file)| {
            let sealed = Arc::new(shelf.open(file)?);
            let part = EventPart::new(sealed.clone())?;
            let name = file_name("event");
            let meta = event_without((&part, &sealed), gone, &shelf.folder().join(&name))?;
            Ok(meta.map(|meta| (event.clone(), ds, name, meta)))
        });
        let made: Vec<Option<(String, Ds, String, EventMeta)>> = made.collect::<Result<_>>()?;
        let mut days = 0;
        for (event, ds, name, meta) in made.into_iter().flatten() {
            let entry = self.manifest.events.get_mut(&event).and_then(|event| event.days.get_mut(&ds));
            let Some(day) = entry else { continue };
            (day.users, day.pv) = (meta.users, meta.pv);
            let old = std::mem::replace(&mut day.file, name.clone());
            self.written.push(name);
            self.retire(Some(old));
            self.weeks.insert((event, ds.monday()));
            days += 1;
        }
        Ok(days)
    }

    /// The users files that have them, and the list of those who are nobody any more.
    fn erase_ids(&mut self, gone: &Gone) -> Result<()> {
        let shelf = self.shelf.clone();
        let nobody = Directory::new(self.manifest.buckets, Vec::new());
        let before = std::mem::replace(&mut self.enrolment, Enrolment::new(nobody)).directory;
        let mut all: Vec<RoaringBitmap> = gone.to_vec();
        for (bucket, all) in (0..).zip(&mut all) {
            if let Some(earlier) = before.erased_in(bucket) {
                *all |= owned(&earlier, shelf.folder())?;
            }
        }
        let mut files: Vec<UsersFile> = Vec::new();
        for file in before.files {
            let has = |(bucket, gone): (usize, &RoaringBitmap)| {
                let (base, count) = (file.entry.base[bucket], file.entry.count[bucket]);
                count > 0 && gone.range_cardinality(base..base + count) > 0
            };
            if !gone.iter().enumerate().any(has) {
                files.push(file);
                continue;
            }
            let name = file_name("users");
            files.push(users_without(&file, gone, (&shelf.folder().join(&name), &name))?);
            self.written.push(name);
            self.retire(Some(file.entry.file));
        }
        self.manifest.users = files.iter().map(|file| file.entry.clone()).collect();
        let name = file_name("erased");
        write_erased(&shelf.folder().join(&name), &all)?;
        self.written.push(name.clone());
        let users = all.iter().map(RoaringBitmap::len).sum();
        let entry = ErasedEntry { file: name, users, generation: self.manifest.generation + 1 };
        let old = self.manifest.erased.replace(entry);
        self.retire(old.map(|old| old.file));
        let directory = Directory::new(self.manifest.buckets, files);
        self.enrolment = Enrolment::new(directory.with_erased(open_erased(&shelf, &self.manifest)?));
        Ok(())
    }
}

fn write_erased(path: &Path, all: &[RoaringBitmap]) -> Result<()> {
    let mut writer = Writer::create(path)?;
    for (bucket, users) in (0..).zip(all).filter(|(_, users)| !users.is_empty()) {
        writer.section(Kind::Erased, bucket, 0, &encode(users))?;
    }
    writer.seal()
}

fn owned(view: &BitmapView<'_>, path: &Path) -> Result<RoaringBitmap> {
    view.to_roaring().map_err(|error| StoreError::damaged(path, error.to_string()))
}

fn has_any(view: &BitmapView<'_>, gone: &RoaringBitmap) -> bool {
    gone.iter().any(|user| view.contains(user))
}

/// None, and nothing is written, where the part has none of them.
fn label_without(part: &LabelPart, gone: &Gone, path: &Path) -> Result<Option<LabelMeta>> {
    let tags: Vec<i64> = part.meta().tags.keys().copied().collect();
    let has = |(bucket, gone): (u32, &RoaringBitmap)| {
        let view = |tag: &i64| part.tag(bucket, *tag).transpose();
        tags.iter()
            .filter_map(view)
            .try_fold(false, |has, view| Ok::<_, StoreError>(has || has_any(&view?, gone)))
    };
    let touched = (0..).zip(gone).map(has).collect::<Result<Vec<bool>>>()?;
    if !touched.contains(&true) {
        return Ok(None);
    }
    let mut meta = LabelMeta { label: part.meta().label, ds: part.meta().ds, tags: BTreeMap::new() };
    let mut writer = Writer::create(path)?;
    for tag in &tags {
        let named = meta.tags.entry(*tag).or_default();
        named.name = part.meta().tags[tag].name.clone();
        for (bucket, gone) in (0..).zip(gone) {
            let Some(view) = part.tag(bucket, *tag)? else { continue };
            let users = owned(&view, path)? - gone;
            if users.is_empty() {
                continue;
            }
            named.users += users.len();
            writer.section(Kind::Tag, bucket, *tag, &encode(&users))?;
            let Some(weights) = part.weights(bucket, *tag)? else { continue };
            let weights = values_without(&weights, gone);
            if !weights.is_empty() {
                named.weighted += weights.len() as u64;
                writer.section(Kind::Weight, bucket, *tag, &slices_of(&weights)?)?;
            }
        }
    }
    write_meta(writer, &meta)?;
    Ok(Some(meta))
}

fn write_meta(mut writer: Writer, meta: &impl serde::Serialize) -> Result<()> {
    let json = serde_json::to_vec(meta).map_err(|error| StoreError::Full(error.to_string()))?;
    writer.section(Kind::Meta, 0, 0, &json)?;
    writer.seal()
}

/// Ordinals and their values, ascending.
fn values_without(slices: &SlicesView<'_>, gone: &RoaringBitmap) -> Vec<(u32, i64)> {
    let mut left = Vec::with_capacity(slices.len() as usize);
    let mut values = vec![0i128; 1 << 16];
    for (key, container) in slices.exists().containers() {
        values.fill(0);
        for (planes, sign) in [(slices.positive_planes(), 1i128), (slices.negative_planes(), -1)] {
            for (k, plane) in planes.iter().enumerate() {
                let Some(plane) = plane.container(key) else { continue };
                plane.for_each(|position| values[usize::from(position)] += sign << k);
            }
        }
        container.for_each(|position| {
            let ordinal = u32::from(key) << 16 | u32::from(position);
            if !gone.contains(ordinal) {
                // As it was written, it fits.
                left.push((ordinal, values[usize::from(position)] as i64));
            }
        });
    }
    left
}

/// None, and nothing is written, where the part has none of them.
fn event_without(
    (part, sealed): (&EventPart, &Sealed),
    gone: &Gone,
    path: &Path,
) -> Result<Option<EventMeta>> {
    let has = |(bucket, gone): (u32, &RoaringBitmap)| {
        Ok(part.active(bucket)?.is_some_and(|active| has_any(&active, gone)))
    };
    let touched = (0..).zip(gone).map(has).collect::<Result<Vec<bool>>>()?;
    if !touched.contains(&true) {
        return Ok(None);
    }
    let mut meta = EventMeta { users: 0, idle_users: 0, pv: 0, rows: 0, ..part.meta().clone() };
    let mut writer = Writer::create(path)?;
    for (bucket, gone) in (0..).zip(gone) {
        let Some(pv) = part.pv(bucket)? else { continue };
        let pv = values_without(&pv, gone);
        if pv.is_empty() {
            continue;
        }
        meta.users += pv.len() as u64;
        meta.idle_users += pv.iter().filter(|(_, pv)| *pv == 0).count() as u64;
        meta.pv += pv.iter().map(|(_, pv)| *pv as u64).sum::<u64>();
        if meta.dimensions.is_empty() {
            // Every user has the one row.
            meta.rows += pv.len() as u64;
        } else {
            let (rows, tuples) = rows_without(part, bucket, gone)?;
            meta.rows += rows.len() as u64;
            write_postings(&mut writer, bucket, &rows, tuples)?;
        }
        writer.section(Kind::Pv, bucket, 0, &slices_of(&pv)?)?;
        for (number, name) in part.meta().measures.iter().enumerate() {
            let Some(sums) = part.measure(bucket, name)? else { continue };
            writer.section(
                Kind::Measure,
                bucket,
                number as i64,
                &slices_of(&values_without(&sums, gone))?,
            )?;
        }
    }
    writer.section(Kind::Tuples, 0, 0, sealed.need(Kind::Tuples, 0, 0)?)?;
    write_meta(writer, &meta)?;
    Ok(Some(meta))
}

/// The rows of a bucket by tuple, and by ordinal in each.
type RowsByTuple = (Rows, Vec<(u32, std::ops::Range<usize>)>);

fn rows_without(part: &EventPart, bucket: u32, gone: &RoaringBitmap) -> Result<RowsByTuple> {
    let measures = part.meta().measures.len();
    let (mut rows, mut tuples) = (Rows::new(measures), Vec::new());
    let Some(postings) = part.postings(bucket)? else { return Ok((rows, tuples)) };
    let mut of_tuple: Vec<(u32, Vec<i64>)> = Vec::new();
    for (tuple, has) in postings.tuples() {
        of_tuple.clear();
        postings.groups(has, |group| {
            for row in group.rows() {
                let ordinal = u32::from(group.block) << 16 | u32::from(postings.place(row));
                if !gone.contains(ordinal) {
                    let numbers = (0..=measures).map(|column| postings.number(&group, column, row));
                    of_tuple.push((ordinal, numbers.collect()));
                }
            }
        })?;
        if of_tuple.is_empty() {
            continue;
        }
        of_tuple.sort_unstable_by_key(|(ordinal, _)| *ordinal);
        let first = rows.len();
        for (ordinal, numbers) in &of_tuple {
            rows.push((tuple, *ordinal), numbers[0], &numbers[1..]);
        }
        tuples.push((tuple, first..rows.len()));
    }
    Ok((rows, tuples))
}
