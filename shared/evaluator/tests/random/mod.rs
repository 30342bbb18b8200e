//! Random apps with everything that may happen to one: late and missing days, parts replaced, tags and
//! columns that come and go, extreme numbers; and random rules over them.

use std::collections::BTreeMap;

use muster_days::Ds;
use muster_evaluator::oracle::{EventRow, LabelRow, Rows};
use muster_rules::arbitrary::Arbitrary;
use muster_rules::crowds::Crowd;
use muster_rules::{
    Compare, Condition, EventWords, LabelTest, LabelWords, Made, Rule, ValueTest, Vocabulary,
};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::{IndexedMutRandom, IndexedRandom, SliceRandom};

use crate::app::{App, Part, ds};

/// What lies at the edges of 64 bits and of a bit plane.
const EXTREMES: [i64; 12] =
    [i64::MIN, i64::MIN + 1, -(1 << 32), -256, -1, 0, 1, 255, 1 << 31, 1 << 62, i64::MAX - 1, i64::MAX];

const PAGES: [&str; 8] =
    ["/sale", "/sale/shoes", "/home", "深圳/首页", "a.b*c(", "Ünïcode ß", "🛒", " spaced "];
const CHANNELS: [&str; 3] = ["web", "app", "应用"];
const SYSTEMS: [&str; 4] = ["7", "true", "ios", "android"];

struct Label {
    id: i64,
    /// One of them in each publication.
    names: &'static [&'static str],
    /// Codes, and the names of each.
    tags: &'static [(i64, &'static [&'static str])],
    most_tags: usize,
    weighted: bool,
}

/// Names that look like codes, codes below 0, one name of two tags, names that change.
const LABELS: [Label; 5] = [
    Label {
        id: 10001,
        names: &["gender"],
        tags: &[(1, &["male"]), (2, &["female", "woman"])],
        most_tags: 1,
        weighted: false,
    },
    Label {
        id: 10002,
        names: &["province", "省份"],
        tags: &[
            (44, &["Guangdong"]),
            (43, &["Hunan"]),
            (86, &["Hunan", "Anhui"]),
            (7, &["44"]),
            (-3, &["湖北"]),
            (i64::MIN, &["least"]),
        ],
        most_tags: 3,
        weighted: true,
    },
    Label { id: -5, names: &["10001"], tags: &[(0, &["yes"])], most_tags: 1, weighted: true },
    Label {
        id: i64::MAX,
        names: &["credits"],
        tags: &[(1, &["credits"]), (2, &["points"])],
        most_tags: 2,
        weighted: true,
    },
    Label {
        id: 4,
        names: &["rare", "seldom"],
        tags: &[(1, &["so"]), (2, &["so"])],
        most_tags: 2,
        weighted: false,
    },
];

struct Event {
    name: &'static str,
    dimensions: &'static [(&'static str, &'static [&'static str])],
    measures: &'static [&'static str],
}

const EVENTS: [Event; 4] = [
    Event {
        name: "visit",
        dimensions: &[("page", &PAGES), ("channel", &CHANNELS), ("app/os~", &SYSTEMS)],
        measures: &["m_seconds"],
    },
    Event { name: "order", dimensions: &[("channel", &CHANNELS)], measures: &["m_amount", "m_items"] },
    Event { name: "事件 \"x\"", dimensions: &[("page", &PAGES)], measures: &[] },
    Event { name: "purchase", dimensions: &[], measures: &["m_amount"] },
];

pub fn random_app(rng: &mut StdRng, users: usize, buckets: u32) -> App {
    let users: Vec<String> = (0..users).map(user).collect();
    let days: Vec<Ds> = ds(20261023).through(ds(20261103)).collect();
    let mut parts = Vec::new();
    // Some days are missing, some come twice: what comes last counts, also when it is empty.
    let times = [0, 1, 1, 1, 2];
    for &day in &days {
        for label in LABELS.iter().filter(|label| label.id != 4 || day.number() % 5 == 0) {
            for _ in 0..*times.choose(rng).unwrap() {
                parts.push(label_part(rng, label, day, &users));
            }
        }
        for event in &EVENTS {
            // Seldom missing: most events should have a whole week.
            for _ in 0..*[0, 1, 1, 1, 1, 1, 1, 1, 1, 2].choose(rng).unwrap() {
                parts.push(event_part(rng, event, day, &users));
            }
        }
    }
    parts.shuffle(rng);
    let mut app = App::new(buckets);
    let mut parts = parts.into_iter().peekable();
    while parts.peek().is_some() {
        let publication = parts.by_ref().take(rng.random_range(1..8)).collect();
        app.publish(publication);
    }
    let known: Vec<String> = app.rows.users.iter().cloned().collect();
    for (id, share) in [("coh_none", 0.0), ("coh_few", 0.02), ("coh_most", 0.9)] {
        let members = known.iter().filter(|_| rng.random_bool(share)).cloned().collect();
        app.write_cohort(id, *days.choose(rng).unwrap(), members);
    }
    // Each has a cohort on any day that a rule may look from.
    let first = Ds::from_number(19700101).unwrap();
    for (segment, old, new) in [("seg_grows", "coh_few", "coh_most"), ("seg_ends", "coh_most", "coh_none")] {
        let cohorts = vec![(first, old.to_owned()), (*days.choose(rng).unwrap(), new.to_owned())];
        app.rows.made.segments.insert(segment.to_owned(), cohorts);
    }
    let list = vec![(*days.choose(rng).unwrap(), "coh_few".to_owned())];
    app.rows.made.lists.insert("lst_few".to_owned(), list);
    define_crowds(rng, &mut app);
    app
}

fn user(n: usize) -> String {
    match n % 7 {
        0 => format!("{n}"),
        1 => format!("用户{n}"),
        2 => format!("{n:0>128}"),
        3 => format!("-{n}"),
        _ => format!("user-{n}"),
    }
}

/// Some of the users, in random order; sometimes nobody.
fn some_users<'u>(rng: &mut StdRng, users: &'u [String]) -> Vec<&'u String> {
    let share = *[0.0, 0.02, 0.3, 0.6, 0.6, 0.95].choose(rng).unwrap();
    users.choose_multiple(rng, (share * users.len() as f64) as usize).collect()
}

fn label_part(rng: &mut StdRng, label: &Label, day: Ds, users: &[String]) -> Part {
    // A tag has one name within one part.
    let names: BTreeMap<i64, &str> =
        label.tags.iter().map(|(code, names)| (*code, *names.choose(rng).unwrap())).collect();
    let mut rows = Vec::new();
    for user in some_users(rng, users) {
        for _ in 0..rng.random_range(1..=label.most_tags) {
            let tag = label.tags.choose(rng).unwrap().0;
            let weight = (label.weighted && rng.random_bool(0.8)).then(|| number(rng));
            rows.push(LabelRow { user: user.clone(), tag, tag_name: names[&tag].into(), weight });
        }
    }
    Part::Label { ds: day, id: label.id, name: (*label.names.choose(rng).unwrap()).into(), rows }
}

fn number(rng: &mut StdRng) -> i64 {
    match rng.random_range(0..10) {
        0 => *EXTREMES.choose(rng).unwrap(),
        1 => rng.random(),
        _ => rng.random_range(-20..=20),
    }
}

fn event_part(rng: &mut StdRng, event: &Event, day: Ds, users: &[String]) -> Part {
    // Columns come and go from file to file, in any order.
    let mut dimensions: Vec<_> = event.dimensions.iter().filter(|_| rng.random_bool(0.85)).collect();
    let mut measures: Vec<_> = event.measures.iter().filter(|_| rng.random_bool(0.85)).collect();
    dimensions.shuffle(rng);
    measures.shuffle(rng);
    let mut rows = Vec::new();
    for user in some_users(rng, users) {
        let several = *[1, 1, 1, 2, 3, 5].choose(rng).unwrap();
        for _ in 0..several {
            let mut row = EventRow { user: user.clone(), ..EventRow::default() };
            row.pv = *[0, 0, 1, 1, 1, 2, 3, 40].choose(rng).unwrap();
            for (name, values) in &dimensions {
                if rng.random_bool(0.7) {
                    let value = *values.choose(rng).unwrap();
                    row.dimensions.insert((*name).to_owned(), value.to_owned());
                }
            }
            for name in &measures {
                // The sum of a user's day must fit 64 bits: extremes stand alone.
                let number = if several == 1 { number(rng) } else { rng.random_range(-20..=20) };
                row.measures.insert((**name).to_owned(), number);
            }
            rows.push(row);
        }
    }
    // So must the pv of everyone's day.
    if let Some(row) = rows.choose_mut(rng).filter(|_| rng.random_bool(0.1)) {
        row.pv = i64::MAX - 1_000_000;
    }
    Part::Event {
        ds: day,
        event: event.name.into(),
        dimensions: dimensions.iter().map(|(name, _)| (*name).to_owned()).collect(),
        measures: measures.iter().map(|name| (**name).to_owned()).collect(),
        rows,
    }
}

/// Every name that the rows have, to make rules from.
pub fn words(rows: &Rows) -> Vocabulary {
    let labels = rows.labels.iter().map(|(id, label)| LabelWords {
        id: *id,
        name: label.name.clone(),
        tags: label.tags.iter().map(|(code, name)| (*code, name.clone())).collect(),
        published: label.days.keys().copied().collect(),
    });
    let events = rows.events.iter().map(|(name, days)| {
        let (mut dimensions, mut measures) = (BTreeMap::new(), Vec::new());
        for row in days.values().flatten() {
            for (dimension, value) in &row.dimensions {
                let values: &mut std::collections::BTreeSet<String> =
                    dimensions.entry(dimension.clone()).or_default();
                values.insert(value.clone());
            }
            measures.extend(row.measures.keys().cloned());
        }
        measures.sort();
        measures.dedup();
        EventWords { name: name.clone(), dimensions, measures, published: days.keys().copied().collect() }
    });
    let cohorts = rows.cohorts.iter().map(|(id, (ds, _))| (id.clone(), *ds));
    let crowd = |(code, rule): (&String, &Rule)| {
        (code.clone(), Crowd::Defined { rule: rule.clone(), retired: false })
    };
    let crowds = rows.crowds.iter().map(crowd);
    Vocabulary {
        labels: labels.collect(),
        events: events.collect(),
        cohorts: cohorts.collect(),
        made: rows.made.clone(),
        crowds: crowds.collect(),
    }
}

/// Base crowds of the app's own, and events that count as something else than they would.
fn define_crowds(rng: &mut StdRng, app: &mut App) {
    let flag = |rng: &mut StdRng| *[None, None, Some(true), Some(false)].choose(rng).unwrap();
    for event in EVENTS {
        let (active, trade) = (flag(rng), flag(rng));
        app.count_as(event.name, active, trade);
    }
    // A base crowd can't name segments, nor lists.
    let words = Vocabulary { made: Made::default(), ..words(&app.rows) };
    for n in 0..3 {
        let rule = random_rule(rng, &words);
        app.define(&format!("own_{n}"), Rule { as_of: None, ..rule });
    }
}

pub fn random_rule(rng: &mut StdRng, words: &Vocabulary) -> Rule {
    let (depth, largest) = (rng.random_range(0..=4), *[3, 20, 100].choose(rng).unwrap());
    let mut draw = |bound| rng.random_range(0..bound);
    let mut rule = Arbitrary { words, draw: &mut draw, depth, largest }.rule();
    if rng.random_bool(0.05) {
        rule.as_of = Some(ds(*[19700101, 20260901, 20261120, 20270601].choose(rng).unwrap()));
    }
    sharpen(rng, &mut rule.root);
    rule
}

/// Puts in what the generator does not draw: extreme bounds, and values that no row has.
fn sharpen(rng: &mut StdRng, condition: &mut Condition) {
    match condition {
        Condition::All(items) | Condition::Any(items) => items.iter_mut().for_each(|item| sharpen(rng, item)),
        Condition::Not(item) => sharpen(rng, item),
        Condition::Label(label) => {
            if let LabelTest::Weight { compare, .. } = &mut label.test {
                stretch(rng, compare);
            }
        }
        Condition::Event(event) => {
            stretch(rng, &mut event.compare);
            for test in event.filters.values_mut().flatten() {
                if let ValueTest::In(values) | ValueTest::NotIn(values) = test
                    && rng.random_bool(0.2)
                {
                    values.push(["", "nowhere", "/SALE"].choose(rng).unwrap().to_string());
                }
            }
        }
        Condition::Cohort(_) | Condition::Segment(_) | Condition::List(_) => {}
    }
}

fn stretch(rng: &mut StdRng, compare: &mut Compare) {
    if rng.random_bool(0.7) {
        return;
    }
    let mut bound = || if rng.random_bool(0.8) { *EXTREMES.choose(rng).unwrap() } else { rng.random() };
    let (a, b) = (bound(), bound());
    *compare = match compare {
        Compare::Eq(_) => Compare::Eq(a),
        Compare::Ne(_) => Compare::Ne(a),
        Compare::Gt(_) => Compare::Gt(a),
        Compare::Gte(_) => Compare::Gte(a),
        Compare::Lt(_) => Compare::Lt(a),
        Compare::Lte(_) => Compare::Lte(a),
        Compare::Between(..) => Compare::Between(a.min(b), a.max(b)),
    };
}
