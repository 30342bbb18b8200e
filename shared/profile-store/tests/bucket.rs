//! The store in a bucket: several stores with caches of their own, publishers that meet, and storage that
//! goes away.

mod content;

use std::path::Path;

use content::content;
use muster_catalogue::{AppCatalogue, AppSettings};
use muster_days::Ds;
use muster_profile_store::{BucketAt, Publication, Store, StoreError, bucket_of};
use muster_real_servers::{BUCKET, S3};
use roaring::RoaringBitmap;

const APP: &str = "shop";

fn ds(number: i64) -> Ds {
    Ds::from_number(number).unwrap()
}

fn s3() -> S3 {
    // SAFETY: set to the same values before any thread of the store reads them.
    unsafe {
        std::env::set_var("AWS_ACCESS_KEY_ID", "test");
        std::env::set_var("AWS_SECRET_ACCESS_KEY", "test");
    }
    S3::start(Path::new(env!("CARGO_TARGET_TMPDIR")))
}

fn store(s3: &S3, cache: &Path) -> Store {
    let url = format!("s3://{BUCKET}/some/prefix");
    let at = BucketAt { url, endpoint: s3.endpoint(), region: "us-east-1".into() };
    Store::open_bucket(&at, cache).unwrap()
}

fn label(publication: &mut Publication, id: i64, users: &[String]) {
    publication.start_label(id, &format!("label {id}"), ds(20261101)).unwrap();
    let mut users: Vec<&String> = users.iter().collect();
    users.sort_by_key(|user| bucket_of(user.as_bytes(), publication.buckets()));
    for user in users {
        publication.label_row(user.as_bytes(), 1, "yes", Some(user.len() as i64)).unwrap();
    }
    publication.finish_part(0).unwrap();
}

fn users(from: usize, to: usize) -> Vec<String> {
    (from..to).map(|n| format!("user-{n}")).collect()
}

fn publish(store: &Store, id: i64, users: &[String]) {
    let mut publication = store.publish(APP).unwrap();
    label(&mut publication, id, users);
    publication.commit(0).unwrap();
}

fn lines(store: &Store) -> Vec<String> {
    content(&store.snapshot(APP).unwrap().unwrap(), &["coh_1"]).unwrap()
}

/// A manifest is taken for the newest for a second.
fn a_moment() {
    std::thread::sleep(std::time::Duration::from_millis(1_100));
}

#[test]
fn what_one_process_publishes_another_one_reads() {
    let (s3, caches) = (s3(), [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()]);
    let [writer, reader] = [store(&s3, caches[0].path()), store(&s3, caches[1].path())];
    assert!(reader.snapshot(APP).unwrap().is_none());
    assert!(reader.apps().unwrap().is_empty());
    publish(&writer, 1, &users(0, 300));
    let members: RoaringBitmap = (0..5).collect();
    writer.write_cohort(APP, "coh_1", ds(20261101), &[members]).unwrap();
    a_moment();
    assert_eq!(lines(&reader), lines(&writer));
    assert_eq!((reader.apps().unwrap(), reader.users(APP).unwrap()), (vec![APP.to_owned()], Some(300)));

    let held = reader.snapshot(APP).unwrap().unwrap();
    let before = content(&held, &[]).unwrap();
    publish(&writer, 1, &users(100, 150));
    publish(&writer, 2, &users(290, 310));
    a_moment();
    assert_eq!(lines(&reader), lines(&writer), "a replaced label, and users that are new");
    assert_eq!(content(&held, &[]).unwrap(), before, "who holds a snapshot sees its moment");
    writer.remove_cohort(APP, "coh_1").unwrap();
    assert!(store(&s3, tempfile::tempdir().unwrap().path()).cohort(APP, "coh_1").unwrap().is_none());
}

#[test]
fn of_two_publishers_that_meet_one_starts_again() {
    let (s3, caches) = (s3(), [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()]);
    let [one, two] = [store(&s3, caches[0].path()), store(&s3, caches[1].path())];
    publish(&one, 1, &users(0, 10));
    let (mut first, mut second) = (one.publish(APP).unwrap(), two.publish(APP).unwrap());
    label(&mut first, 2, &users(5, 15));
    label(&mut second, 3, &users(10, 20));
    first.commit(0).unwrap();
    let lost = second.commit(0).unwrap_err();
    assert!(matches!(lost, StoreError::Conflict { .. }), "{lost}");
    publish(&two, 3, &users(10, 20));
    a_moment();
    assert_eq!(lines(&one), lines(&two));
    let snapshot = one.snapshot(APP).unwrap().unwrap();
    assert_eq!(snapshot.manifest().labels.keys().collect::<Vec<_>>(), [&1, &2, &3]);
    assert_eq!(one.users(APP).unwrap(), Some(20));
}

#[test]
fn of_two_catalogues_the_newer_one_stays() {
    let (s3, caches) = (s3(), [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()]);
    let [first, second] = [store(&s3, caches[0].path()), store(&s3, caches[1].path())];
    let catalogue = |version, buckets| {
        let settings = AppSettings { buckets: Some(buckets), ..AppSettings::default() };
        AppCatalogue { version, settings, ..AppCatalogue::default() }
    };
    first.show_catalogue(APP, &catalogue(1, 4)).unwrap();
    // Written over what somebody else has shown, and not over what is newer.
    second.show_catalogue(APP, &catalogue(3, 8)).unwrap();
    first.show_catalogue(APP, &catalogue(2, 4)).unwrap();
    a_moment();
    for store in [&first, &second] {
        assert_eq!(store.catalogue(APP).unwrap().version, 3);
        assert_eq!(store.buckets(APP).unwrap(), 8);
    }
    publish(&first, 1, &users(0, 50));
    a_moment();
    let snapshot = second.snapshot(APP).unwrap().unwrap();
    assert_eq!((snapshot.manifest().buckets, snapshot.catalogue().version), (8, 3));
    // A snapshot shows a change of the catalogue alone.
    first.show_catalogue(APP, &catalogue(4, 8)).unwrap();
    a_moment();
    assert_eq!(second.snapshot(APP).unwrap().unwrap().catalogue().version, 4);
    assert_eq!((first.apps().unwrap(), first.users(APP).unwrap()), (vec![APP.to_owned()], Some(50)));
}

#[test]
fn what_is_not_committed_is_never_seen() {
    let (s3, cache) = (s3(), tempfile::tempdir().unwrap());
    let writer = store(&s3, cache.path());
    let mut publication = writer.publish(APP).unwrap();
    label(&mut publication, 1, &users(0, 10));
    drop(publication);
    let other = tempfile::tempdir().unwrap();
    let reader = store(&s3, other.path());
    assert!(reader.snapshot(APP).unwrap().is_none() && reader.apps().unwrap().is_empty());
    publish(&writer, 1, &users(0, 3));
    a_moment();
    assert_eq!(reader.users(APP).unwrap(), Some(3));
}

#[test]
fn a_damaged_copy_is_fetched_anew() {
    let (s3, cache) = (s3(), tempfile::tempdir().unwrap());
    publish(&store(&s3, cache.path()), 1, &users(0, 50));
    let expected = lines(&store(&s3, cache.path()));
    let folder = cache.path().join("apps").join(APP);
    let mut damaged = 0;
    for entry in std::fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "mst") {
            let mut bytes = std::fs::read(&path).unwrap();
            let middle = bytes.len() / 2;
            bytes[middle] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            damaged += 1;
        }
    }
    assert!(damaged >= 2);
    assert_eq!(lines(&store(&s3, cache.path())), expected);
}

#[test]
fn storage_that_is_away_is_told_apart() {
    let (mut s3, cache) = (s3(), tempfile::tempdir().unwrap());
    let store = store(&s3, cache.path());
    publish(&store, 1, &users(0, 10));
    store.ping().unwrap();
    s3.kill();
    a_moment();
    let away = store.snapshot(APP).err().unwrap();
    assert!(away.is_away(), "{away}");
    assert!(store.ping().is_err());
    let refused = Store::open_bucket(
        &BucketAt { url: "https://host/bucket".into(), endpoint: String::new(), region: "x".into() },
        cache.path(),
    );
    assert!(refused.err().unwrap().to_string().contains("s3://bucket/prefix"));
}
