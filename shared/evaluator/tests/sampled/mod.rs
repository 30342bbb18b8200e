//! Counts from some of the buckets: exact when it takes all of them, the same for the same seed, and as
//! sure as they say.

use std::time::Instant;

use muster_evaluator::oracle::{EventRow, LabelRow};
use muster_evaluator::{Bound, Control, Sampled, Sampling};
use muster_rules::{Caps, parse};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::app::{App, Part, bind, ds};
use crate::random::{random_app, random_rule, words};

/// The first buckets and no more.
fn at_once(seed: u64) -> Sampling {
    Sampling { within: None, until: Some(Instant::now()), seed }
}

fn within(within: f64, seed: u64) -> Sampling {
    Sampling { within: Some(within), until: None, seed }
}

fn ask(bound: &Bound, sampling: &Sampling) -> Sampled {
    bound.sampled(sampling, &Control::NONE).unwrap()
}

#[test]
fn all_buckets_are_the_exact_answer() {
    let mut rng = StdRng::seed_from_u64(51);
    for (users, buckets) in [(1, 16), (100, 5)] {
        let app = random_app(&mut rng, users, buckets);
        let (snapshot, words) = (app.snapshot(), words(&app.rows));
        for seed in 0..20 {
            let bound = bind(&random_rule(&mut rng, &words), &snapshot, &app.rows.made);
            let exact = bound.counts(&Control::NONE).unwrap();
            let all = ask(&bound, &Sampling { within: None, until: None, seed });
            let expected = Sampled::exact(exact.clone());
            assert_eq!(all, expected, "seed {seed}");
            // Nothing is so sure that it is not exact, unless the rule leaves no room for doubt.
            let sampled = ask(&bound, &within(1e-9, seed));
            assert!(sampled == expected || sampled.interval == Some((exact.count, exact.count)));
        }
    }
}

/// Four labels of ten tags each, from common to rare, and an event of three days.
fn shop(users: usize, rng: &mut StdRng) -> App {
    let mut app = App::new(16);
    let mut parts = Vec::new();
    for id in 1..=4 {
        let row = |n: usize, rng: &mut StdRng| LabelRow {
            user: format!("u{n}"),
            tag: (rng.random::<f64>().powi(2) * 10.0) as i64,
            tag_name: String::new(),
            weight: None,
        };
        let rows = (0..users).map(|n| row(n, rng)).collect();
        parts.push(Part::Label { ds: ds(20261101), id, name: format!("label {id}"), rows });
    }
    for day in [20261030, 20261031, 20261101] {
        let visitors = (0..users).filter(|n| rng.random_ratio(1 + (*n % 7) as u32, 14)).collect::<Vec<_>>();
        let row = |n: usize| EventRow {
            user: format!("u{n}"),
            dimensions: [].into(),
            pv: 1 + n as i64 % 5,
            measures: [].into(),
        };
        let rows = visitors.into_iter().map(row).collect();
        let event = "visit".into();
        parts.push(Part::Event { ds: ds(day), event, dimensions: vec![], measures: vec![], rows });
    }
    app.publish(parts);
    app
}

/// One to three conditions.
fn rule(rng: &mut StdRng) -> String {
    let universe = ["all", "all", "active_1d", "active_7d"][rng.random_range(0..4)];
    let group = ["all", "any"][rng.random_range(0..2)];
    let condition = |rng: &mut StdRng| match rng.random_range(0..4) {
        0 => format!(r#"{{"event": "visit", "pv": {{"gte": {}}}}}"#, rng.random_range(1..10)),
        1 => format!(r#"{{"not": {{"event": "visit", "last_days": {}}}}}"#, rng.random_range(1..4)),
        _ => {
            let (label, tag) = (rng.random_range(1..5), rng.random_range(0..10));
            format!(r#"{{"label": "label {label}", "in": [{tag}, {}]}}"#, (tag + 3) % 10)
        }
    };
    let conditions: Vec<String> = (0..rng.random_range(1..4)).map(|_| condition(rng)).collect();
    format!(r#"{{"universe": "{universe}", "where": {{"{group}": [{}]}}}}"#, conditions.join(", "))
}

#[test]
fn the_same_seed_gives_the_same_answer() {
    let mut rng = StdRng::seed_from_u64(61);
    let app = shop(4_000, &mut rng);
    let snapshot = app.snapshot();
    let rule = parse(br#"{"where": {"label": 1, "in": [0]}}"#, &Caps::default()).unwrap();
    let bound = bind(&rule, &snapshot, &app.rows.made);
    let mut answers = Vec::new();
    for seed in 0..8 {
        let first = ask(&bound, &at_once(seed));
        assert_eq!(first, ask(&bound, &at_once(seed)));
        assert_eq!(first.evaluated, 0.125);
        assert_eq!((first.counts.universe, first.universe_interval), (4_000, None), "free, and so exact");
        assert_eq!(first.counts.leaves, [first.counts.count]);
        assert_eq!(ask(&bound, &within(0.1, seed)), ask(&bound, &within(0.1, seed)));
        answers.push(first.counts.count);
    }
    answers.dedup();
    assert!(answers.len() > 4, "other seeds take other buckets: {answers:?}");
}

#[test]
fn intervals_hold_as_often_as_they_say() {
    let mut rng = StdRng::seed_from_u64(71);
    let app = shop(20_000, &mut rng);
    let snapshot = app.snapshot();
    let (mut sampled, mut held, mut exact) = (0, 0, 0);
    let mut check = |interval: Option<(u64, u64)>, count: u64| {
        let Some((low, high)) = interval else { return exact += 1 };
        sampled += 1;
        held += usize::from(low <= count && count <= high);
    };
    for seed in 0..200 {
        let text = rule(&mut rng);
        let bound = bind(&parse(text.as_bytes(), &Caps::default()).unwrap(), &snapshot, &app.rows.made);
        let counts = bound.counts(&Control::NONE).unwrap();
        for sampling in [within(0.03, seed), within(0.1, seed), at_once(seed)] {
            let answer = ask(&bound, &sampling);
            check(answer.interval, counts.count);
            if let Some(universe) = answer.universe_interval {
                check(Some(universe), counts.universe);
            }
            let Some((within, (low, high))) = sampling.within.zip(answer.interval) else { continue };
            let (count, reach) = (answer.counts.count as f64, within * answer.counts.count as f64);
            assert!(low as f64 >= count - reach && high as f64 <= count + reach, "{text}: {answer:?}");
            assert!(answer.evaluated <= 0.5, "{text}: {answer:?}");
        }
    }
    eprintln!("{held} of {sampled} held, {exact} exact");
    assert!(sampled > 300 && exact > 50, "{sampled} sampled, {exact} exact");
    assert!(held * 100 >= sampled * 90, "{held} of {sampled} intervals held");
}
