//! Crowds by tags in one pass: each cell is what its rule says alone.

use std::collections::BTreeSet;
use std::sync::Arc;

use muster_days::Ds;
use muster_evaluator::{Control, EvaluationError, Matrix, MatrixCounts, SnapshotCatalogue, Weights, earlier};
use muster_profile_store::{LabelPart, Snapshot};
use muster_rules::{Caps, Catalogue, Rule, Universe, check, parse};
use rand::SeedableRng;
use rand::rngs::StdRng;

use crate::app::{App, bind};
use crate::random::random_app;

pub fn rule(crowd: &str, ds: Ds, condition: &str) -> Rule {
    let text = format!(r#"{{"universe": "{crowd}", "as_of": {ds}, "where": {condition}}}"#);
    parse(text.as_bytes(), &Caps::default()).unwrap()
}

pub fn universe(snapshot: &Snapshot, crowd: &str, ds: Ds) -> Universe {
    let rule = rule(crowd, ds, r#"{"all": []}"#);
    check(&rule, &SnapshotCatalogue::new(snapshot), &Caps::default()).unwrap().plan.universe
}

/// Every label with a day at or before `ds`, on the newest such day.
fn parts(snapshot: &Snapshot, ds: Ds) -> Vec<Arc<LabelPart>> {
    let labels = snapshot.manifest().labels.iter();
    let newest = labels.filter_map(|(&label, entry)| Some((label, *entry.days.range(..=ds).next_back()?.0)));
    newest.map(|(label, day)| snapshot.label(label, day).unwrap().unwrap()).collect()
}

/// Answers how many cells hold somebody but not the whole crowd.
fn check_day(app: &App, snapshot: &Arc<Snapshot>, crowds: &[String], ds: Ds) -> usize {
    let universes: Vec<Universe> = crowds.iter().map(|crowd| universe(snapshot, crowd, ds)).collect();
    let matrix = Matrix::new(&universes, &[], parts(snapshot, ds), snapshot.clone()).unwrap();
    let MatrixCounts { crowds: sizes, labels, .. } = matrix.counts(&Control::NONE).unwrap();
    let mut telling = 0;
    for (c, crowd) in crowds.iter().enumerate() {
        let count = |condition: &str| {
            let bound = bind(&rule(crowd, ds, condition), snapshot, &app.rows.made);
            bound.count(&Control::NONE).unwrap()
        };
        assert_eq!(sizes[c], count(r#"{"all": []}"#), "{crowd} on {ds}");
        let everybody = rule(crowd, ds, r#"{"all": []}"#);
        let expected = app.rows.outcome(&everybody).unwrap();
        assert_eq!(sizes[c], expected.universe.len() as u64, "{crowd} on {ds}");
        for (part, counts) in parts(snapshot, ds).iter().zip(&labels) {
            let label = part.meta().label;
            assert!(counts.tags.iter().eq(part.meta().tags.keys()));
            for (tag, users) in counts.tags.iter().zip(&counts.users[c]) {
                let alone = count(&format!(r#"{{"label": {label}, "in": [{tag}]}}"#));
                assert_eq!(*users, alone, "{crowd}, tag {tag} of {label} on {ds}");
                telling += usize::from(alone > 0 && alone < sizes[c]);
            }
            let any = format!(r#"{{"label": {label}, "in": {:?}}}"#, counts.tags);
            let carrying = if counts.tags.is_empty() { 0 } else { count(&any) };
            assert_eq!(counts.carrying[c], carrying, "{crowd}, {label} on {ds}");
            let weights = app.rows.weights_of(label, ds, &expected.universe);
            let weights: Vec<(i64, Weights)> =
                weights.into_iter().map(|(tag, (users, sum))| (tag, Weights { users, sum })).collect();
            let tags = counts.weighted.iter().map(|place| counts.tags[*place]);
            let counted = tags.zip(counts.weights[c].iter().copied());
            let counted: Vec<(i64, Weights)> = counted.filter(|(_, weights)| weights.users > 0).collect();
            assert_eq!(counted, weights, "{crowd}, weights of {label} on {ds}");
        }
    }
    telling
}

#[test]
fn every_cell_is_its_rule() {
    for (seed, users, buckets) in [(61, 300, 16), (62, 3_000, 2), (63, 9_000, 1)] {
        let app = random_app(&mut StdRng::seed_from_u64(seed), users, buckets);
        let snapshot = app.snapshot();
        let mut crowds = SnapshotCatalogue::new(&snapshot).crowd_names();
        crowds.push("all".to_owned());
        let events = snapshot.manifest().events.values();
        let days: BTreeSet<Ds> = events.flat_map(|event| event.days.keys().copied()).collect();
        let telling: usize = days.iter().step_by(3).map(|ds| check_day(&app, &snapshot, &crowds, *ds)).sum();
        assert!(telling > 50, "only {telling} cells tell anything (seed {seed})");
    }
}

#[test]
fn whoever_was_there_before_returns() {
    for (seed, users, buckets) in [(65, 300, 16), (66, 3_000, 2)] {
        let app = random_app(&mut StdRng::seed_from_u64(seed), users, buckets);
        let snapshot = app.snapshot();
        let catalogue = SnapshotCatalogue::new(&snapshot);
        let newest = catalogue.newest().unwrap();
        let mut both = 0;
        for ds in newest.plus(-12).through(newest.plus(190)).step_by(3) {
            for crowd in catalogue.crowd_names() {
                let Some(before) = earlier(&catalogue, &crowd, ds) else {
                    assert_eq!(app.rows.earlier(&crowd, ds), None, "{crowd} on {ds}");
                    continue;
                };
                let (from, users) = app.rows.earlier(&crowd, ds).unwrap();
                assert_eq!(before.from, from, "{crowd} on {ds}");
                let crowds = [Universe::All, universe(&snapshot, &crowd, ds)];
                let matrix = Matrix::new(&crowds, &[(1, before.users)], Vec::new(), snapshot.clone());
                let counts = matrix.unwrap().counts(&Control::NONE).unwrap();
                let everybody = rule(&crowd, ds, r#"{"all": []}"#);
                let expected = app.rows.outcome(&everybody).unwrap().universe;
                let returning = expected.intersection(&users).count();
                assert_eq!(counts.returning, [returning as u64], "{crowd} on {ds}");
                assert_eq!(counts.crowds[1], expected.len() as u64, "{crowd} on {ds}");
                both += usize::from(0 < returning && returning < expected.len());
            }
        }
        assert!(both >= 5, "only {both} crowds have new users and old (seed {seed})");
    }
}

#[test]
fn it_stops_when_told_to() {
    let app = random_app(&mut StdRng::seed_from_u64(64), 100, 4);
    let matrix = Matrix::new(&[Universe::All], &[], Vec::new(), app.snapshot()).unwrap();
    let control = Control { stopped: &|| true, progress: &|_| {} };
    assert!(matches!(matrix.counts(&control), Err(EvaluationError::Stopped)));
}
