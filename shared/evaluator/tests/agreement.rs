//! Random rules over random apps: the evaluator and the oracle must say the same, user by user.
//! `MUSTER_FUZZ_RULES=100000 cargo test -p muster-evaluator --test agreement` tries harder; a failure prints
//! the seed and the rule.

mod app;
mod behaviour;
mod blocks;
mod crowds;
mod matrix;
mod moments;
mod overlaps;
mod quantiles;
mod random;
mod sampled;

use app::{agree, bind};
use blocks::app_of_blocks;
use muster_evaluator::{Batch, Bound, Control};
use muster_rules::{Caps, Plan, Rule, parse};
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use random::{random_app, random_rule, words};

/// `share` of the rules that are asked for, all in all.
fn rules(share: f64) -> usize {
    let all = std::env::var("MUSTER_FUZZ_RULES").ok().and_then(|text| text.parse().ok()).unwrap_or(2_500.0);
    (share * all).ceil() as usize
}

/// Every tenth rule is explained for everyone in a small app, the others for a few users.
/// Answers the number of weeks that the app has sums of.
fn check(seed: u64, users: usize, buckets: u32, rules: usize) -> usize {
    let mut rng = StdRng::seed_from_u64(seed);
    let app = random_app(&mut rng, users, buckets);
    let (snapshot, words) = (app.snapshot(), words(&app.rows));
    let everyone: Vec<&String> = app.rows.users.iter().collect();
    let mut telling = 0;
    for n in 0..rules {
        let rule = random_rule(&mut rng, &words);
        let asked: Vec<&String> = match n % 10 {
            0 if users <= 500 => everyone.clone(),
            _ => everyone.choose_multiple(&mut rng, 6).copied().collect(),
        };
        let case = format!("seed {seed}, {users} users in {buckets} buckets, rule {n}");
        let (members, universe) = agree(&app, &snapshot, &rule, asked, &case);
        telling += usize::from(members > 0 && members < universe);
    }
    assert!(telling * 4 >= rules, "only {telling} of {rules} rules tell users apart (seed {seed})");
    snapshot.manifest().events.values().map(|event| event.weeks.len()).sum()
}

#[test]
fn small_apps() {
    let weeks: usize = (1..=6).map(|seed| check(seed, 300, 16, rules(0.12))).sum();
    assert!(weeks > 2, "{weeks} weeks");
}

/// Rules taken together, many of them with the same conditions, say what each says alone.
#[test]
fn batches() {
    for (seed, users, buckets) in [(51, 300, 16), (52, 3_000, 2)] {
        let mut rng = StdRng::seed_from_u64(seed);
        let app = random_app(&mut rng, users, buckets);
        let (snapshot, words) = (app.snapshot(), words(&app.rows));
        let rules: Vec<Rule> = (0..rules(0.06)).map(|_| random_rule(&mut rng, &words)).collect();
        let alone: Vec<Bound> =
            rules.iter().chain(&rules[..20]).map(|rule| bind(rule, &snapshot, &app.rows.made)).collect();
        let plans: Vec<Plan> = alone.iter().map(|bound| bound.plan().clone()).collect();
        let batch = Batch::new(&plans, snapshot.clone()).unwrap();
        let counts = batch.counts(&Control::NONE).unwrap();
        let members = batch.members(&Control::NONE).unwrap();
        assert_eq!((counts.len(), members.len()), (plans.len(), plans.len()));
        for ((bound, count), members) in alone.iter().zip(counts).zip(members) {
            assert_eq!(count, bound.count(&Control::NONE).unwrap(), "{:?}", bound.plan());
            assert_eq!(members, bound.members(&Control::NONE).unwrap(), "{:?}", bound.plan());
        }
    }
}

#[test]
fn few_buckets() {
    check(11, 400, 1, rules(0.08));
    check(12, 400, 3, rules(0.08));
}

#[test]
fn several_thousand_users() {
    check(21, 3_000, 16, rules(0.02));
}

/// More than 4,096 users in one block: containers that are bits, no longer lists.
#[test]
fn one_full_bucket() {
    check(31, 9_000, 1, rules(0.01));
}

#[test]
fn across_blocks() {
    let mut rng = StdRng::seed_from_u64(41);
    let (app, edges) = app_of_blocks(&mut rng);
    let (snapshot, words) = (app.snapshot(), words(&app.rows));
    // Each kind of condition alone, so that a single user too few or too many can't hide.
    let each = [
        r#"{"label": "third", "in": [1, 2]}"#,
        r#"{"label": "third", "not_in": [1]}"#,
        r#"{"label": "sparse", "weight": {"gte": -1}}"#,
        r#"{"event": "visit"}"#,
        r#"{"event": "visit", "pv": {"between": [2, 4]}}"#,
        r#"{"event": "visit", "days": {"eq": 2}}"#,
        r#"{"event": "visit", "sum": {"m_amount": {"lt": 0}}}"#,
        r#"{"event": "visit", "where": {"page": {"prefix": "/"}}, "days": {"gte": 1}}"#,
        r#"{"event": "visit", "where": {"page": {"in": ["/sale"]}}, "sum": {"m_amount": {"ne": 0}}}"#,
        r#"{"cohort": "coh_edges"}"#,
    ];
    let each = each.map(|condition| {
        let text = format!(r#"{{"universe": "all", "where": {condition}}}"#);
        parse(text.as_bytes(), &Caps::default()).unwrap()
    });
    let random: Vec<Rule> = (0..rules(0.004)).map(|_| random_rule(&mut rng, &words)).collect();
    for rule in each.iter().chain(&random) {
        let asked = edges.choose_multiple(&mut rng, 50);
        agree(&app, &snapshot, rule, asked, "seed 41");
    }
}
