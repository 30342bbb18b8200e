//! Sums of whole weeks: there exactly while they say what their days say.

use std::collections::BTreeMap;
use std::fs;

use muster_days::Ds;
use muster_profile_store::{EventShape, EventWeekEntry, Publication, Snapshot, Store};

const APP: &str = "shop";
/// A Monday.
const MONDAY: i64 = 20261102;

/// User, pv, amount.
type Row<'a> = (&'a str, i64, i64);

fn ds(number: i64) -> Ds {
    Ds::from_number(number).unwrap()
}

/// Publishes days of the week, counted from Monday.
fn publish(store: &Store, days: &[(i64, &[Row<'_>])]) {
    let mut publication = store.publish(APP).unwrap();
    days.iter().for_each(|(day, rows)| write(&mut publication, ds(MONDAY).plus(*day), "amount", rows));
    publication.commit(0).unwrap();
}

fn write(publication: &mut Publication, day: Ds, measure: &str, rows: &[Row<'_>]) {
    let measures = [measure.to_owned()];
    let shape = EventShape { event: "order", ds: day, dimensions: &[], measures: &measures };
    publication.start_event(&shape).unwrap();
    for (user, pv, amount) in rows {
        publication.event_row(user.as_bytes(), *pv, &[], &[*amount]).unwrap();
    }
    publication.finish_part(0).unwrap();
}

fn snapshot(store: &Store) -> std::sync::Arc<Snapshot> {
    store.snapshot(APP).unwrap().unwrap()
}

fn entry(store: &Store) -> Option<EventWeekEntry> {
    snapshot(store).manifest().events["order"].weeks.get(&ds(MONDAY)).cloned()
}

/// What the week says of everybody: pv and amount. Checked against the days.
fn sums(store: &Store) -> BTreeMap<String, (i64, i64)> {
    let snapshot = snapshot(store);
    let week = snapshot.week("order", ds(MONDAY)).unwrap().expect("the week is there");
    let mut sums = BTreeMap::new();
    for bucket in 0..snapshot.directory().buckets() {
        for ordinal in 0..snapshot.directory().users_in(bucket) {
            let place = muster_profile_store::Place { bucket, ordinal };
            let user = String::from_utf8(snapshot.directory().user(place).unwrap().to_vec()).unwrap();
            let pv = week.pv(bucket).unwrap().and_then(|column| column.value_at(ordinal)).unwrap_or(0);
            let amounts = week.measure(bucket, "amount").unwrap();
            let amount = amounts.and_then(|column| column.value_at(ordinal)).unwrap_or(0);
            let (mut day_pv, mut day_amount) = (0, 0);
            for day in ds(MONDAY).through(ds(MONDAY).plus(6)) {
                let part = snapshot.event("order", day).unwrap().unwrap();
                let value = |column: Option<muster_bitmaps::SlicesView<'_>>| {
                    column.and_then(|column| column.value_at(ordinal)).unwrap_or(0)
                };
                day_pv += value(part.pv(bucket).unwrap());
                day_amount += value(part.measure(bucket, "amount").unwrap());
            }
            assert_eq!((pv, amount), (day_pv, day_amount), "{user}");
            sums.insert(user, (pv, amount));
        }
    }
    sums
}

const DAYS: [(i64, &[Row<'static>]); 7] = [
    (0, &[("ann", 1, 5), ("bob", 2, 7)]),
    (1, &[("ann", 1, 0)]),
    (2, &[]),
    (3, &[("cat", 0, i64::MAX)]),
    (4, &[("ann", 300, 1)]),
    (5, &[("bob", 1, 1), ("dan", 1, 1)]),
    (6, &[("ann", 1, i64::MIN), ("cat", 0, -1)]),
];

fn opened() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

#[test]
fn a_week_is_there_when_all_its_days_are() {
    let (_folder, store) = opened();
    publish(&store, &DAYS[..3]);
    assert!(entry(&store).is_none());
    publish(&store, &DAYS[4..]);
    assert!(entry(&store).is_none(), "Thursday is missing");
    publish(&store, &DAYS[3..4]);
    let sums = sums(&store);
    assert_eq!(sums["ann"], (303, i64::MIN + 6));
    assert_eq!((sums["bob"], sums["cat"]), ((3, 8), (0, i64::MAX - 1)));
    assert_eq!(snapshot(&store).week("order", ds(MONDAY)).unwrap().unwrap().meta().users, 3, "cat has no pv");
}

#[test]
fn a_day_published_again_makes_its_week_again() {
    let (folder, store) = opened();
    publish(&store, &DAYS);
    let before = entry(&store).unwrap();
    publish(&store, &[(4, &[("bob", 1, 1)])]);
    let after = entry(&store).unwrap();
    assert_ne!(before.file, after.file);
    assert_eq!(sums(&store)["ann"].0, 3);
    assert!(folder.path().join("apps/shop").join(&before.file).exists(), "kept for readers for a while");
    assert!(snapshot(&store).manifest().retired.contains_key(&before.file));
}

#[test]
fn a_total_past_64_bits_leaves_the_days_to_themselves() {
    let (_folder, store) = opened();
    publish(&store, &DAYS);
    publish(&store, &[(2, &[("cat", 0, i64::MAX)])]);
    assert!(entry(&store).is_none());
}

#[test]
fn a_week_made_from_other_days_is_not_used() {
    let (_folder, store) = opened();
    publish(&store, &DAYS);
    let snapshot = snapshot(&store);
    let mut event = snapshot.manifest().events["order"].clone();
    let days: Vec<Ds> = ds(MONDAY).plus(-1).through(ds(MONDAY).plus(8)).collect();
    let besides = [days[0], days[8], days[9]];
    assert_eq!(event.weeks_and_days(&days), (vec![ds(MONDAY)], besides.to_vec()));
    assert_eq!(event.weeks_and_days(&days[2..]), (vec![], days[2..].to_vec()), "Monday is not asked for");
    event.days.get_mut(&ds(MONDAY)).unwrap().file = "event-of-an-older-program.mst".into();
    assert_eq!(event.weeks_and_days(&days), (vec![], days));
}

/// A damaged day makes no week; neither does it keep the others from being published, or itself.
#[test]
fn a_damaged_day_is_in_nobodys_way() {
    let (folder, store) = opened();
    publish(&store, &DAYS[..6]);
    let friday = snapshot(&store).manifest().events["order"].days[&ds(MONDAY).plus(4)].file.clone();
    let path = folder.path().join("apps/shop").join(friday);
    fs::write(&path, &fs::read(&path).unwrap()[1..]).unwrap();
    publish(&store, &DAYS[6..]);
    assert!(entry(&store).is_none());
    publish(&store, &DAYS[4..5]);
    assert_eq!(sums(&store)["ann"].0, 303);
}

#[test]
fn a_measure_of_some_days_counts_on_these() {
    let (_folder, store) = opened();
    publish(&store, &DAYS);
    let mut publication = store.publish(APP).unwrap();
    write(&mut publication, ds(MONDAY), "refunds", &[("ann", 1, 9)]);
    publication.commit(0).unwrap();
    let snapshot = snapshot(&store);
    let week = snapshot.week("order", ds(MONDAY)).unwrap().unwrap();
    assert_eq!(week.meta().measures, ["refunds", "amount"]);
    let place = snapshot.directory().find(b"ann").unwrap();
    let refunds = week.measure(place.bucket, "refunds").unwrap().unwrap();
    assert_eq!(refunds.value_at(place.ordinal), Some(9));
    assert_eq!(sums(&store)["ann"], (303, i64::MIN + 1));
}
