//! A store that users were erased from is as one that never had them.

mod content;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs;
use std::path::Path;

use content::content;
use muster_days::Ds;
use muster_profile_store::{Erased, EventShape, Publication, Store, bucket_of};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use roaring::RoaringBitmap;

const APP: &str = "shop";
const HOUR: i64 = 3_600_000;

type LabelRows = Vec<(String, i64, Option<i64>)>;
/// User, page, pv, amount.
type EventRows = Vec<(String, Option<String>, i64, i64)>;

/// What one publication brings, by day.
#[derive(Default)]
struct Rows {
    labels: BTreeMap<(i64, Ds), LabelRows>,
    events: BTreeMap<(&'static str, Ds), EventRows>,
}

fn day(number: i64) -> Ds {
    Ds::from_number(20261102).unwrap().plus(number)
}

fn user(number: u32) -> String {
    format!("user {number}")
}

fn rows(rng: &mut StdRng, days: std::ops::Range<i64>, users: u32) -> Rows {
    let mut rows = Rows::default();
    for ds in days.map(day) {
        for label in 1..4 {
            let all = (0..users).filter_map(|n| {
                let weight = rng.random_bool(0.4).then(|| rng.random_range(-50..3_000));
                let there = rng.random_bool(0.6);
                there.then(|| (user(n), rng.random_range(1..4), weight.filter(|_| label > 1)))
            });
            rows.labels.insert((label, ds), all.collect());
        }
        for event in ["order", "visit"] {
            let all = (0..users * 2).map(|_| {
                let page = rng.random_bool(0.9).then(|| format!("/{}", rng.random_range(0..5)));
                let pv = [0, 1, 1, 1, 2, 2, 7][rng.random_range(0..7)];
                (user(rng.random_range(0..users)), page, pv, rng.random_range(-900..900))
            });
            rows.events.insert((event, ds), all.collect());
        }
    }
    rows
}

fn publish(store: &Store, rows: &Rows, without: &BTreeSet<String>, now: i64) {
    let mut publication = store.publish(APP).unwrap();
    let bucket = |user: &str, publication: &Publication| bucket_of(user.as_bytes(), publication.buckets());
    for ((label, ds), rows) in &rows.labels {
        let mut rows: Vec<_> = rows.iter().filter(|row| !without.contains(&row.0)).collect();
        rows.sort_by_key(|row| bucket(&row.0, &publication));
        publication.start_label(*label, "label", *ds).unwrap();
        for (user, tag, weight) in rows {
            publication.label_row(user.as_bytes(), *tag, "tag", *weight).unwrap();
        }
        publication.finish_part(now).unwrap();
    }
    for ((event, ds), rows) in &rows.events {
        let mut rows: Vec<_> = rows.iter().filter(|row| !without.contains(&row.0)).collect();
        rows.sort_by_key(|row| bucket(&row.0, &publication));
        let dimensions = if *event == "visit" { vec!["page".to_owned()] } else { Vec::new() };
        let measures = ["m_amount".to_owned()];
        let shape = EventShape { event, ds: *ds, dimensions: &dimensions, measures: &measures };
        publication.start_event(&shape).unwrap();
        for (user, page, pv, amount) in rows {
            let values = [page.as_deref()];
            publication.event_row(user.as_bytes(), *pv, &values[..dimensions.len()], &[*amount]).unwrap();
        }
        publication.finish_part(now).unwrap();
    }
    publication.commit(now).unwrap();
}

fn erase(store: &Store, users: &BTreeSet<String>, now: i64) -> Erased {
    let mut publication = store.publish(APP).unwrap();
    let users: Vec<&String> = users.iter().collect();
    let erased = publication.erase(&users).unwrap();
    publication.commit(now).unwrap();
    erased
}

/// Without what numbers and names that were once given tell of earlier users.
fn told(store: &Store) -> Vec<String> {
    let snapshot = store.snapshot(APP).unwrap().unwrap();
    let lines = content(&snapshot, &["coh_1"]).unwrap();
    let users = snapshot.directory().users();
    assert_eq!(store.users(APP).unwrap(), Some(users));
    let in_buckets =
        (0..snapshot.directory().buckets()).map(|it| u64::from(snapshot.directory().users_in(it)));
    assert_eq!(in_buckets.sum::<u64>(), users);
    let of_manifest = snapshot.manifest().labels.iter().flat_map(|(id, label)| {
        label.days.iter().map(move |(ds, day)| format!("label {id} {ds} has {} pairs", day.pairs))
    });
    let events = snapshot.manifest().events.iter().flat_map(|(name, event)| {
        event.days.iter().map(move |(ds, day)| format!("event {name} {ds} has {} {}", day.users, day.pv))
    });
    let mut told: Vec<String> = lines
        .into_iter()
        .filter(|line| {
            !line.starts_with("values ") && !line.contains(" is label, tags") && !line.ends_with(": ")
        })
        .map(|line| match line.split_once(": ") {
            Some((place, user)) if place.starts_with("user ") => format!("user {user}"),
            _ => line,
        })
        .chain(of_manifest)
        .chain(events)
        .collect();
    told.sort();
    told
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

fn some(rng: &mut StdRng, users: u32, share: f64) -> BTreeSet<String> {
    (0..users).filter(|_| rng.random_bool(share)).map(user).collect()
}

fn check(seed: u64, users: u32) {
    let mut rng = StdRng::seed_from_u64(seed);
    let ((_a, store), (_b, reference)) = (self::store(), self::store());
    let (first, second) = (rows(&mut rng, 0..9, users), rows(&mut rng, 5..16, users + users / 5));
    let (gone, also) = (some(&mut rng, users, 0.1), some(&mut rng, users + users / 5, 0.05));
    publish(&store, &first, &BTreeSet::new(), 0);
    let known: BTreeSet<String> =
        told(&store).iter().filter_map(|line| Some(line.strip_prefix("user ")?.into())).collect();
    let erased = erase(&store, &gone, 1);
    assert_eq!(erased.users, gone.intersection(&known).count() as u64);
    publish(&reference, &first, &gone, 0);
    assert_eq!(told(&store), told(&reference), "seed {seed}");
    // Those who come again are new users.
    publish(&store, &second, &BTreeSet::new(), 2);
    erase(&store, &also, 3);
    let (_c, reference) = self::store();
    publish(&reference, &first, &gone.union(&also).cloned().collect(), 0);
    publish(&reference, &second, &also, 2);
    assert_eq!(told(&store), told(&reference), "seed {seed}, a second time");
    // Whoever looks again finds the same, and nobody to erase.
    assert_eq!(erase(&store, &also, 4), Erased::default());
    assert_eq!(told(&store), told(&reference), "seed {seed}, a third time");
}

#[test]
fn a_store_without_users_is_as_one_that_never_had_them() {
    (0..4).for_each(|seed| check(seed, 60));
    check(9, 1_500);
}

#[test]
fn nothing_is_left_of_an_id_once_its_readers_have_had_their_time() {
    let (folder, store) = store();
    let named = |name: &str| {
        let mut rows = rows(&mut StdRng::seed_from_u64(1), 0..2, 30);
        let every = rows.labels.values_mut().flat_map(|rows| rows.iter_mut().map(|row| &mut row.0));
        every.filter(|user| *user == "user 3").for_each(|user| *user = name.to_owned());
        rows
    };
    publish(&store, &named("a-certain-person"), &BTreeSet::new(), 0);
    let contains = || {
        let files = fs::read_dir(folder.path().join("apps").join(APP)).unwrap();
        files
            .filter(|file| {
                let bytes = fs::read(file.as_ref().unwrap().path()).unwrap();
                bytes.windows(16).any(|part| part == b"a-certain-person")
            })
            .count()
    };
    assert_eq!(contains(), 1);
    erase(&store, &["a-certain-person".to_owned()].into(), HOUR);
    assert_eq!(contains(), 1, "for readers of before");
    let publication = store.publish(APP).unwrap();
    assert!(publication.is_overdue(2 * HOUR));
    publication.commit(2 * HOUR).unwrap();
    assert_eq!(contains(), 0);
}

#[test]
fn a_cohort_is_read_without_them_before_and_after_it_is_written_anew() {
    let (_folder, store) = store();
    publish(&store, &rows(&mut StdRng::seed_from_u64(2), 0..1, 40), &BTreeSet::new(), 0);
    let snapshot = store.snapshot(APP).unwrap().unwrap();
    let mut members = vec![RoaringBitmap::new(); snapshot.directory().buckets() as usize];
    for n in 0..20 {
        let Some(place) = snapshot.directory().find(user(n).as_bytes()) else { continue };
        members[place.bucket as usize].insert(place.ordinal);
    }
    let size: u64 = members.iter().map(RoaringBitmap::len).sum();
    store.write_cohort(APP, "coh_1", day(0), &members).unwrap();
    let before = snapshot.cohort("coh_1").unwrap().unwrap();
    assert_eq!((before.size().unwrap(), before.is_masked()), (size, false));
    let gone: BTreeSet<String> = (10..30).map(user).collect();
    erase(&store, &gone, 1);
    let snapshot = store.snapshot(APP).unwrap().unwrap();
    let cohort = snapshot.cohort("coh_1").unwrap().unwrap();
    assert!(cohort.is_masked());
    let left: HashMap<u32, RoaringBitmap> = (0..snapshot.directory().buckets())
        .filter_map(|bucket| Some((bucket, cohort.members(bucket).unwrap()?.to_roaring().unwrap())))
        .collect();
    let names: BTreeSet<String> = left
        .iter()
        .flat_map(|(bucket, users)| {
            users.iter().map(|ordinal| muster_profile_store::Place { bucket: *bucket, ordinal })
        })
        .map(|place| String::from_utf8(snapshot.directory().user(place).unwrap().to_vec()).unwrap())
        .collect();
    let expected: BTreeSet<String> =
        (0..10).map(user).filter(|user| snapshot.directory().find(user.as_bytes()).is_some()).collect();
    assert_eq!(names, expected);
    assert_eq!(cohort.size().unwrap(), expected.len() as u64);
}

#[test]
fn a_store_of_an_older_format_is_read_with_those_who_are_left() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    for version in ["v1", "v2"] {
        let copy = tempfile::tempdir().unwrap();
        copy_all(&golden.join(version), copy.path());
        let store = Store::open(copy.path()).unwrap();
        let lines = || content(&store.snapshot("shop/1").unwrap().unwrap(), &["coh_1"]).unwrap();
        let before = lines();
        let known: Vec<&str> =
            before.iter().filter_map(|line| Some(line.strip_prefix("user ")?.split_once(": ")?.1)).collect();
        let gone = known[known.len() / 2].to_owned();
        let mut publication = store.publish("shop/1").unwrap();
        assert_eq!(publication.erase(&[&gone]).unwrap().users, 1);
        publication.commit(1).unwrap();
        let after = lines();
        assert!(
            !after.iter().any(|line| line.split([' ', ',', '=', '"']).any(|word| word == gone)),
            "{version} {gone}"
        );
        let of_others =
            |line: &&String| line.contains(" row ") || line.contains(" sum ") || line.starts_with("user ");
        let words = |line: &&String| !line.split([' ', ',', '=', '"']).any(|word| word == gone);
        let kept: Vec<&String> = before.iter().filter(of_others).filter(words).collect();
        assert_eq!(after.iter().filter(of_others).collect::<Vec<_>>(), kept, "{version}");
    }
}

fn copy_all(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let target = to.join(path.file_name().unwrap());
        if path.is_dir() { copy_all(&path, &target) } else { _ = fs::copy(&path, &target).unwrap() }
    }
}
