//! From a file to published parts: the same bytes whatever is spilled and however many threads there are,
//! and those of a build row by row.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

use muster_days::{Ds, Tz};
use muster_ingest::build::{BuildError, Watch, build};
use muster_ingest::formats::{Counts, Format, Intake, Kind, Source, read_behavior, read_labels};
use muster_ingest::rejects::RejectReport;
use muster_ingest::staging::{Staged, Staging};
use muster_profile_store::{EventShape, Store};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const MEMORY: usize = 128 << 20;

fn stage(store: &Store, folder: &Path, kind: Kind, content: &str, memory: usize) -> (Counts, Staged) {
    let path = folder.join("body");
    fs::write(&path, content).unwrap();
    let report = RejectReport::create(&folder.join("rejects.csv"), "body", false).unwrap();
    let mut staging = Staging::new(store, folder, memory, report);
    let consumed = AtomicU64::new(0);
    let intake = Intake {
        allowed: &|_| true,
        takes_label: &|_, _| true,
        zone_of: &|_| Tz::UTC,
        last_day: &|_| None,
        stopped: &|| false,
        consumed: &consumed,
        scratch: folder,
    };
    let source = Source { path: &path, format: Format::Csv, gzip: false };
    let counts = match kind {
        Kind::Labels => read_labels(&source, &intake, &mut staging),
        _ => read_behavior(&source, &intake, &mut staging),
    };
    (counts.unwrap(), staging.finish().unwrap())
}

fn import(store: &Store, kind: Kind, content: &str, memory: usize, threads: usize) -> Counts {
    let folder = tempfile::tempdir().unwrap();
    let (counts, staged) = stage(store, folder.path(), kind, content, memory);
    let spilled = folder.path().join("rows");
    assert_eq!(spilled.exists(), memory < MEMORY, "spilled only when it has to");
    let share = AtomicU64::new(0);
    let watch = Watch {
        stopped: &|| false,
        may_publish: &|| true,
        progress: &|done| _ = share.fetch_max((done * 1000.0) as u64, Ordering::Relaxed),
        now_ms: &|| 1,
    };
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
    pool.install(|| build(store, staged, &watch, &mut Vec::new())).unwrap();
    assert!((900..=1000).contains(&share.into_inner()));
    assert!(!spilled.exists(), "the spill file is removed");
    counts
}

/// Every file of every app in the order of its manifest: their names are random.
fn files(root: &Path) -> BTreeMap<String, Vec<Vec<u8>>> {
    let store = Store::open(root).unwrap();
    let of = |app: String| {
        let snapshot = store.snapshot(&app).unwrap().unwrap();
        let folder = root.join("apps").join(&app);
        let files = snapshot.manifest().files().map(|file| fs::read(folder.join(file)).unwrap()).collect();
        (app, files)
    };
    store.apps().unwrap().into_iter().map(of).collect()
}

const APPS: [&str; 3] = ["shop", "game", "bank"];
const DAYS: [i64; 2] = [20261101, 20261031];

/// (app, day, label, user, tag, weight)
type LabelRow = (usize, usize, i64, u32, i64, Option<i64>);

/// Users in runs, as a file ordered by user has them.
fn label_rows() -> Vec<LabelRow> {
    let mut rng = StdRng::seed_from_u64(1);
    let mut rows = Vec::new();
    for _ in 0..40_000 {
        let (app, user) = (rng.random_range(0..3), rng.random_range(0..5000));
        for _ in 0..rng.random_range(1..5) {
            let (label, tag) = (rng.random_range(1..6), rng.random_range(-2..300));
            let weight = (label == 5 && tag > 0).then(|| rng.random_range(-70_000..70_000));
            rows.push((app, rng.random_range(0..2), label, user, tag, weight));
        }
    }
    rows
}

fn labels_csv() -> String {
    let mut csv = String::from("ds,app_id,label_id,label_name,user_id,tag_id,tag_name,tag_value\n");
    for (app, day, label, user, tag, weight) in label_rows() {
        let weight = weight.map_or(String::new(), |weight| weight.to_string());
        csv += &format!("{},{},{label},l{label},u{user},{tag},t{tag},{weight}\n", DAYS[day], APPS[app]);
    }
    csv
}

/// The parts of each app in the order of their first row, each with its rows.
fn parts<P: PartialEq, R>(rows: impl IntoIterator<Item = (usize, P, R)>) -> Vec<(usize, P, Vec<R>)> {
    let mut parts: Vec<(usize, P, Vec<R>)> = Vec::new();
    for (app, part, row) in rows {
        match parts.iter_mut().find(|(other, has, _)| *other == app && *has == part) {
            Some((_, _, rows)) => rows.push(row),
            None => parts.push((app, part, vec![row])),
        }
    }
    parts
}

fn label_by_label(store: &Store) {
    let rows = label_rows();
    let rows =
        rows.iter().map(|&(app, day, label, user, tag, weight)| (app, (day, label), (user, tag, weight)));
    let parts = parts(rows);
    for (app, name) in APPS.iter().enumerate() {
        let mut publication = store.publish(name).unwrap();
        for (_, (day, label), rows) in parts.iter().filter(|part| part.0 == app) {
            let ds = Ds::from_number(DAYS[*day]).unwrap();
            publication.start_label(*label, &format!("l{label}"), ds).unwrap();
            for (user, tag, weight) in rows {
                let user = format!("u{user}");
                publication.label_row(user.as_bytes(), *tag, &format!("t{tag}"), *weight).unwrap();
            }
            publication.finish_part(1).unwrap();
        }
        publication.commit(1).unwrap();
    }
}

/// Imports twice in each way and compares with the build row by row, done twice.
fn check(kind: Kind, csv: &str, row_by_row: impl Fn(&Store)) {
    let expected = tempfile::tempdir().unwrap();
    let store = Store::open(expected.path()).unwrap();
    row_by_row(&store);
    row_by_row(&store);
    for (memory, threads) in [(MEMORY, 1), (MEMORY, 4), (1, 2), (1 << 20, 3)] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        for _ in 0..2 {
            let counts = import(&store, kind, csv, memory, threads);
            assert_eq!((counts.read, counts.rejected), (csv.lines().count() as u64 - 1, 0));
        }
        let (found, expected) = (files(folder.path()), files(expected.path()));
        assert!(found.keys().eq(expected.keys()));
        for (app, files) in &expected {
            assert!(*files == found[app], "{app} with {memory} bytes and {threads} threads");
        }
    }
}

#[test]
fn labels_are_built_the_same_spilled_or_not_on_any_number_of_threads() {
    let csv = labels_csv();
    assert!(csv.len() > 2 << 20, "more than one piece");
    check(Kind::Labels, &csv, label_by_label);
}

/// (app, event, user, pv, page, m_amount)
type BehaviorRow = (usize, &'static str, u32, i64, Option<u32>, Option<i64>);

fn behavior_rows() -> Vec<BehaviorRow> {
    let mut rng = StdRng::seed_from_u64(2);
    let row = |rng: &mut StdRng| {
        let event = ["visit", "order"][rng.random_range(0..2)];
        // Orders have no page: their part has one dimension less.
        let page = (event == "visit" && rng.random_bool(0.7)).then(|| rng.random_range(0..500));
        let amount = rng.random_bool(0.5).then(|| rng.random_range(-1000..1_000_000));
        (rng.random_range(0..3), event, rng.random_range(0..4000), rng.random_range(0..5), page, amount)
    };
    (0..80_000).map(|_| row(&mut rng)).collect()
}

fn behavior_csv() -> String {
    let mut csv = String::from("page,ds,channel,app_id,user_id,event,pv,m_amount\n");
    for (app, event, user, pv, page, amount) in behavior_rows() {
        let page = page.map_or(String::new(), |page| format!("/page/{page}"));
        let amount = amount.map_or(String::new(), |amount| amount.to_string());
        csv += &format!("{page},{},web,{},u{user},{event},{pv},{amount}\n", DAYS[0], APPS[app]);
    }
    csv
}

fn event_by_event(store: &Store) {
    let rows = behavior_rows().into_iter();
    let parts =
        parts(rows.map(|(app, event, user, pv, page, amount)| (app, event, (user, pv, page, amount))));
    for (app, name) in APPS.iter().enumerate() {
        let mut publication = store.publish(name).unwrap();
        for (_, event, rows) in parts.iter().filter(|part| part.0 == app) {
            let measures = ["m_amount".to_owned()];
            let dimensions = ["page".to_owned(), "channel".to_owned()];
            let dimensions = if *event == "visit" { &dimensions[..] } else { &dimensions[1..] };
            let ds = Ds::from_number(DAYS[0]).unwrap();
            publication.start_event(&EventShape { event, ds, dimensions, measures: &measures }).unwrap();
            for (user, pv, page, amount) in rows {
                let page = page.map(|page| format!("/page/{page}"));
                let values = [page.as_deref(), Some("web")];
                let values = if *event == "visit" { &values[..] } else { &values[1..] };
                let user = format!("u{user}");
                publication.event_row(user.as_bytes(), *pv, values, &[amount.unwrap_or(0)]).unwrap();
            }
            publication.finish_part(1).unwrap();
        }
        publication.commit(1).unwrap();
    }
}

#[test]
fn behavior_is_built_the_same_spilled_or_not_on_any_number_of_threads() {
    let csv = behavior_csv();
    assert!(csv.len() > 2 << 20, "more than one piece");
    check(Kind::Behavior, &csv, event_by_event);
}

#[test]
fn the_first_label_keeps_a_name_and_the_last_name_stays_whatever_piece_they_are_in() {
    let header = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name,tag_value\n";
    let between = "20261101,shop,9,other,u,1,yes,\n".repeat(100_000);
    for between in ["", &between] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("store")).unwrap();
        let body = format!(
            "{header}\
             20261101,shop,1,sex,ann,1,m,1\n{between}\
             20261101,shop,2,sex,bob,1,m,\n\
             20261101,shop,1,gender,ann,1,man,2\n\
             20261101,shop,x,gender,ann,1,man,2\n{between}\
             20261101,shop,3,gender,cat,1,m,\n\
             20261101,shop,1,sex,ann,1,male,3\n\
             20261101,shop,1,gender,ann,2,w,\n"
        );
        let (counts, staged) = stage(&store, folder.path(), Kind::Labels, &body, MEMORY);
        let rows = counts.read - 7;
        assert_eq!((counts.rejected, staged.rejected, staged.count), (1, 3, rows + 4));
        let watch = Watch { stopped: &|| false, may_publish: &|| true, progress: &|_| {}, now_ms: &|| 1 };
        build(&store, staged, &watch, &mut Vec::new()).unwrap();
        let half = rows / 2;
        let expected = format!(
            "file,line,column,reason,value\n\
             body,{},label_name,the label with the id 1 has this name already,sex\n\
             body,{},label_id,not an integer,x\n\
             body,{},label_name,the label with the id 1 has this name already,gender\n",
            half + 3,
            half + 5,
            rows + 6
        );
        assert_eq!(fs::read_to_string(folder.path().join("rejects.csv")).unwrap(), expected);
        let snapshot = store.snapshot("shop").unwrap().unwrap();
        let label = &snapshot.manifest().labels[&1];
        assert_eq!(label.name, "gender");
        assert_eq!(label.tags, BTreeMap::from([(1, "male".to_owned()), (2, "w".to_owned())]));
        assert!(!snapshot.manifest().labels.contains_key(&2));
        let place = snapshot.directory().find(b"ann").unwrap();
        let part = snapshot.label(1, Ds::from_number(20261101).unwrap()).unwrap().unwrap();
        let weights = part.weights(place.bucket, 1).unwrap().unwrap();
        assert_eq!(weights.value_at(place.ordinal), Some(3));
        assert_eq!(snapshot.directory().find(b"bob"), None);
    }
}

#[test]
fn a_stopped_build_shows_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("store")).unwrap();
    let csv = labels_csv();
    for (memory, stop_at, allowed) in [(MEMORY, 1, true), (1, 5, true), (MEMORY, u64::MAX, false)] {
        let (_, staged) = stage(&store, folder.path(), Kind::Labels, &csv, memory);
        let asked = AtomicU64::new(0);
        let watch = Watch {
            stopped: &|| asked.fetch_add(1, Ordering::Relaxed) + 1 >= stop_at,
            may_publish: &|| allowed,
            progress: &|_| {},
            now_ms: &|| 1,
        };
        let mut shown = Vec::new();
        let error = build(&store, staged, &watch, &mut shown).unwrap_err();
        assert!(matches!(error, BuildError::Stopped) && shown.is_empty(), "{error}");
        assert!(store.apps().unwrap().is_empty());
        assert!(!folder.path().join("rows").exists());
    }
}
