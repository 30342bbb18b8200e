//! Sums, squares and products of numbers over groups, against the plain rows.

use std::collections::{BTreeMap, BTreeSet};

use muster_evaluator::{Control, EvaluationError, Number, NumberOf, PairSums, moments};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use roaring::RoaringBitmap;

use crate::app::{App, ds};
use crate::blocks::app_of_blocks;
use crate::random::random_app;

fn numbers(app: &App) -> Vec<Number<'_>> {
    let mut all = Vec::new();
    for event in app.rows.events.keys().map(String::as_str).chain(["unheard of"]) {
        for (first, last) in [(20261001, 20261130), (20261026, 20261101), (20261030, 20261030)] {
            let of = [
                NumberOf::Users,
                NumberOf::Pv,
                NumberOf::Measure("m_seconds"),
                NumberOf::Measure("m_amount"),
            ];
            all.extend(of.map(|of| Number { event, days: ds(first)..=ds(last), of }));
        }
    }
    all
}

/// The number of everyone who does not have 0.
fn recount<'a>(app: &'a App, of: &Number<'_>) -> BTreeMap<&'a str, f64> {
    let mut numbers: BTreeMap<&str, i128> = BTreeMap::new();
    let rows = app.rows.events.get(of.event).into_iter().flatten();
    for row in rows.filter(|(ds, _)| of.days.contains(ds)).flat_map(|(_, rows)| rows) {
        let number = numbers.entry(row.user.as_str()).or_default();
        match of.of {
            NumberOf::Users => *number = 1,
            NumberOf::Pv => *number += i128::from(row.pv),
            NumberOf::Measure(name) => *number += i128::from(row.measures.get(name).copied().unwrap_or(0)),
        }
    }
    numbers.into_iter().map(|(user, number)| (user, number as f64)).collect()
}

fn near(seen: f64, expected: f64, of: f64) -> bool {
    (seen - expected).abs() <= 1e-9 * of.abs().max(1.0)
}

fn check(app: &App, rng: &mut StdRng) -> usize {
    let snapshot = app.snapshot();
    // Three groups that share nobody; some users are in none.
    let mut groups: [(BTreeSet<&str>, Vec<RoaringBitmap>); 3] =
        std::array::from_fn(|_| (BTreeSet::new(), vec![RoaringBitmap::new(); app.buckets as usize]));
    for user in &app.rows.users {
        let Some((names, bitmaps)) = groups.get_mut(rng.random_range(0..4)) else { continue };
        let place = snapshot.directory().find(user.as_bytes()).unwrap();
        names.insert(user);
        bitmaps[place.bucket as usize].insert(place.ordinal);
    }
    let bitmaps: Vec<&[RoaringBitmap]> = groups.iter().map(|(_, bitmaps)| &bitmaps[..]).collect();
    let all = numbers(app);
    let mut telling = 0;
    for (place, y) in all.iter().enumerate() {
        let x = (place % 5 > 0).then(|| &all[rng.random_range(0..all.len())]);
        let seen = moments(&snapshot, &bitmaps, (y, x), &Control::NONE).unwrap();
        let (of_y, of_x) = (recount(app, y), x.map(|x| recount(app, x)).unwrap_or_default());
        for ((names, _), seen) in groups.iter().zip(seen) {
            let mut expected = PairSums { users: names.len() as u64, ..PairSums::default() };
            let mut size = 0.0;
            for user in names {
                let value = |of: &BTreeMap<&str, f64>| of.get(*user).copied().unwrap_or(0.0);
                let (y, x) = (value(&of_y), value(&of_x));
                expected.y += y;
                expected.yy += y * y;
                expected.x += x;
                expected.xx += x * x;
                expected.xy += x * y;
                size += y.abs() + x.abs();
            }
            let same = seen.users == expected.users
                && near(seen.y, expected.y, size)
                && near(seen.x, expected.x, size)
                && near(seen.yy, expected.yy, expected.yy)
                && near(seen.xx, expected.xx, expected.xx)
                && near(seen.xy, expected.xy, (expected.xx * expected.yy).sqrt());
            assert!(same, "{y:?} with {x:?}: {seen:?}, not {expected:?}");
            telling += usize::from(seen.xy != 0.0 && seen.yy > seen.y.abs());
        }
    }
    telling
}

#[test]
fn moments_are_those_of_the_plain_numbers() {
    let mut telling = 0;
    for (seed, users, buckets) in [(91, 300, 3), (92, 1_000, 1), (93, 3, 2)] {
        let mut rng = StdRng::seed_from_u64(seed);
        let app = random_app(&mut rng, users, buckets);
        telling += check(&app, &mut rng);
    }
    assert!(telling > 30, "{telling}");
}

#[test]
fn moments_across_blocks() {
    let mut rng = StdRng::seed_from_u64(95);
    let (app, _) = app_of_blocks(&mut rng);
    assert!(check(&app, &mut rng) > 0);
}

#[test]
fn moments_stop() {
    let app = random_app(&mut StdRng::seed_from_u64(96), 100, 4);
    let of = Number { event: "visit", days: ds(20261001)..=ds(20261130), of: NumberOf::Pv };
    let control = Control { stopped: &|| true, progress: &|_| {} };
    let stopped = moments(&app.snapshot(), &[], (&of, None), &control);
    assert!(matches!(stopped, Err(EvaluationError::Stopped)));
}
