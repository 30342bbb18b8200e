//! A small app as each format had it, checked in: every later program must read these very bytes, and must
//! refuse them by name when they are damaged. A new format adds a folder; no folder ever changes.
//!
//! `MUSTER_REGOLD=1 cargo test -p muster-profile-store --test golden -- --ignored` writes the files anew,
//! for as long as the format has not been released.

mod content;

use std::fs;
use std::path::{Path, PathBuf};

use content::content;
use muster_days::Ds;
use muster_profile_store::{EventShape, Publication, Store, StoreError, bucket_of};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use roaring::RoaringBitmap;

const APP: &str = "shop/1";

/// The format's versions, the newest last.
const VERSIONS: [&str; 2] = ["v1", "v2"];
const NEWEST: &str = "v2";

fn golden(version: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(version)
}

fn ds(number: i64) -> Ds {
    Ds::from_number(number).unwrap()
}

/// What the files of a version say, in words.
fn expected(version: &str) -> Vec<String> {
    let text = fs::read_to_string(golden(version).with_extension("txt")).unwrap();
    text.lines().map(str::to_owned).collect()
}

fn read(root: &Path) -> Result<Vec<String>, StoreError> {
    let store = Store::open(root)?;
    let snapshot = store.snapshot(APP)?.expect("the app is there");
    let mut lines = vec![format!("app {} generation {}", snapshot.app(), snapshot.manifest().generation)];
    lines.extend(content(&snapshot, &["coh_1"])?);
    Ok(lines)
}

#[test]
fn every_format_is_read_as_it_was_written() {
    for version in VERSIONS {
        let found = read(copied(version).path()).unwrap();
        let expected = expected(version);
        for (n, (found, expected)) in found.iter().zip(&expected).enumerate() {
            assert_eq!(found, expected, "{version}, line {}", n + 1);
        }
        assert_eq!(found.len(), expected.len());
    }
}

#[test]
fn every_format_can_be_added_to() {
    VERSIONS.into_iter().for_each(check_addition);
}

fn check_addition(version: &str) {
    let copy = copied(version);
    let before = read(copy.path()).unwrap();
    let store = Store::open(copy.path()).unwrap();
    let mut publication = store.publish(APP).unwrap();
    publish_visits(&mut publication, 20261102, &[("ann", "/neu", 1, 1), ("fay", "/sale", 1, 1)]);
    publication.commit(2).unwrap();
    let after = read(copy.path()).unwrap();
    let kept = |line: &&String| !line.starts_with("app ") && !line.starts_with("values visit page");
    for line in before.iter().filter(kept) {
        assert!(after.contains(line), "{line}");
    }
    assert!(
        after.contains(&r#"values visit page: ["/home", "/sale", "首页", "/neu"]"#.to_owned()),
        "{after:#?}"
    );
}

/// The files of the app, manifest and cohort among them.
fn files(root: &Path) -> Vec<PathBuf> {
    let app = fs::read_dir(root.join("apps")).unwrap().next().unwrap().unwrap().path();
    let entries = |folder: &Path| -> Vec<PathBuf> {
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect()
    };
    let mut files = [entries(&app), entries(&app.join("cohorts"))].concat();
    files.retain(|path| path.is_file());
    files.sort();
    files
}

/// Those that are read: without the parts that a later one has replaced.
fn used_files(root: &Path) -> Vec<PathBuf> {
    let snapshot = Store::open(root).unwrap().snapshot(APP).unwrap().unwrap();
    let mut files = files(root);
    files.retain(|path| {
        let name = path.file_name().unwrap().to_str().unwrap();
        name == "manifest" || name == "coh_1.mst" || snapshot.manifest().files().any(|file| file == name)
    });
    files
}

fn copied(version: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for file in files(&golden(version)) {
        let to = copy.path().join(file.strip_prefix(golden(version)).unwrap());
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(&file, to).unwrap();
    }
    copy
}

#[test]
fn damage_is_refused_by_the_name_of_the_file() {
    let copy = copied(NEWEST);
    let good = read(copy.path()).unwrap();
    let files = used_files(copy.path());
    assert!(files.len() >= 9, "{files:?}");
    let mut rng = StdRng::seed_from_u64(5);
    let (mut refused, mut harmless) = (0, 0);
    for n in 0..4_000 {
        let file = files.choose(&mut rng).unwrap();
        let whole = fs::read(file).unwrap();
        let damage = damage(&mut rng, &whole);
        fs::write(file, &damage).unwrap();
        match read(copy.path()) {
            Ok(lines) => {
                assert_eq!(lines, good, "damage {n} to {} changed an answer", file.display());
                harmless += 1;
            }
            Err(error) => {
                let name = file.file_name().unwrap().to_str().unwrap();
                assert!(error.to_string().contains(name), "damage {n} to {name}: {error}");
                refused += 1;
            }
        }
        fs::write(file, &whole).unwrap();
    }
    assert_eq!(read(copy.path()).unwrap(), good);
    // Only the padding between sections may change unnoticed: nobody reads it.
    assert!(harmless < refused / 10, "{refused} refused, {harmless} harmless");
}

/// Other bytes than the whole file has.
fn damage(rng: &mut StdRng, whole: &[u8]) -> Vec<u8> {
    let mut bytes = whole.to_vec();
    let at = rng.random_range(0..bytes.len());
    match rng.random_range(0..6) {
        0 | 1 => bytes[at] ^= 1 << rng.random_range(0..8),
        2 => bytes.truncate(at),
        3 => bytes.extend(vec![rng.random::<u8>(); rng.random_range(1..50)]),
        // A torn write: a page of zeros, or a piece of the file somewhere else.
        4 => bytes[at..].fill(0),
        _ => {
            let (from, length) = (rng.random_range(0..bytes.len()), rng.random_range(1..64));
            let length = length.min(bytes.len() - from.max(at));
            bytes.copy_within(from..from + length, at);
        }
    }
    if bytes == whole {
        bytes.push(0)
    }
    bytes
}

#[test]
fn a_missing_or_newer_file_is_named() {
    let copy = copied(NEWEST);
    for file in used_files(copy.path()) {
        let name = file.file_name().unwrap().to_str().unwrap();
        let whole = fs::read(&file).unwrap();
        if name.ends_with(".mst") {
            let mut newer = whole.clone();
            newer[6] = 3;
            fs::write(&file, newer).unwrap();
            let error = read(copy.path()).unwrap_err();
            assert!(matches!(&error, StoreError::Newer { path, found: 3, .. } if *path == file), "{error}");
        }
        if !name.contains("coh_") && name != "manifest" {
            fs::remove_file(&file).unwrap();
            let error = read(copy.path()).unwrap_err();
            assert!(error.is_missing() && error.to_string().contains(name), "{error}");
        }
        fs::write(&file, whole).unwrap();
    }
}

#[test]
#[ignore = "rewrites the golden files"]
fn regold() {
    if std::env::var_os("MUSTER_REGOLD").is_none() {
        return;
    }
    let golden = golden(NEWEST);
    let _ = fs::remove_dir_all(&golden);
    write(&golden);
    let lines = read(&golden).unwrap();
    fs::write(golden.with_extension("txt"), lines.join("\n") + "\n").unwrap();
    for entry in fs::read_dir(golden.join("apps")).unwrap() {
        fs::remove_file(entry.unwrap().path().join("lock")).unwrap();
    }
}

/// Two users files, a replaced part, weights of every kind, dimensions that are absent, a dictionary that
/// grew, a run of users, a cohort, a whole week.
fn write(root: &Path) {
    let store = Store::open(root).unwrap();
    let crowd: Vec<String> = (0..120).map(|n| format!("crowd-{n}")).collect();
    let mut first = store.publish(APP).unwrap();
    let everyone: Vec<(&str, i64, &str, Option<i64>)> =
        crowd.iter().map(|user| (user.as_str(), 1, "yes", None)).collect();
    publish_label(&mut first, 7, "crowd", 20261031, &everyone);
    publish_label(&mut first, 10001, "gender", 20261101, &[("ann", 1, "male", None)]);
    let credits = [
        ("ann", 1, "credits", Some(-5)),
        ("bob", 1, "credits", Some(i64::MAX)),
        ("cat", 1, "credits", None),
        ("dan", 1, "credits", Some(0)),
        ("用户", -2, "points", Some(i64::MIN)),
        ("ann", -2, "points", Some(60)),
    ];
    publish_label(&mut first, -4, "credits", 20261101, &credits);
    publish_visits(
        &mut first,
        20261031,
        &[("ann", "/home", 2, 700), ("ann", "/sale", 1, -200), ("bob", "", 0, 0)],
    );
    first.commit(0).unwrap();
    let mut second = store.publish(APP).unwrap();
    let gender = [("ann", 2, "female", None), ("bob", 1, "male", None), ("eve", 2, "female", None)];
    publish_label(&mut second, 10001, "gender", 20261101, &gender);
    publish_visits(&mut second, 20261101, &[("用户", "首页", 300, i64::MIN), ("cat", "/sale", 1, 70_000)]);
    for day in 20261026..=20261031 {
        publish_orders(&mut second, day, &[("ann", 1, 5), ("dan", day % 3, -70_000)]);
    }
    publish_orders(&mut second, 20261101, &[("eve", 40, i64::MAX)]);
    second.commit(1).unwrap();
    let snapshot = store.snapshot(APP).unwrap().unwrap();
    assert_eq!(snapshot.manifest().users.len(), 2);
    let mut members = vec![RoaringBitmap::new(); 16];
    for user in ["ann", "用户"].into_iter().chain(crowd[..50].iter().map(String::as_str)) {
        let place = snapshot.directory().find(user.as_bytes()).unwrap();
        members[place.bucket as usize].insert(place.ordinal);
    }
    store.write_cohort(APP, "coh_1", ds(20261031), &members).unwrap();
}

fn publish_label(
    publication: &mut Publication,
    id: i64,
    name: &str,
    day: i64,
    rows: &[(&str, i64, &str, Option<i64>)],
) {
    publication.start_label(id, name, ds(day)).unwrap();
    let mut rows = rows.to_vec();
    rows.sort_by_key(|row| bucket_of(row.0.as_bytes(), publication.buckets()));
    for (user, tag, tag_name, weight) in rows {
        publication.label_row(user.as_bytes(), tag, tag_name, weight).unwrap();
    }
    publication.finish_part(day).unwrap();
}

fn publish_orders(publication: &mut Publication, day: i64, rows: &[(&str, i64, i64)]) {
    let shape =
        EventShape { event: "order", ds: ds(day), dimensions: &[], measures: &["m_amount".to_owned()] };
    publication.start_event(&shape).unwrap();
    for (user, pv, amount) in rows {
        publication.event_row(user.as_bytes(), *pv, &[], &[*amount]).unwrap();
    }
    publication.finish_part(day).unwrap();
}

/// Rows of (user, page, pv, m_amount), all on the web; an empty page is absent.
fn publish_visits(publication: &mut Publication, day: i64, rows: &[(&str, &str, i64, i64)]) {
    let (dimensions, measures) = (["channel".to_owned(), "page".to_owned()], ["m_amount".to_owned()]);
    let shape = EventShape { event: "visit", ds: ds(day), dimensions: &dimensions, measures: &measures };
    publication.start_event(&shape).unwrap();
    let mut rows = rows.to_vec();
    rows.sort_by_key(|row| bucket_of(row.0.as_bytes(), publication.buckets()));
    for (user, page, pv, amount) in rows {
        let page = Some(page).filter(|page| !page.is_empty());
        publication.event_row(user.as_bytes(), pv, &[Some("web"), page], &[amount]).unwrap();
    }
    publication.finish_part(day).unwrap();
}
