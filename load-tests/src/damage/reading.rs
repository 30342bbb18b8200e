//! Reads a store through every public call, and keeps of each answer a hash, or the error.

use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::Path;
use std::sync::Arc;

use muster_bitmaps::{BitmapView, SlicesView};
use muster_evaluator::{Bound, Control, EvaluationError, SnapshotCatalogue};
use muster_profile_store::{EventPart, LabelPart, Place, Snapshot, Store, StoreError};
use muster_rules::{Caps, check, parse};

use super::samples::{APP, COHORTS, Size, asked, rules};

/// One answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    pub what: String,
    pub answer: Result<u64, String>,
}

type Digest = Result<DefaultHasher, StoreError>;

/// Buckets that are looked into: hostile files may claim many.
const MOST_BUCKETS: u32 = 4;

/// Everything that is there. When the store can't be opened that is the only answer.
pub fn read(root: &Path, size: Size) -> Vec<Item> {
    let mut items = Vec::new();
    let store = match open(root) {
        Ok((store, snapshot)) => {
            read_snapshot(&snapshot, size, &mut items);
            store
        }
        Err(error) => return vec![Item { what: "the app".to_owned(), answer: Err(error) }],
    };
    let users = store.users(APP).map(|users| hashed(&users));
    note(&mut items, "number of users".to_owned(), users);
    _ = store.apps();
    items
}

fn open(root: &Path) -> Result<(Store, Arc<Snapshot>), String> {
    let store = Store::open(root).map_err(|error| error.to_string())?;
    let snapshot = store.snapshot(APP).map_err(|error| error.to_string())?;
    Ok((store, snapshot.ok_or("the app is gone")?))
}

fn note(items: &mut Vec<Item>, what: String, digest: Digest) {
    let answer = digest.map(|hash| hash.finish()).map_err(|error| error.to_string());
    items.push(Item { what, answer });
}

fn hashed(value: &impl Hash) -> DefaultHasher {
    let mut hash = DefaultHasher::new();
    value.hash(&mut hash);
    hash
}

fn read_snapshot(snapshot: &Arc<Snapshot>, size: Size, items: &mut Vec<Item>) {
    let buckets = snapshot.directory().buckets().min(MOST_BUCKETS);
    note(items, "directory".to_owned(), Ok(directory(snapshot, size)));
    for (id, label) in &snapshot.manifest().labels {
        for &ds in label.days.keys() {
            let digest = snapshot.label(*id, ds).and_then(|part| label_part(part.as_deref(), buckets));
            note(items, format!("label {id} of {ds}"), digest);
        }
    }
    for (event, entry) in &snapshot.manifest().events {
        for dimension in entry.dimensions.keys() {
            note(items, format!("values of {event} {dimension}"), values(snapshot, event, dimension));
        }
        for &ds in entry.days.keys() {
            let digest = snapshot.event(event, ds).and_then(|part| event_part(part.as_deref(), buckets));
            note(items, format!("event {event} of {ds}"), digest);
        }
    }
    for id in COHORTS {
        note(items, id.to_owned(), cohort(snapshot, id, buckets));
    }
    for rule in rules() {
        let text = rule.to_string();
        let answer = answer(snapshot, size, &text).map(|hash| hash.finish());
        items.push(Item { what: text, answer });
    }
}

fn directory(snapshot: &Snapshot, size: Size) -> DefaultHasher {
    let directory = snapshot.directory();
    let mut hash = hashed(&(directory.buckets(), directory.users()));
    for user in asked(size) {
        directory.find(user.as_bytes()).hash(&mut hash);
    }
    for bucket in 0..directory.buckets().min(MOST_BUCKETS) {
        let users = directory.ordinals_in(bucket);
        let ends = [users.wrapping_sub(1), users, u32::MAX];
        for ordinal in (0..users).step_by(1 + users as usize / 500).chain(ends) {
            directory.user(Place { bucket, ordinal }).hash(&mut hash);
        }
    }
    hash
}

fn label_part(part: Option<&LabelPart>, buckets: u32) -> Digest {
    let Some(part) = part else { return Ok(hashed(&"nothing")) };
    let mut hash = hashed(&format!("{:?}", part.meta()));
    for bucket in 0..buckets {
        // Those that the meta section does not know are read, too.
        for tag in part.meta().tags.keys().copied().chain([0, 1, 2, -1]) {
            if let Some(users) = part.tag(bucket, tag)? {
                bitmap(&users, &mut hash);
            }
            if let Some(weights) = part.weights(bucket, tag)? {
                column(&weights, &mut hash);
            }
        }
    }
    Ok(hash)
}

fn event_part(part: Option<&EventPart>, buckets: u32) -> Digest {
    let Some(part) = part else { return Ok(hashed(&"nothing")) };
    let meta = part.meta();
    let mut hash = hashed(&format!("{meta:?}"));
    for bucket in 0..buckets {
        let sums = meta.measures.iter().map(|measure| part.measure(bucket, measure));
        for sums in std::iter::once(part.pv(bucket)).chain(sums) {
            if let Some(sums) = sums? {
                column(&sums, &mut hash);
            }
        }
        let Some(postings) = part.postings(bucket)? else { continue };
        for (tuple, rows) in postings.tuples() {
            for dimension in 0..meta.dimensions.len() {
                part.tuple_value(tuple, dimension).hash(&mut hash);
            }
            let mut groups = Vec::new();
            postings.groups(rows, |group| groups.push(group))?;
            groups.hash(&mut hash);
            for group in &groups {
                postings.find(group, 3).hash(&mut hash);
                for column in 0..=meta.measures.len() {
                    postings.for_each(group, column, |place, number| (place, number).hash(&mut hash));
                }
            }
            let rows = groups.iter().flat_map(|group| group.rows().map(move |row| (group, row)));
            for (group, row) in rows.step_by(7) {
                postings.place(row).hash(&mut hash);
                (0..=meta.measures.len()).for_each(|n| postings.number(group, n, row).hash(&mut hash));
            }
        }
    }
    Ok(hash)
}

fn values(snapshot: &Snapshot, event: &str, dimension: &str) -> Digest {
    let Some(dictionary) = snapshot.dictionary(event, dimension)? else { return Ok(hashed(&"nothing")) };
    let mut hash = hashed(&dictionary.len());
    for value in dictionary.values() {
        (value, dictionary.id(value)).hash(&mut hash);
    }
    (dictionary.id("nowhere"), dictionary.value(u32::MAX)).hash(&mut hash);
    Ok(hash)
}

fn cohort(snapshot: &Snapshot, id: &str, buckets: u32) -> Digest {
    let Some(cohort) = snapshot.cohort(id)? else { return Ok(hashed(&"nothing")) };
    let mut hash = hashed(&format!("{:?}", cohort.meta()));
    for bucket in 0..buckets {
        if let Some(members) = cohort.members(bucket)? {
            bitmap(&members, &mut hash);
        }
    }
    Ok(hash)
}

/// Positions to look at: around the ends of blocks, and in between.
fn positions() -> impl Iterator<Item = u32> {
    (0..500)
        .step_by(37)
        .chain((0..6).flat_map(|block: u32| [block << 16, (block << 16) + 999, (block << 16) | 0xffff]))
}

fn bitmap(view: &BitmapView<'_>, hash: &mut DefaultHasher) {
    (view.len(), view.byte_len(), view.is_empty(), view.container_count()).hash(hash);
    for (key, container) in view.containers() {
        (key, container.count(), view.cardinality(key), view.container(key).is_some()).hash(hash);
        container.for_each(|position| hash.write_u16(position));
    }
    for position in positions() {
        view.contains(position).hash(hash);
    }
    BitmapView::parse(view.bytes()).is_ok().hash(hash);
    if let Ok(copy) = view.to_roaring() {
        copy.len().hash(hash);
    }
}

fn column(column: &SlicesView<'_>, hash: &mut DefaultHasher) {
    let planes = column.positive_planes().iter().chain(column.negative_planes());
    for view in planes.chain([&column.exists()]) {
        (view.len(), view.container_count()).hash(hash);
    }
    for position in positions() {
        column.value_at(position).hash(hash);
    }
}

/// What a rule answers: counts, members, the universe, and why some users are in or not.
fn answer(snapshot: &Arc<Snapshot>, size: Size, text: &str) -> Result<DefaultHasher, String> {
    let caps = Caps::default();
    // A refused rule is an answer as well, and a wrong one where the file of a name is damaged.
    let checked =
        parse(text.as_bytes(), &caps).and_then(|rule| check(&rule, &SnapshotCatalogue::new(snapshot), &caps));
    let plan = match checked {
        Ok(checked) => checked.plan,
        Err(problems) => return Ok(hashed(&format!("{problems:?}"))),
    };
    evaluate(Bound::new(plan, snapshot.clone()), size).map_err(|error| error.to_string())
}

fn evaluate(bound: Result<Bound, StoreError>, size: Size) -> Result<DefaultHasher, EvaluationError> {
    let bound = bound?;
    let counts = bound.counts(&Control::NONE)?;
    let mut hash = hashed(&(counts.count, counts.universe, &counts.leaves));
    for members in bound.members(&Control::NONE)? {
        members.iter().for_each(|ordinal| hash.write_u32(ordinal));
    }
    bound.universe_size(&Control::NONE)?.hash(&mut hash);
    let directory = bound.snapshot().directory();
    let known = asked(size).into_iter().filter_map(|user| directory.find(user.as_bytes()));
    for place in known.chain([Place { bucket: 0, ordinal: u32::MAX }]) {
        format!("{:?}", bound.explain(place)?).hash(&mut hash);
    }
    Ok(hash)
}
