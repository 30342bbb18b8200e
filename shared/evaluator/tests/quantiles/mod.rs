//! How numbers spread over crowds, against sorted numbers from the plain rows.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use muster_evaluator::{Control, EvaluationError, Quantiles, QuantilesOf, Spread};
use muster_rules::Universe;
use rand::SeedableRng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::app::{App, ds};
use crate::blocks::app_of_blocks;
use crate::crowds::crowds;
use crate::random::random_app;

/// In hundredths, in any order, one of them twice.
const SHARES: [usize; 8] = [50, 0, 1, 33, 75, 99, 100, 50];

/// Whatever the app has, and what it has not.
fn numbers(app: &App) -> Vec<QuantilesOf<'_>> {
    let mut all = Vec::new();
    for (&label, rows) in &app.rows.labels {
        let days = rows.days.keys().step_by(5).copied().chain([ds(20270101)]);
        for ds in days {
            let tags = rows.tags.keys().copied().chain([77]);
            all.extend(tags.map(|tag| QuantilesOf::Weight { label, tag, ds }));
        }
    }
    for event in app.rows.events.keys().map(String::as_str).chain(["unheard of"]) {
        let ranges = [(20261001, 20261130), (20261026, 20261101), (20261030, 20261030), (20261101, 20261030)];
        for (first, last) in ranges {
            let measures = [None, Some("m_seconds"), Some("m_amount")];
            let days = ds(first)..=ds(last);
            let of = |measure| QuantilesOf::Total { event, days: days.clone(), measure };
            all.extend(measures.map(of));
        }
    }
    all
}

/// The number of everyone who has it.
fn recount<'a>(app: &'a App, of: &QuantilesOf<'_>) -> BTreeMap<&'a str, i128> {
    let mut numbers = BTreeMap::new();
    match of {
        QuantilesOf::Weight { label, tag, ds } => {
            let rows = app.rows.labels[label].days.get(ds).into_iter().flatten();
            let mut weights = BTreeMap::new();
            // Of rows for one pair the last one counts.
            for row in rows.filter(|row| row.tag == *tag) {
                weights.insert(row.user.as_str(), row.weight);
            }
            numbers.extend(weights.into_iter().filter_map(|(user, weight)| Some((user, weight?.into()))));
        }
        QuantilesOf::Total { event, days, measure } => {
            let rows = app.rows.events.get(*event).into_iter().flatten();
            for row in rows.filter(|(ds, _)| days.contains(ds)).flat_map(|(_, rows)| rows) {
                let number = measure.map_or(row.pv, |name| row.measures.get(name).copied().unwrap_or(0));
                *numbers.entry(row.user.as_str()).or_default() += i128::from(number);
            }
        }
    }
    numbers
}

fn spread_of(numbers: &BTreeMap<&str, i128>, users: &BTreeSet<&str>) -> Spread {
    let own = numbers.iter().filter(|(user, _)| users.contains(**user));
    let mut sorted: Vec<i128> = own.map(|(_, number)| *number).collect();
    sorted.sort_unstable();
    let quantile = |share: usize| {
        let rank = (1..).find(|rank| rank * 100 >= share * sorted.len()).unwrap();
        sorted[rank - 1]
    };
    Spread {
        users: sorted.len() as u64,
        sum: sorted.iter().sum(),
        quantiles: if sorted.is_empty() { Vec::new() } else { SHARES.map(quantile).to_vec() },
    }
}

/// Each number over some of the crowds. Answers how many spreads have different numbers, and how many of them one below 0.
fn check(app: &App, rng: &mut StdRng) -> (usize, usize) {
    let snapshot = app.snapshot();
    let crowds = crowds(app, &snapshot, rng);
    let shares = SHARES.map(|share| share as f64 / 100.0);
    let (mut different, mut below) = (0, 0);
    for of in numbers(app) {
        let recounted = recount(app, &of);
        for crowd in crowds.choose_multiple(rng, 3) {
            let quantiles = Quantiles::new(&crowd.universe, &of, snapshot.clone()).unwrap();
            let found = quantiles.spread(&shares, &Control::NONE).unwrap();
            assert_eq!(found, spread_of(&recounted, &crowd.users), "{of:?} of {}", crowd.name);
            different += usize::from(found.quantiles.iter().collect::<BTreeSet<_>>().len() > 2);
            below += usize::from(found.quantiles.iter().any(|number| *number < 0));
        }
    }
    (different, below)
}

#[test]
fn quantiles_are_those_of_the_sorted_numbers() {
    let (mut different, mut below) = (0, 0);
    for (seed, users, buckets) in [(81, 300, 3), (82, 1_000, 1), (83, 3, 2)] {
        let mut rng = StdRng::seed_from_u64(seed);
        let app = random_app(&mut rng, users, buckets);
        let telling = check(&app, &mut rng);
        (different, below) = (different + telling.0, below + telling.1);
    }
    assert!(different > 50 && below > 50, "{different}, {below}");
}

#[test]
fn quantiles_across_blocks() {
    let mut rng = StdRng::seed_from_u64(85);
    let (app, _) = app_of_blocks(&mut rng);
    let (different, below) = check(&app, &mut rng);
    assert!(different > 5 && below > 5, "{different}, {below}");
}

#[test]
fn quantiles_tell_how_far_they_are_and_stop() {
    let app = random_app(&mut StdRng::seed_from_u64(86), 100, 4);
    let of = QuantilesOf::Total { event: "visit", days: ds(20261001)..=ds(20261130), measure: None };
    let quantiles = Quantiles::new(&Universe::All, &of, app.snapshot()).unwrap();
    let told = Mutex::new(Vec::new());
    let control = Control { stopped: &|| false, progress: &|done| told.lock().unwrap().push(done) };
    assert!(quantiles.spread(&[], &control).unwrap().quantiles.is_empty());
    assert_eq!(quantiles.spread(&[0.5], &control).unwrap().quantiles.len(), 1);
    let told = told.into_inner().unwrap();
    assert!(told.iter().all(|done| (0.0..=1.0).contains(done)) && told.len() > 8, "{told:?}");

    let control = Control { stopped: &|| true, progress: &|_| {} };
    assert!(matches!(quantiles.spread(&[0.5], &control), Err(EvaluationError::Stopped)));
    // Stopped between the first look and the rounds, too.
    let half = Mutex::new(false);
    let (stopped, progress) = (|| *half.lock().unwrap(), |done| *half.lock().unwrap() |= done >= 0.5);
    let control = Control { stopped: &stopped, progress: &progress };
    assert!(matches!(quantiles.spread(&[0.5], &control), Err(EvaluationError::Stopped)));
}
