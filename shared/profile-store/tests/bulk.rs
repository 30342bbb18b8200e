//! Parts built from rows in bulk: the same bytes whatever the number of threads, and what the rows say.

mod content;

use std::collections::{BTreeMap, HashMap};
use std::fs;
use std::path::Path;

use content::content;
use muster_days::Ds;
use muster_profile_store::{EventRow, EventShape, LabelRow, LabelShape, Store, StoreError, User};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

const APP: &str = "shop";

struct Visit {
    user: String,
    page: Option<String>,
    pv: i64,
    amount: i64,
}

fn ds() -> Ds {
    Ds::from_number(20261101).unwrap()
}

/// (user, tag, weight): few users, so that many pairs come more than once.
fn label_rows(seed: u64) -> Vec<(String, i64, Option<i64>)> {
    let mut rng = StdRng::seed_from_u64(seed);
    let row = |rng: &mut StdRng| {
        let tag = rng.random_range(-1..6);
        let weight = (tag > 2 && rng.random_bool(0.6)).then(|| rng.random_range(-5..5));
        // Tag 5 is rare: few ordinals among many.
        let user = if tag == 5 { rng.random_range(0..20) } else { rng.random_range(0..4000) };
        (format!("user {user}"), tag, weight)
    };
    (0..20_000).map(|_| row(&mut rng)).collect()
}

fn visits(seed: u64) -> Vec<Visit> {
    let mut rng = StdRng::seed_from_u64(seed);
    let row = |rng: &mut StdRng| Visit {
        user: format!("user {}", rng.random_range(0..3000)),
        page: rng.random_bool(0.8).then(|| format!("/{}", rng.random_range(0..40))),
        pv: rng.random_range(0..4),
        amount: rng.random_range(-1000..1000),
    };
    (0..20_000).map(|_| row(&mut rng)).collect()
}

fn publish(store: &Store, labels: &[(String, i64, Option<i64>)], visits: &[Visit]) {
    let mut publication = store.publish(APP).unwrap();
    let buckets = publication.buckets();
    let tag_names: HashMap<i64, String> = (-1..6).map(|tag| (tag, format!("tag {tag}"))).collect();
    let shape = LabelShape { label: 7, name: "seven", ds: ds(), tag_names: &tag_names };
    let fill_labels = |bucket, out: &mut muster_profile_store::LabelBucket<'_>| {
        let rows = labels.iter().map(|(user, tag, weight)| LabelRow {
            user: User::new(user.as_bytes()),
            tag: *tag,
            weight: *weight,
        });
        let rows: Vec<LabelRow<'_>> = rows.filter(|row| row.user.bucket(buckets) == bucket).collect();
        out.add(&rows)
    };
    let (dimensions, measures) = (["page".to_owned()], ["m_amount".to_owned()]);
    let event = EventShape { event: "visit", ds: ds(), dimensions: &dimensions, measures: &measures };
    let fill_visits = |bucket, out: &mut muster_profile_store::EventBucket<'_>| {
        out.tuple(&[Some("/never")]);
        for Visit { user, page, pv, amount } in visits {
            let user = User::new(user.as_bytes());
            if user.bucket(buckets) == bucket {
                let tuple = out.tuple(&[page.as_deref()]);
                out.add(&[EventRow { user, tuple, pv: *pv, measures: &[*amount] }])?;
            }
        }
        Ok::<_, StoreError>(())
    };
    publication.event(&event, 1, fill_visits).unwrap();
    publication.label(&shape, 1, fill_labels).unwrap();
    publication.commit(1).unwrap();
}

/// The bytes of all files in the order of the manifest: their names are random.
fn files(root: &Path, store: &Store) -> Vec<Vec<u8>> {
    let snapshot = store.snapshot(APP).unwrap().unwrap();
    let folder = root.join("apps").join(APP);
    snapshot.manifest().files().map(|file| fs::read(folder.join(file)).unwrap()).collect()
}

#[test]
fn the_number_of_threads_changes_no_byte() {
    let made = [1, 2, 5].map(|threads| {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            publish(&store, &label_rows(1), &visits(2));
            // Known users and new ones.
            publish(&store, &label_rows(3), &visits(4));
        });
        files(folder.path(), &store)
    });
    assert_eq!(made[0].len(), 5, "users twice, a label, an event, a dictionary");
    assert!(made[0] == made[1] && made[0] == made[2]);
}

#[test]
fn a_part_says_what_its_rows_said() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(folder.path()).unwrap();
    let (labels, visits) = (label_rows(5), visits(6));
    publish(&store, &labels, &visits);
    let once = content(&store.snapshot(APP).unwrap().unwrap(), &[]).unwrap();
    publish(&store, &labels, &visits);
    let lines = content(&store.snapshot(APP).unwrap().unwrap(), &[]).unwrap();
    assert_eq!(once, lines, "twice is the same as once");

    let mut tags: BTreeMap<i64, BTreeMap<&str, Option<i64>>> = BTreeMap::new();
    for (user, tag, weight) in &labels {
        tags.entry(*tag).or_default().insert(user, *weight);
    }
    for (tag, users) in tags {
        let mut users: Vec<String> = users
            .into_iter()
            .map(|(user, weight)| {
                user.to_owned() + &weight.map_or(String::new(), |weight| format!("={weight}"))
            })
            .collect();
        users.sort();
        let line = format!("label 7 {} tag {tag} tag {tag}: {}", ds(), users.join(", "));
        assert!(lines.contains(&line), "{line}");
    }
    let mut rows: BTreeMap<(&str, Option<&str>), [i64; 2]> = BTreeMap::new();
    let mut sums: BTreeMap<&str, [i64; 2]> = BTreeMap::new();
    for Visit { user, page, pv, amount } in &visits {
        for sum in [rows.entry((user, page.as_deref())).or_default(), sums.entry(user).or_default()] {
            *sum = [sum[0] + pv, sum[1] + amount];
        }
    }
    let row = |((user, page), sum): (&(&str, Option<&str>), &[i64; 2])| {
        let page = page.map_or(String::new(), |page| format!(" page={page}"));
        format!("event visit {} row {user}{page} {sum:?}", ds())
    };
    let expected = rows
        .iter()
        .map(row)
        .chain(sums.iter().map(|(user, sum)| format!("event visit {} sum {user} {sum:?}", ds())));
    let expected: std::collections::BTreeSet<String> = expected.collect();
    let found = lines.iter().filter(|line| line.contains(" row ") || line.contains(" sum ")).cloned();
    assert!(found.eq(expected));
    assert!(!lines.iter().any(|line| line.contains("/never")), "values without rows are not kept");
}
