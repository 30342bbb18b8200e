//! An app whose parts are published twice over: into a store on disk and into the oracle's plain rows.

use std::collections::BTreeSet;
use std::sync::Arc;

use muster_catalogue::{AppCatalogue, BaseCrowdCard, EventCard};
use muster_days::Ds;
use muster_evaluator::oracle::{EventRow, LabelRow, Rows};
use muster_evaluator::{Bound, Control, SnapshotCatalogue};
use muster_profile_store::{EventShape, Place, Publication, Snapshot, Store, bucket_of};
use muster_rules::{Caps, Condition, Made, Rule, check, parse};
use roaring::RoaringBitmap;

const APP: &str = "shop";

pub struct App {
    pub rows: Rows,
    pub store: Store,
    pub buckets: u32,
    catalogue: AppCatalogue,
    _folder: tempfile::TempDir,
}

/// What one publication brings, in the order it is written.
pub enum Part {
    Label { ds: Ds, id: i64, name: String, rows: Vec<LabelRow> },
    Event { ds: Ds, event: String, dimensions: Vec<String>, measures: Vec<String>, rows: Vec<EventRow> },
}

pub fn ds(number: i64) -> Ds {
    Ds::from_number(number).unwrap()
}

impl App {
    /// An app of so many buckets that nothing is published for.
    pub fn new(buckets: u32) -> App {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut catalogue = AppCatalogue { version: 1, ..AppCatalogue::default() };
        catalogue.settings.buckets = Some(buckets);
        store.show_catalogue(APP, &catalogue).unwrap();
        App { rows: Rows::default(), store, buckets, catalogue, _folder: folder }
    }

    /// Gives the app a base crowd of its own.
    pub fn define(&mut self, code: &str, rule: Rule) {
        let card = BaseCrowdCard { rule: serde_json::to_value(&rule).unwrap(), ..BaseCrowdCard::default() };
        self.catalogue.base_crowds.insert(code.to_owned(), card);
        self.rows.crowds.insert(code.to_owned(), rule);
        self.show();
    }

    /// Says what an event counts as.
    pub fn count_as(&mut self, event: &str, active: Option<bool>, trade: Option<bool>) {
        let card = EventCard { active, trade, ..EventCard::default() };
        self.catalogue.events.insert(event.to_owned(), card);
        self.rows.counted.insert(event.to_owned(), (active, trade));
        self.show();
    }

    fn show(&mut self) {
        self.catalogue.version += 1;
        self.store.show_catalogue(APP, &self.catalogue).unwrap();
    }

    pub fn publish(&mut self, parts: Vec<Part>) {
        let mut publication = self.store.publish(APP).unwrap();
        assert_eq!(publication.buckets(), self.buckets);
        for part in parts {
            match part {
                Part::Label { ds, id, name, mut rows } => {
                    publication.start_label(id, &name, ds).unwrap();
                    self.by_bucket(&mut rows, |row| &row.user);
                    for LabelRow { user, tag, tag_name, weight } in &rows {
                        publication.label_row(user.as_bytes(), *tag, tag_name, *weight).unwrap();
                    }
                    self.rows.publish_label(ds, id, &name, rows);
                }
                Part::Event { ds, event, dimensions, measures, mut rows } => {
                    let shape =
                        EventShape { event: &event, ds, dimensions: &dimensions, measures: &measures };
                    publication.start_event(&shape).unwrap();
                    self.by_bucket(&mut rows, |row| &row.user);
                    rows.iter().for_each(|row| write_event(&mut publication, &shape, row));
                    self.rows.publish_event(ds, &event, rows);
                }
            }
            publication.finish_part(0).unwrap();
        }
        publication.commit(0).unwrap();
    }

    /// Rows go into the store bucket by bucket, otherwise in the order they came.
    fn by_bucket<R>(&self, rows: &mut [R], user: impl Fn(&R) -> &String) {
        rows.sort_by_key(|row| bucket_of(user(row).as_bytes(), self.buckets));
    }

    pub fn write_cohort(&mut self, id: &str, ds: Ds, members: BTreeSet<String>) {
        let snapshot = self.snapshot();
        let mut buckets = vec![RoaringBitmap::new(); self.buckets as usize];
        for member in &members {
            let place = snapshot.directory().find(member.as_bytes()).unwrap();
            buckets[place.bucket as usize].insert(place.ordinal);
        }
        self.store.write_cohort(APP, id, ds, &buckets).unwrap();
        self.rows.cohorts.insert(id.to_owned(), (ds, members));
    }

    pub fn snapshot(&self) -> Arc<Snapshot> {
        self.store.snapshot(APP).unwrap().unwrap()
    }
}

fn write_event(publication: &mut Publication, shape: &EventShape<'_>, row: &EventRow) {
    let values: Vec<Option<&str>> =
        shape.dimensions.iter().map(|name| row.dimensions.get(name).map(String::as_str)).collect();
    let measures: Vec<i64> =
        shape.measures.iter().map(|name| row.measures.get(name).copied().unwrap_or(0)).collect();
    publication.event_row(row.user.as_bytes(), row.pv, &values, &measures).unwrap();
}

/// A rule as it is stored, read back and bound to the snapshot. `made` is what it may name.
pub fn bind(rule: &Rule, snapshot: &Arc<Snapshot>, made: &Made) -> Bound {
    let (text, caps) = (rule.to_json(), Caps::default());
    let rule = parse(text.as_bytes(), &caps).unwrap_or_else(|problems| panic!("{text}: {problems:#?}"));
    let checked = check(&rule, &SnapshotCatalogue::with_made(snapshot, made), &caps);
    let checked = checked.unwrap_or_else(|problems| panic!("{text}: {problems:#?}"));
    Bound::new(checked.plan, snapshot.clone()).unwrap()
}

/// The members by name.
pub fn members(bound: &Bound) -> BTreeSet<String> {
    let directory = bound.snapshot().directory();
    let mut names = BTreeSet::new();
    for (bucket, ordinals) in (0..).zip(bound.members(&Control::NONE).unwrap()) {
        for ordinal in ordinals {
            let user = directory.user(Place { bucket, ordinal }).expect("a member has a name");
            assert!(names.insert(String::from_utf8(user.to_vec()).unwrap()), "a member twice");
        }
    }
    names
}

/// Asserts that evaluator and oracle say the same about the rule: its day, its members, every count, and
/// why each of `asked` is in or not. Answers the number of members and of users in the universe.
pub fn agree<'u>(
    app: &App,
    snapshot: &Arc<Snapshot>,
    rule: &Rule,
    asked: impl IntoIterator<Item = &'u String>,
    case: &str,
) -> (usize, usize) {
    let why = format!("{case}, rule {}", rule.to_json());
    let expected = app.rows.outcome(rule).expect("a day to look from");
    let bound = bind(rule, snapshot, &app.rows.made);
    assert_eq!(bound.plan().as_of, expected.as_of, "as_of: {why}");

    let found = members(&bound);
    let missing: Vec<_> = expected.members.iter().filter(|user| !found.contains(**user)).take(5).collect();
    let excess: Vec<_> =
        found.iter().filter(|user| !expected.members.contains(user.as_str())).take(5).collect();
    assert!(missing.is_empty() && excess.is_empty(), "missing {missing:?}, in excess {excess:?}: {why}");

    let counts = bound.counts(&Control::NONE).unwrap();
    assert_eq!(counts.count, expected.members.len() as u64, "count: {why}");
    assert_eq!(bound.count(&Control::NONE).unwrap(), counts.count, "count alone: {why}");
    assert_eq!(counts.universe, expected.universe.len() as u64, "universe: {why}");
    assert_eq!(counts.leaves.len(), expected.leaves.len(), "number of leaves: {why}");
    for (leaf, count) in bound.plan().leaves.iter().zip(&counts.leaves) {
        let users = &expected.leaves[&leaf.pointer].holds;
        assert_eq!(*count, users.intersection(&expected.universe).count() as u64, "{}: {why}", leaf.pointer);
    }

    for user in asked {
        let place = snapshot.directory().find(user.as_bytes()).expect("a known user");
        let explanation = bound.explain(place).unwrap();
        let user = user.as_str();
        assert_eq!(explanation.in_universe, expected.universe.contains(user), "{user} in universe: {why}");
        assert_eq!(explanation.holds, expected.members.contains(user), "{user} a member: {why}");
        for leaf in &explanation.leaves {
            let expected = &expected.leaves[&leaf.pointer];
            assert_eq!(leaf.holds, expected.holds.contains(user), "{user} {}: {why}", leaf.pointer);
            assert_eq!(&leaf.evidence, expected.evidence(user), "{user} {}: {why}", leaf.pointer);
        }
    }

    let others = Rule { root: Condition::Not(Box::new(rule.root.clone())), ..rule.clone() };
    let others = members(&bind(&others, snapshot, &app.rows.made));
    assert!(others.is_disjoint(&found), "both in and not in: {why}");
    let both = found.iter().chain(&others).map(String::as_str);
    assert!(both.clone().all(|user| expected.universe.contains(user)), "outside the universe: {why}");
    assert_eq!(both.count(), expected.universe.len(), "|A| + |NOT A|: {why}");
    (expected.members.len(), expected.universe.len())
}
