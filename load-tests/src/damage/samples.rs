//! The stores that are damaged: every kind of file, every kind of container, numbers at the edges.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::Context;
use muster_catalogue::AppCatalogue;
use muster_days::Ds;
use muster_profile_store::{EventShape, Publication, Store, bucket_of};
use roaring::RoaringBitmap;
use serde_json::{Value, json};

pub const APP: &str = "shop";
pub const COHORTS: [&str; 2] = ["coh_some", "coh_most"];
const PAGES: [&str; 5] = ["/home", "/sale", "首页", "/sale/shoes", "/cart"];
const NUMBERS: [i64; 8] = [0, 1, -1, 60, -300, i64::MAX, i64::MIN, 70_000];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// 500 users in two buckets: a case takes less than a millisecond or two.
    Small,
    /// 270,000 users in one bucket: five blocks, containers of every kind, files that are mapped.
    Large,
}

impl Size {
    pub fn users(self) -> u32 {
        match self {
            Size::Small => 500,
            Size::Large => 270_000,
        }
    }

    fn buckets(self) -> u32 {
        match self {
            Size::Small => 2,
            Size::Large => 1,
        }
    }
}

pub fn user(n: u32) -> String {
    match n % 3 {
        0 => format!("用户{n}"),
        1 => n.to_string(),
        _ => format!("user-{n}"),
    }
}

fn day(n: i64) -> Ds {
    Ds::from_number(20_261_030).expect("a day of the calendar").plus(n)
}

/// Writes the store and answers with its files, manifest first.
pub fn write(root: &Path, size: Size) -> anyhow::Result<Vec<PathBuf>> {
    let store = Store::open(root)?;
    let mut catalogue = AppCatalogue { version: 1, ..AppCatalogue::default() };
    catalogue.settings.buckets = Some(size.buckets());
    store.show_catalogue(APP, &catalogue)?;
    let folder = root.join("apps").join(APP);
    let users = size.users();
    let most = users / 10 * 8;
    let mut first = store.publish(APP)?;
    label(&mut first, (30, "crowd"), 0, 0..most, crowd)?;
    label(&mut first, (10_001, "gender"), 0, 0..most, |n| vec![(1 + i64::from(n % 2), None)])?;
    visits(&mut first, 0, (0..most).step_by(9))?;
    first.commit(0)?;
    // Not as many as would have the files of users merged.
    let mut second = store.publish(APP)?;
    label(&mut second, (-4, "credits"), 1, 0..users, credits)?;
    label(&mut second, (10_001, "gender"), 1, 0..users, |n| vec![(1 + i64::from(n % 7 * n % 7 > 3), None)])?;
    for n in 1..4 {
        visits(&mut second, n, (0..users).step_by(7 + n as usize))?;
    }
    // A whole week, and the Monday after it.
    for n in -4..=3 {
        orders(&mut second, n, (0..users).step_by(if n == 3 { 3 } else { 11 + n.unsigned_abs() as usize }))?;
    }
    second.commit(0)?;
    write_cohorts(&store, users)?;
    let snapshot = store.snapshot(APP)?.context("it was published")?;
    let names = snapshot.manifest().files().map(str::to_owned);
    let cohorts = COHORTS.iter().map(|id| format!("cohorts/{id}.mst"));
    let all = std::iter::once("manifest".to_owned()).chain(names).chain(cohorts);
    Ok(all.map(|name| folder.join(name)).collect())
}

/// Everyone, some alone, and a long run.
fn crowd(n: u32) -> Vec<(i64, Option<i64>)> {
    let mut tags = vec![(1, None)];
    if n.is_multiple_of(50) {
        tags.push((2, None));
    }
    if n % 1000 > 3 {
        tags.push((3, None));
    }
    tags
}

fn credits(n: u32) -> Vec<(i64, Option<i64>)> {
    let weight = match n % 97 {
        n @ 0..8 => NUMBERS[n as usize],
        n => i64::from(n) - 40,
    };
    match n % 4 {
        0 => vec![(1, Some(weight))],
        1 => vec![(1, None), (-2, Some(i64::from(n % 300)))],
        2 => vec![(-2, Some(weight))],
        _ => Vec::new(),
    }
}

fn write_cohorts(store: &Store, users: u32) -> anyhow::Result<()> {
    let snapshot = store.snapshot(APP)?.context("it was published")?;
    let directory = snapshot.directory();
    for (id, wanted) in [(COHORTS[0], 3), (COHORTS[1], 1)] {
        let mut members = vec![RoaringBitmap::new(); directory.buckets() as usize];
        for n in (0..users).filter(|n| n % 3 < wanted || n % 1000 < 700) {
            let place = directory.find(user(n).as_bytes()).context("every user has a place")?;
            members[place.bucket as usize].insert(place.ordinal);
        }
        store.write_cohort(APP, id, day(2), &members)?;
    }
    Ok(())
}

/// The users' numbers, bucket by bucket as rows have to come.
fn by_bucket(users: impl Iterator<Item = u32>, buckets: u32) -> impl Iterator<Item = (u32, String)> {
    let mut users: Vec<(u32, String)> = users.map(|n| (n, user(n))).collect();
    users.sort_by_key(|(_, user)| bucket_of(user.as_bytes(), buckets));
    users.into_iter()
}

fn label(
    publication: &mut Publication,
    (id, name): (i64, &str),
    ds: i64,
    users: impl Iterator<Item = u32>,
    tags: impl Fn(u32) -> Vec<(i64, Option<i64>)>,
) -> anyhow::Result<()> {
    publication.start_label(id, name, day(ds))?;
    for (n, user) in by_bucket(users, publication.buckets()) {
        for (tag, weight) in tags(n) {
            publication.label_row(user.as_bytes(), tag, &format!("tag {tag}"), weight)?;
        }
    }
    Ok(publication.finish_part(0)?)
}

fn visits(publication: &mut Publication, ds: i64, users: impl Iterator<Item = u32>) -> anyhow::Result<()> {
    let dimensions = ["page".to_owned(), "channel".to_owned()];
    let measures = ["m_seconds".to_owned(), "m_amount".to_owned()];
    let shape = EventShape { event: "visit", ds: day(ds), dimensions: &dimensions, measures: &measures };
    publication.start_event(&shape)?;
    for (n, user) in by_bucket(users, publication.buckets()) {
        for row in 0..1 + n % 3 {
            let page = PAGES[((n / 3 + row) % 5) as usize];
            let channel = ["web", "app"].get((n % 4) as usize).copied();
            let amount = if n % 3 == 0 { NUMBERS[(n / 3 % 8) as usize] } else { i64::from(n % 40) - 20 };
            let pv = if n % 11 == 0 { 0 } else { i64::from(n % 300) };
            publication.event_row(
                user.as_bytes(),
                pv,
                &[Some(page), channel],
                &[i64::from(n % 50), amount],
            )?;
        }
    }
    Ok(publication.finish_part(0)?)
}

fn orders(publication: &mut Publication, ds: i64, users: impl Iterator<Item = u32>) -> anyhow::Result<()> {
    let measures = ["m_amount".to_owned()];
    let shape = EventShape { event: "order", ds: day(ds), dimensions: &[], measures: &measures };
    publication.start_event(&shape)?;
    for (n, user) in by_bucket(users, publication.buckets()) {
        publication.event_row(user.as_bytes(), 1 + i64::from(n % 2), &[], &[i64::from(n % 900)])?;
    }
    Ok(publication.finish_part(0)?)
}

/// What a later import does to the store: known users and new ones, known values and a new day.
pub fn publish_more(root: &Path) -> anyhow::Result<()> {
    let mut publication = Store::open(root)?.publish(APP)?;
    visits(&mut publication, 4, 480..620)?;
    orders(&mut publication, 1, 100..500)?;
    label(&mut publication, (10_001, "gender"), 1, 0..40, |_| vec![(1, None)])?;
    publication.commit(1)?;
    Ok(())
}

/// Rules that read every kind of file in every way.
pub fn rules() -> Vec<Value> {
    let conditions = [
        json!({"label": "gender", "in": [1]}),
        json!({"label": "crowd", "not_in": [2, 3]}),
        json!({"label": "crowd", "set": true}),
        json!({"label": "credits", "in": [1], "weight": {"gte": 5}}),
        json!({"label": "credits", "weight": {"between": [-10, 60]}}),
        json!({"event": "visit", "last_days": 4}),
        json!({"event": "visit", "last_days": 3, "pv": {"gte": 200}}),
        json!({"event": "visit", "last_days": 4, "sum": {"m_amount": {"lt": 0}}}),
        json!({"event": "visit", "last_days": 4, "days": {"gte": 2}}),
        json!({"event": "order", "last_days": 10}),
        json!({"event": "order", "last_days": 8, "pv": {"gte": 3}}),
        json!({"event": "order", "last_days": 9, "sum": {"m_amount": {"between": [500, 1500]}}}),
        json!({"event": "order", "last_days": 4, "sum": {"m_amount": {"gt": 450}}}),
        json!({"event": "visit", "last_days": 4, "where": {"page": {"in": ["/sale", "首页"]}}, "pv": {"gte": 9}}),
        json!({"event": "visit", "last_days": 4, "where": {"page": {"prefix": "/s"}, "channel": {"not_in": ["app"]}},
               "sum": {"m_seconds": {"gte": 30}}}),
        json!({"event": "visit", "last_days": 4, "where": {"channel": {"contains": "e"}}, "days": {"gte": 1}}),
        json!({"event": "order", "last_days": 2, "pv": {"eq": 0}}),
        json!({"cohort": "coh_some"}),
        json!({"not": {"cohort": "coh_most"}}),
    ];
    let all = json!({"where": {"any": conditions}});
    let crowd = json!({"universe": "active_7d", "where": {"all": [conditions[0], {"not": conditions[6]}]}});
    let single = conditions.into_iter().map(|condition| json!({"where": condition}));
    single.chain([all, crowd]).collect()
}

/// Users that are asked one by one; some are unknown.
pub fn asked(size: Size) -> BTreeSet<String> {
    (0..14).map(|n| user(n * size.users() / 13)).collect()
}
