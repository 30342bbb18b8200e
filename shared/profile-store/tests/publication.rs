//! What readers see while others publish: all of a publication or none of it, and nothing of its neighbours.

mod content;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use content::content;
use muster_catalogue::AppCatalogue;
use muster_days::Ds;
use muster_profile_store::{EventShape, Publication, Snapshot, Store, StoreError, bucket_of};

const APP: &str = "shop";
const MINUTE: i64 = 60_000;
/// What others have published may be unknown to [`Store::opened`] for a millisecond.
const SEEN_AFTER: Duration = Duration::from_millis(2);

fn ds(number: i64) -> Ds {
    Ds::from_number(number).unwrap()
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    (folder, store)
}

fn lines(snapshot: &Snapshot) -> Vec<String> {
    content(snapshot, &["coh_1"]).unwrap()
}

fn by_bucket<'u>(publication: &Publication, users: &[&'u str]) -> Vec<&'u str> {
    let mut users = users.to_vec();
    users.sort_by_key(|user| bucket_of(user.as_bytes(), publication.buckets()));
    users
}

fn label(publication: &mut Publication, id: i64, day: i64, users: &[&str], now: i64) {
    publication.start_label(id, &format!("label {id}"), ds(day)).unwrap();
    for user in by_bucket(publication, users) {
        publication.label_row(user.as_bytes(), 1, "yes", Some(user.len() as i64)).unwrap();
    }
    publication.finish_part(now).unwrap();
}

fn visits(publication: &mut Publication, day: i64, users: &[&str], page: &str, now: i64) {
    let (dimensions, measures) = (["page".to_owned()], ["m_amount".to_owned()]);
    let shape = EventShape { event: "visit", ds: ds(day), dimensions: &dimensions, measures: &measures };
    publication.start_event(&shape).unwrap();
    for user in by_bucket(publication, users) {
        publication.event_row(user.as_bytes(), 1, &[Some(page)], &[-7]).unwrap();
    }
    publication.finish_part(now).unwrap();
}

/// Two labels and an event, two days each.
fn publish_all(store: &Store, now: i64) {
    let mut publication = store.publish(APP).unwrap();
    for day in [20261031, 20261101] {
        label(&mut publication, 1, day, &["ann", "bob"], now);
        label(&mut publication, 2, day, &["bob", "cat"], now);
        visits(&mut publication, day, &["ann", "dan"], "/home", now);
    }
    publication.commit(now).unwrap();
}

fn app_files(root: &Path) -> BTreeSet<String> {
    let names = fs::read_dir(root.join("apps").join(APP)).unwrap();
    names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn a_replaced_part_changes_nothing_but_itself() {
    let (_folder, store) = store();
    publish_all(&store, 0);
    let before = lines(&store.snapshot(APP).unwrap().unwrap());
    let mut publication = store.publish(APP).unwrap();
    label(&mut publication, 2, 20261101, &["dan"], 1);
    visits(&mut publication, 20261031, &["cat"], "/sale", 1);
    publication.commit(1).unwrap();
    let after = lines(&store.snapshot(APP).unwrap().unwrap());
    let replaced = |line: &&String| {
        ["label 2 20261101", "event visit 20261031", "values visit"].iter().any(|part| line.starts_with(part))
    };
    let kept = |lines: &[String]| lines.iter().filter(|line| !replaced(line)).cloned().collect::<Vec<_>>();
    assert_eq!(kept(&before), kept(&after));
    let new: Vec<&String> = after.iter().filter(replaced).collect();
    let expected = [
        "label 2 20261101 tag 1 yes: dan=3",
        r#"values visit page: ["/home", "/sale"]"#,
        r#"event visit 20261031 pv 1 idle 0 ["m_amount"]"#,
        "event visit 20261031 row cat page=/sale [1, -7]",
        "event visit 20261031 sum cat [1, -7]",
    ];
    assert_eq!(new, expected);
}

#[test]
fn a_part_replaced_twice_in_one_publication_is_the_last_one() {
    let (folder, store) = store();
    let mut publication = store.publish(APP).unwrap();
    label(&mut publication, 1, 20261101, &["ann"], 0);
    visits(&mut publication, 20261101, &["ann"], "/home", 0);
    label(&mut publication, 1, 20261101, &["bob"], 0);
    visits(&mut publication, 20261101, &["bob"], "/sale", 0);
    publication.commit(0).unwrap();
    let snapshot = store.snapshot(APP).unwrap().unwrap();
    let found = lines(&snapshot);
    assert!(found.contains(&"label 1 20261101 tag 1 yes: bob=3".to_owned()), "{found:#?}");
    assert!(found.contains(&"event visit 20261101 row bob page=/sale [1, -7]".to_owned()), "{found:#?}");
    let mut used: BTreeSet<String> = snapshot.manifest().files().map(str::to_owned).collect();
    used.extend(["manifest".to_owned(), "lock".to_owned()]);
    assert_eq!(app_files(folder.path()), used);
}

#[test]
fn what_is_not_committed_is_never_seen_and_cleared_away_by_the_next() {
    let (folder, store) = store();
    publish_all(&store, 0);
    store.write_cohort(APP, "coh_1", ds(20261101), &[]).unwrap();
    let (before, files) = (lines(&store.snapshot(APP).unwrap().unwrap()), app_files(folder.path()));
    for left_open in [false, true] {
        let mut publication = store.publish(APP).unwrap();
        label(&mut publication, 1, 20261101, &["eve", "fay"], 1);
        visits(&mut publication, 20261102, &["eve"], "/new", 1);
        label(&mut publication, 1, 20261101, &["gus"], 1);
        if left_open {
            publication.start_label(3, "half", ds(20261101)).unwrap();
            publication.label_row(b"hal", 1, "yes", None).unwrap();
        }
        drop(publication);
        // As good as a crash: a reader that starts now, and one that was there, see what was before.
        assert!(app_files(folder.path()).len() > files.len());
        assert_eq!(lines(&store.snapshot(APP).unwrap().unwrap()), before);
        let reopened = Store::open(folder.path()).unwrap();
        assert_eq!(lines(&reopened.snapshot(APP).unwrap().unwrap()), before);
        drop(store.publish(APP).unwrap());
        assert_eq!(app_files(folder.path()), files);
    }
    let mut publication = store.publish(APP).unwrap();
    label(&mut publication, 9, 20261101, &["zoe"], 2);
    assert_eq!(publication.commit(2).unwrap(), 2);
    let after = lines(&store.snapshot(APP).unwrap().unwrap());
    assert!(before.iter().all(|line| after.contains(line)));
    let users = |lines: &[String]| lines.iter().filter(|line| line.starts_with("user")).count();
    assert_eq!(users(&after), users(&before) + 1, "only zoe came: {after:#?}");
}

#[test]
fn what_is_opened_is_what_is_published() {
    let (folder, store) = store();
    publish_all(&store, 0);
    assert!(store.opened(APP).is_none(), "by nobody yet");
    let first = store.snapshot(APP).unwrap().unwrap();
    assert!(Arc::ptr_eq(&first, &store.opened(APP).unwrap()));
    // As another process would.
    let other = Store::open(folder.path()).unwrap();
    publish_all(&other, 1);
    sleep(SEEN_AFTER);
    assert!(store.opened(APP).is_none(), "published anew");
    let second = store.snapshot(APP).unwrap().unwrap();
    assert!(Arc::ptr_eq(&second, &store.opened(APP).unwrap()));
    other.show_catalogue(APP, &AppCatalogue { version: 1, ..AppCatalogue::default() }).unwrap();
    sleep(SEEN_AFTER);
    assert!(store.opened(APP).is_none(), "another catalogue");
    assert_eq!(store.snapshot(APP).unwrap().unwrap().catalogue().version, 1);
    assert!(store.opened("none").is_none());
}

#[test]
fn a_reader_keeps_its_snapshot() {
    let (folder, store) = store();
    publish_all(&store, 0);
    let (read, unread) = (Store::open(folder.path()).unwrap(), Store::open(folder.path()).unwrap());
    let [old, read, unread] = [&store, &read, &unread].map(|store| store.snapshot(APP).unwrap().unwrap());
    let before = lines(&read);
    for n in 1..=3 {
        let mut publication = store.publish(APP).unwrap();
        label(&mut publication, 1, 20261101, &["eve"], n * MINUTE);
        visits(&mut publication, 20261031, &["fay", "bob"], "/sale", n * MINUTE);
        publication.commit(n * MINUTE).unwrap();
        // Not opened before the publication: its files are kept a while.
        assert_eq!(lines(&old), before);
    }
    let mut publication = store.publish(APP).unwrap();
    label(&mut publication, 3, 20261101, &["ann"], 60 * MINUTE);
    publication.commit(60 * MINUTE).unwrap();
    assert_eq!(lines(&read), before, "what is open stays open");
    let error = content(&unread, &[]).unwrap_err();
    assert!(error.is_missing(), "asks for a new snapshot: {error}");
    let snapshot = store.snapshot(APP).unwrap().unwrap();
    let named: BTreeSet<&str> = snapshot.manifest().files().collect();
    let kept: Vec<String> = app_files(folder.path())
        .into_iter()
        .filter(|name| name.ends_with(".mst") && !named.contains(&**name))
        .collect();
    assert!(kept.iter().all(|name| snapshot.manifest().retired.contains_key(name)), "{kept:?}");
    assert!(lines(&snapshot).contains(&"label 1 20261101 tag 1 yes: eve=3".to_owned()));
}

#[test]
fn two_writers_of_one_app_take_turns() {
    const ROUNDS: usize = 12;
    let (folder, store) = store();
    let store = Arc::new(store);
    std::thread::scope(|scope| {
        for writer in 0..2i64 {
            // One shares the store, the other might as well be another process.
            let store =
                if writer == 0 { store.clone() } else { Arc::new(Store::open(folder.path()).unwrap()) };
            scope.spawn(move || {
                for round in 0..ROUNDS {
                    let own = format!("own-{writer}-{round}");
                    let both = format!("both-{round}");
                    let mut publication = store.publish(APP).unwrap();
                    label(&mut publication, writer, 20261101 + round as i64, &[&own, &both, "all"], 0);
                    publication.commit(0).unwrap();
                }
            });
        }
        // A reader meanwhile: whatever it sees is whole.
        scope.spawn(|| {
            let mut generation = 0;
            while generation < 2 * ROUNDS as u64 {
                let Some(snapshot) = store.snapshot(APP).unwrap() else { continue };
                assert!(snapshot.manifest().generation >= generation);
                generation = snapshot.manifest().generation;
                let published: usize =
                    snapshot.manifest().labels.values().map(|label| label.days.len()).sum();
                assert_eq!(published as u64, generation, "one part in each");
                lines(&snapshot);
            }
        });
    });
    let snapshot = store.snapshot(APP).unwrap().unwrap();
    assert_eq!(snapshot.manifest().generation, 2 * ROUNDS as u64);
    // `content` has checked that every ordinal has one user, who is found there.
    assert_eq!(snapshot.directory().users(), (3 * ROUNDS + 1) as u64);
    let found = lines(&snapshot);
    for writer in 0..2 {
        for round in 0..ROUNDS {
            let (day, own) = (20261101 + round, format!("own-{writer}-{round}"));
            let users = format!("all=3, both-{round}={}, {own}={}", format!("both-{round}").len(), own.len());
            let line = format!("label {writer} {day} tag 1 yes: {users}");
            assert!(found.contains(&line), "{line} in {found:#?}");
        }
    }
}

#[test]
fn users_stay_where_they_are_through_many_publications() {
    let (folder, store) = store();
    let mut users: Vec<String> = Vec::new();
    let mut places = Vec::new();
    for round in 0..70usize {
        // Large and small ones, and some that bring nobody new.
        let fresh = [40, 3, 0, 1, 150][round % 5];
        users.extend((0..fresh).map(|n| format!("user-{round}-{n}")));
        let mut publication = store.publish(APP).unwrap();
        let named: Vec<&str> = users.iter().rev().take(fresh + 20).map(String::as_str).collect();
        label(&mut publication, 1, 20261101, &named, round as i64);
        let generation = publication.commit(round as i64).unwrap();

        let snapshot = store.snapshot(APP).unwrap().unwrap();
        assert_eq!(snapshot.manifest().generation, generation, "the newest is seen at once");
        assert!(snapshot.manifest().users.len() <= 12, "{} files", snapshot.manifest().users.len());
        assert_eq!(snapshot.directory().users(), users.len() as u64);
        let find = |user: &String| snapshot.directory().find(user.as_bytes()).unwrap();
        places.extend(users[places.len()..].iter().map(find));
        for (user, place) in users.iter().zip(&places) {
            assert_eq!(find(user), *place);
            assert_eq!(snapshot.directory().user(*place), Some(user.as_bytes()));
        }
    }
    let fresh = Store::open(folder.path()).unwrap();
    lines(&fresh.snapshot(APP).unwrap().unwrap());
}

#[test]
fn strange_app_ids_are_kept_apart() {
    let (folder, store) = store();
    let long = |end: char| "长".repeat(100) + &end.to_string();
    let (long_a, long_b, plain) = (long('a'), long('b'), "x".repeat(200));
    let mut apps = vec![
        "", ".", "..", "../..", "a/b", "a%2Fb", "a%252Fb", "/", "a", "A", "a ", "应用", "é", "e\u{301}",
        "a\0b", "~", "%", "%25", "manifest", "lock", &long_a, &long_b, &plain,
    ];
    apps.sort_unstable();
    for (n, app) in apps.iter().enumerate() {
        assert!(store.snapshot(app).unwrap().is_none(), "{app:?} shares a folder");
        let mut publication = store.publish(app).unwrap();
        label(&mut publication, n as i64, 20261101, &[&format!("user {n}")], 0);
        publication.commit(0).unwrap();
        store.write_cohort(app, "coh_1", ds(20261101), &[]).unwrap();
    }
    assert_eq!(store.apps().unwrap(), apps);
    for (n, app) in apps.iter().enumerate() {
        let snapshot = store.snapshot(app).unwrap().unwrap();
        assert_eq!(snapshot.app(), *app);
        assert!(snapshot.directory().find(format!("user {n}").as_bytes()).is_some(), "{app:?}");
        assert_eq!((snapshot.directory().users(), snapshot.manifest().labels.len()), (1, 1));
    }
    // Nothing lies outside of the store's own folder.
    let top: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(top, ["apps"]);
    let beside: Vec<_> = fs::read_dir(folder.path().join("apps")).unwrap().collect();
    assert_eq!(beside.len(), apps.len());
}

#[test]
fn cohort_ids_do_not_reach_into_other_folders() {
    let (_folder, store) = store();
    publish_all(&store, 0);
    for id in ["", "..", "../manifest", "a/b", "a.b", "é", "\0", &"x".repeat(101)] {
        assert!(store.write_cohort(APP, id, ds(20261101), &[]).is_err(), "{id:?}");
        assert!(store.cohort(APP, id).unwrap().is_none(), "{id:?}");
        store.remove_cohort(APP, id).unwrap();
    }
    assert!(store.snapshot(APP).unwrap().is_some());
}

/// Rows of (page, m_amount), all of one user on one day.
fn amounts(store: &Store, rows: &[(&str, i64)]) -> Result<Vec<String>, StoreError> {
    let mut publication = store.publish(APP)?;
    let (dimensions, measures) = (["page".to_owned()], ["m_amount".to_owned()]);
    let shape = EventShape { event: "pay", ds: ds(20261101), dimensions: &dimensions, measures: &measures };
    publication.start_event(&shape)?;
    for (page, amount) in rows {
        publication.event_row(b"ann", 1, &[Some(page)], &[*amount])?;
    }
    publication.finish_part(0)?;
    publication.commit(0)?;
    let sums = lines(&store.snapshot(APP)?.unwrap()).into_iter().filter(|line| line.contains(" sum "));
    Ok(sums.collect())
}

#[test]
fn a_sum_that_fits_is_kept_whatever_the_order_of_its_rows() {
    let (_folder, store) = store();
    for rows in [
        [("/a", i64::MAX), ("/a", 5), ("/a", -5)],
        [("/a", 5), ("/a", i64::MAX), ("/a", -5)],
        [("/a", -5), ("/a", 5), ("/a", i64::MAX)],
        [("/a", 5), ("/b", i64::MAX), ("/c", -5)],
        [("/c", i64::MAX), ("/b", 5), ("/a", -5)],
    ] {
        let expected = [format!("event pay 20261101 sum ann [3, {}]", i64::MAX)];
        assert_eq!(amounts(&store, &rows).unwrap(), expected, "{rows:?}");
    }
    for rows in [[("/a", i64::MAX), ("/a", 1)], [("/a", i64::MIN), ("/b", -1)]] {
        let error = amounts(&store, &rows).unwrap_err();
        assert!(matches!(error, StoreError::TooLarge { .. }), "{error}");
    }
    let snapshot = store.snapshot(APP).unwrap().unwrap();
    assert_eq!(snapshot.manifest().generation, 5, "what does not fit changes nothing");
}
