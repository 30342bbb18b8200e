//! Days that are past what is kept: gone for new readers, there for those who read, never half.

mod content;

use std::collections::BTreeSet;
use std::fs;

use content::content;
use muster_days::Ds;
use muster_profile_store::{EventShape, Expired, Kept, Manifest, Publication, Store};

const APP: &str = "shop";
const MINUTE: i64 = 60_000;

fn ds(number: i64) -> Ds {
    Ds::from_number(number).unwrap()
}

fn label(publication: &mut Publication, id: i64, day: i64, tag: &str) {
    publication.start_label(id, &format!("label {id}"), ds(day)).unwrap();
    publication.label_row(b"ann", day, tag, None).unwrap();
    publication.finish_part(0).unwrap();
}

/// Label 1 every day from October 26 to November 8, label 2 on two days of which one is old, an event every
/// day: two whole weeks.
fn publish(store: &Store) {
    let mut publication = store.publish(APP).unwrap();
    for day in ds(20261026).through(ds(20261108)) {
        label(&mut publication, 1, day.number().into(), "of the day");
        let dimensions = ["page".to_owned()];
        let shape = EventShape { event: "visit", ds: day, dimensions: &dimensions, measures: &[] };
        publication.start_event(&shape).unwrap();
        publication.event_row(b"bob", 3, &[Some("/home")], &[]).unwrap();
        publication.finish_part(0).unwrap();
    }
    label(&mut publication, 2, 20261001, "old");
    label(&mut publication, 2, 20261020, "counts still");
    publication.commit(0).unwrap();
}

fn manifest(store: &Store) -> Manifest {
    store.snapshot(APP).unwrap().unwrap().manifest().clone()
}

fn days<T>(days: &std::collections::BTreeMap<Ds, T>) -> (usize, u32) {
    (days.len(), days.keys().next().unwrap().number())
}

#[test]
fn what_is_old_goes_and_what_still_counts_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    publish(&store);
    let reader = store.snapshot(APP).unwrap().unwrap();
    let before = manifest(&store);
    let kept = Kept { labels_from: Some(ds(20261103)), events_from: Some(ds(20261028)), nothing: false };

    // Not committed: as if it had never been.
    let mut publication = store.publish(APP).unwrap();
    let bytes = publication.bytes().unwrap();
    let expired = publication.expire(kept);
    assert_eq!(expired, Expired { label_days: 8 + 1, event_days: 2, weeks: 1 });
    let fewer = publication.bytes().unwrap();
    assert!(fewer < bytes);
    drop(publication);
    let sizes = reader.sizes().unwrap();
    assert_eq!(sizes.total(), bytes);
    assert!(
        [sizes.labels, sizes.events, sizes.weeks, sizes.dictionaries, sizes.directory]
            .iter()
            .all(|&it| it > 0)
    );
    assert_eq!(manifest(&store), before);

    let mut publication = store.publish(APP).unwrap();
    assert_eq!(publication.expire(kept), expired);
    publication.commit(MINUTE).unwrap();
    let after = manifest(&store);
    assert_eq!(store.snapshot(APP).unwrap().unwrap().sizes().unwrap().total(), fewer);
    // The label's day that counts on the first day that is kept: here that day itself, there an old one.
    assert_eq!(days(&after.labels[&1].days), (6, 20261103));
    assert_eq!(days(&after.labels[&2].days), (1, 20261020));
    assert_eq!(days(&after.events["visit"].days), (12, 20261028));
    assert_eq!(days(&after.events["visit"].weeks), (1, 20261102));
    // Names outlive the days.
    assert_eq!(after.labels[&1].tags, before.labels[&1].tags);
    assert_eq!(after.events["visit"].dimensions, before.events["visit"].dimensions);

    // A reader from before opens files only now, and reads what it would have read.
    let lines = content(&reader, &[]).unwrap();
    assert_eq!(lines.iter().filter(|line| line.starts_with("label 1 2026")).count(), 14);
    let new = content(&store.snapshot(APP).unwrap().unwrap(), &[]).unwrap();
    assert!(new.iter().all(|line| lines.contains(line)), "what is kept says the same");

    // Again there is nothing to drop; the files go once their readers had their time.
    let mut publication = store.publish(APP).unwrap();
    assert!(publication.expire(kept).is_empty() && !publication.is_overdue(10 * MINUTE));
    assert!(publication.is_overdue(12 * MINUTE));
    publication.commit(12 * MINUTE).unwrap();
    let shown: BTreeSet<String> = manifest(&store).files().map(str::to_owned).collect();
    let names = fs::read_dir(folder.path().join("apps").join(APP)).unwrap();
    let mut there: BTreeSet<String> =
        names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    there.retain(|name| name.ends_with(".mst"));
    assert_eq!(there, shown);
}

#[test]
fn an_event_may_lose_all_its_days_and_come_again() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    publish(&store);
    let mut publication = store.publish(APP).unwrap();
    let kept = Kept { events_from: Some(ds(20270101)), ..Kept::default() };
    assert_eq!(publication.expire(kept), Expired { label_days: 0, event_days: 14, weeks: 2 });
    publication.commit(0).unwrap();
    let gone = manifest(&store);
    assert!(gone.events["visit"].days.is_empty() && gone.events["visit"].weeks.is_empty());
    assert_eq!(gone.labels[&1].days.len(), 14);
    publish(&store);
    assert_eq!(manifest(&store).events["visit"].days.len(), 14);

    // An app that is given up loses every day, of labels too, and keeps its names.
    let mut publication = store.publish(APP).unwrap();
    let expired = publication.expire(Kept { nothing: true, ..kept });
    let days: usize = manifest(&store).labels.values().map(|label| label.days.len()).sum();
    assert_eq!((expired.label_days, expired.event_days), (days, 14));
    publication.commit(0).unwrap();
    let gone = manifest(&store);
    assert!(gone.labels.values().all(|label| label.days.is_empty() && !label.name.is_empty()));
}
