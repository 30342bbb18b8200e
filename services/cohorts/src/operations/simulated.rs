//! Experiments without an effect, a thousand of them over the same users and their numbers: how often a difference is
//! seen where there is none.

use std::sync::Arc;

use muster_catalogue::{AppSettings, Floor};
use muster_days::Ds;
use muster_evaluator::Control;
use muster_profile_store::{EventShape, Snapshot, Store, bucket_of};
use roaring::RoaringBitmap;
use serde_json::json;

use super::compare::{How, Set, compare, false_discoveries, ratio};
use super::split::split;
use crate::answers::Comparison;
use crate::assignment::{Assignment, Range, Slice, WHOLE};
use crate::audiences::{Users, size};
use crate::definition::Definition;

const USERS: u64 = 4_000;
const EXPERIMENTS: u32 = 1_000;

fn ds(number: i64) -> Ds {
    Ds::from_number(number).unwrap()
}

/// Orders of ten days with amounts that are the same user's from day to day, more or less.
fn publish(store: &Store) -> Arc<Snapshot> {
    let mut publication = store.publish("a").unwrap();
    let buckets = publication.buckets();
    let mut users: Vec<String> = (0..USERS).map(|user| format!("u{user}")).collect();
    users.sort_by_key(|user| bucket_of(user.as_bytes(), buckets));
    for day in ds(20261101).through(ds(20261110)) {
        let measures = ["m_amount".to_owned()];
        publication
            .start_event(&EventShape { event: "order", ds: day, dimensions: &[], measures: &measures })
            .unwrap();
        for user in &users {
            let habit = xxhash_rust::xxh3::xxh3_64(user.as_bytes());
            let today = xxhash_rust::xxh3::xxh3_64(format!("{user} {day}").as_bytes());
            if today % 10 < 2 + habit % 5 {
                let amount = (habit >> 8) % 1_000 + (today >> 8) % 500;
                publication
                    .event_row(user.as_bytes(), 1 + (today % 3) as i64, &[], &[amount as i64])
                    .unwrap();
            }
        }
        publication.finish_part(0).unwrap();
    }
    publication.commit(0).unwrap();
    store.snapshot("a").unwrap().unwrap()
}

fn definition() -> Definition {
    let definition = json!({
        "name": "A/A",
        "groups": [{"name": "control", "share": 0.5}, {"name": "treatment", "share": 0.5}],
        "metrics": [
            {"name": "buyers", "event": "order", "of": "users"},
            {"name": "amount", "event": "order", "of": "sum", "measure": "m_amount"},
        ],
    });
    serde_json::from_value(definition).unwrap()
}

fn everybody(snapshot: &Snapshot) -> Users {
    let directory = snapshot.directory();
    (0..directory.buckets())
        .map(|bucket| RoaringBitmap::from_iter(0..directory.ordinals_in(bucket)))
        .collect()
}

fn how(first: i64, before: Option<i64>) -> How {
    How {
        days: ds(first)..=ds(20261110),
        before: before.map(|before| ds(before)..=ds(first).plus(-1)),
        level: 0.95,
        planned: None,
        floor: none(),
    }
}

fn none() -> Floor {
    AppSettings::default().floor()
}

/// With five percent of a thousand, within three and a half standard deviations.
fn nominal(rejected: u32) -> bool {
    (26..=74).contains(&rejected)
}

#[test]
fn a_thousand_experiments_without_an_effect_reject_as_often_as_they_say() {
    let folder = tempfile::tempdir().unwrap();
    let snapshot = publish(&Store::open(folder.path()).unwrap());
    let (definition, everybody) = (definition(), everybody(&snapshot));
    // Buyers of one day, so that neither all nor none buy; amounts with and without the days before.
    let asked = [how(20261110, None), how(20261106, None), how(20261106, Some(20261101))];
    let (mut rejected, mut held, mut mismatches) = ([[0; 2]; 3], [[0; 2]; 3], 0);
    let mut removed = 0.0;
    for number in 0..EXPERIMENTS {
        let traffic = Slice { salt: "traffic".into(), ranges: vec![Range { from: 0, to: WHOLE }] };
        let salt = format!("experiment {number}");
        let assignment = Assignment { holdout: None, traffic, salt, shares: definition.shares() };
        let groups = split(&snapshot, &everybody, &assignment).unwrap();
        let users: Vec<u64> = groups.iter().map(|users| size(users)).collect();
        assert_eq!(users.iter().sum::<u64>(), size(&everybody));
        mismatches += u32::from(ratio(&users, &definition, none()).unwrap().p_value <= 0.05);
        let sets = [Set { groups, within: users }];
        for (how, (rejected, held)) in asked.iter().zip(rejected.iter_mut().zip(&mut held)) {
            let mut results = compare(&snapshot, &definition, &sets, how, &Control::NONE).unwrap().remove(0);
            assert!(false_discoveries(&mut results).is_some());
            for (metric, (rejected, held)) in results.iter().zip(rejected.iter_mut().zip(held)) {
                let told: &Comparison = metric.groups[1].against_control.as_ref().unwrap();
                *rejected += u32::from(told.p_value <= 0.05);
                *held += u32::from(told.low <= 0.0 && 0.0 <= told.high);
                removed += told.variance_removed.unwrap_or(0.0) / f64::from(2 * EXPERIMENTS);
            }
        }
    }
    assert!(nominal(mismatches), "{mismatches} sample ratio mismatches");
    let sound = rejected.iter().flatten().all(|rejected| nominal(*rejected))
        && held.iter().flatten().all(|held| nominal(EXPERIMENTS - *held));
    assert!(sound, "rejected {rejected:?}, held {held:?}");
    assert!(removed > 0.05, "the days before explain {removed} of the variance");
}
