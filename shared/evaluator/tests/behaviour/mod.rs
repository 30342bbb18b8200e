//! What crowds did, against a recount of the plain rows.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use muster_days::Ds;
use muster_evaluator::oracle::EventRow;
use muster_evaluator::{
    Behaviour, ByValue, ByValueCounts, Control, CrowdEvent, CrowdValues, Did, EvaluationError, UsersAndPv,
    ValueCounts,
};
use muster_profile_store::Snapshot;
use muster_rules::Universe;
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::app::{App, ds};
use crate::blocks::app_of_blocks;
use crate::crowds::{Crowd, crowds};
use crate::random::random_app;

/// All there is, some days, one day, days that nothing is published for, and a range that ends before it
/// begins.
fn ranges() -> [RangeInclusive<Ds>; 5] {
    [
        (20261001, 20261130),
        (20261025, 20261101),
        (20261030, 20261030),
        (20270101, 20270131),
        (20261101, 20261030),
    ]
    .map(|(first, last)| ds(first)..=ds(last))
}

fn universes(crowds: &[Crowd<'_>]) -> Vec<Universe> {
    crowds.iter().map(|crowd| crowd.universe.clone()).collect()
}

/// The rows of the event on the published days of the range.
fn days<'a>(app: &'a App, event: &str, range: &RangeInclusive<Ds>) -> Vec<(Ds, &'a Vec<EventRow>)> {
    let days = app.rows.events.get(event).into_iter().flatten();
    days.filter(|(ds, _)| range.contains(ds)).map(|(ds, rows)| (*ds, rows)).collect()
}

fn did<'a>(rows: impl Iterator<Item = &'a EventRow>, users: &BTreeSet<&str>, measures: &[String]) -> Did {
    let rows: Vec<&EventRow> = rows.filter(|row| users.contains(row.user.as_str())).collect();
    let sum = |measure: &String| {
        rows.iter().map(|row| i128::from(row.measures.get(measure).copied().unwrap_or(0))).sum()
    };
    Did {
        users: rows.iter().map(|row| &row.user).collect::<BTreeSet<_>>().len() as u64,
        pv: rows.iter().map(|row| i128::from(row.pv)).sum(),
        sums: measures.iter().map(sum).collect(),
    }
}

/// Answers how many of the crowds have users who did something and others who did not.
fn check_events(
    app: &App,
    snapshot: &Arc<Snapshot>,
    crowds: &[Crowd<'_>],
    range: RangeInclusive<Ds>,
) -> usize {
    let names: Vec<&str> = app.rows.events.keys().map(String::as_str).chain(["unheard of"]).collect();
    let behaviour = Behaviour::new(&universes(crowds), &names, &range, snapshot.clone()).unwrap();
    let counts = behaviour.counts(&Control::NONE).unwrap();
    assert_eq!(counts.events.len(), names.len());
    let mut telling = 0;
    for (name, event) in names.iter().zip(&counts.events) {
        let days = days(app, name, &range);
        assert_eq!(event.days, days.iter().map(|(ds, _)| *ds).collect::<Vec<Ds>>(), "{name}");
        let known: BTreeSet<&String> =
            days.iter().flat_map(|(_, rows)| *rows).flat_map(|row| row.measures.keys()).collect();
        assert!(known.iter().all(|measure| event.measures.contains(measure)), "{name}: {known:?}");
        for (crowd, found) in crowds.iter().zip(&event.crowds) {
            let expected = CrowdEvent {
                range: did(days.iter().flat_map(|(_, rows)| *rows), &crowd.users, &event.measures),
                days: days.iter().map(|(_, rows)| did(rows.iter(), &crowd.users, &event.measures)).collect(),
            };
            assert_eq!(*found, expected, "{name} of {} on {range:?}", crowd.name);
            telling += usize::from((1..crowd.users.len() as u64).contains(&found.range.users));
        }
    }
    for (crowd, users) in crowds.iter().zip(counts.crowds) {
        assert_eq!(users, crowd.users.len() as u64, "{}", crowd.name);
    }
    telling
}

/// Value (None: no value) → by crowd, users and pv.
type Recount<'a> = BTreeMap<Option<&'a str>, Vec<(BTreeSet<&'a str>, i128)>>;

fn recount<'a>(rows: &[&'a EventRow], dimension: &str, crowds: &[Crowd<'_>]) -> Recount<'a> {
    let mut values = Recount::new();
    for row in rows {
        let value = row.dimensions.get(dimension).map(String::as_str);
        let counted = values.entry(value).or_insert_with(|| vec![Default::default(); crowds.len()]);
        for ((users, pv), crowd) in counted.iter_mut().zip(crowds) {
            if crowd.users.contains(row.user.as_str()) {
                users.insert(&row.user);
                *pv += i128::from(row.pv);
            }
        }
    }
    values
}

/// What is to be said of the recount when `top` values are asked for.
fn said(mut values: Recount<'_>, top: usize, crowds: usize) -> ByValueCounts {
    let numbers = |(users, pv): &(BTreeSet<&str>, i128)| UsersAndPv { users: users.len() as u64, pv: *pv };
    let absent = values.remove(&None).unwrap_or_else(|| vec![Default::default(); crowds]);
    let mut ranked: Vec<ValueCounts> = values
        .iter()
        .map(|(value, counted)| ValueCounts {
            value: value.unwrap().to_owned(),
            crowds: counted.iter().map(numbers).collect(),
        })
        .filter(|value| value.crowds[0].users > 0)
        .collect();
    ranked.sort_by_key(|value| Reverse((value.crowds[0].users, value.crowds[0].pv)));
    ranked.truncate(top);
    let crowd = |crowd: usize| CrowdValues {
        values: values.values().filter(|counted| !counted[crowd].0.is_empty()).count() as u64,
        rest_pv: values.values().map(|counted| counted[crowd].1).sum::<i128>()
            - ranked.iter().map(|value| value.crowds[crowd].pv).sum::<i128>(),
        absent: numbers(&absent[crowd]),
    };
    ByValueCounts { crowds: (0..crowds).map(crowd).collect(), values: ranked }
}

/// Answers how many values were told apart from the rest.
fn check_values(
    app: &App,
    snapshot: &Arc<Snapshot>,
    crowds: &[Crowd<'_>],
    range: RangeInclusive<Ds>,
) -> usize {
    let mut telling = 0;
    for event in app.rows.events.keys().map(String::as_str).chain(["unheard of"]) {
        let rows: Vec<&EventRow> = days(app, event, &range).into_iter().flat_map(|(_, rows)| rows).collect();
        for dimension in ["page", "channel", "app/os~", "unheard of"] {
            let of = (event, dimension);
            let by_value = ByValue::new(&universes(crowds), of, &range, snapshot.clone()).unwrap();
            let recounted = recount(&rows, dimension, crowds);
            for top in [2, usize::MAX] {
                let found = by_value.counts(top, &Control::NONE).unwrap();
                let expected = said(recounted.clone(), top, crowds.len());
                telling += expected.values.len();
                assert_eq!(found, expected, "{of:?} of {} on {range:?}", crowds[0].name);
            }
        }
    }
    telling
}

fn check(app: &App, rng: &mut StdRng) {
    let snapshot = app.snapshot();
    let mut crowds = crowds(app, &snapshot, rng);
    let telling: usize = ranges().into_iter().map(|range| check_events(app, &snapshot, &crowds, range)).sum();
    assert!(telling > 10, "only {telling} crowds tell anything");
    // The first of the crowds says which values are the greatest.
    let mut telling = 0;
    for (range, by) in ranges().into_iter().zip([1, 4, 9]) {
        crowds.rotate_left(by);
        telling += check_values(app, &snapshot, &crowds, range);
    }
    assert!(telling > 20, "only {telling} values");
}

#[test]
fn behaviour_is_what_the_rows_say() {
    for (seed, users, buckets) in [(71, 200, 16), (72, 1_000, 2)] {
        let mut rng = StdRng::seed_from_u64(seed);
        check(&random_app(&mut rng, users, buckets), &mut rng);
    }
}

#[test]
fn behaviour_across_blocks() {
    let mut rng = StdRng::seed_from_u64(74);
    let (app, _) = app_of_blocks(&mut rng);
    let snapshot = app.snapshot();
    let crowds = crowds(&app, &snapshot, &mut rng);
    let [all, some, ..] = ranges();
    let telling = [&all, &some].map(|range| check_events(&app, &snapshot, &crowds, range.clone()));
    assert!(telling.iter().sum::<usize>() > 2, "{telling:?}");
    // Everybody first, and a cohort.
    let first = crowds.iter().position(|crowd| crowd.name == "all").unwrap();
    assert!(check_values(&app, &snapshot, &crowds[first..], some) > 2);
    let cohort = crowds.iter().position(|crowd| crowd.name == "coh_edges").unwrap();
    assert!(check_values(&app, &snapshot, &crowds[cohort..], all) > 2);
}

#[test]
fn behaviour_stops_when_told_to() {
    let app = random_app(&mut StdRng::seed_from_u64(75), 100, 4);
    let (range, snapshot) = (ranges()[0].clone(), app.snapshot());
    let control = Control { stopped: &|| true, progress: &|_| {} };
    let behaviour = Behaviour::new(&[Universe::All], &["visit"], &range, snapshot.clone()).unwrap();
    assert!(matches!(behaviour.counts(&control), Err(EvaluationError::Stopped)));
    let by_value = ByValue::new(&[Universe::All], ("visit", "page"), &range, snapshot).unwrap();
    assert!(matches!(by_value.counts(10, &control), Err(EvaluationError::Stopped)));
}
