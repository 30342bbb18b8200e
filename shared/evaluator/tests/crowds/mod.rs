//! Crowds of every kind, and who is in them.

use std::collections::BTreeSet;
use std::sync::Arc;

use muster_days::Ds;
use muster_evaluator::SnapshotCatalogue;
use muster_profile_store::Snapshot;
use muster_rules::{Catalogue, Leaf, Node, Plan, Test, Universe};
use rand::rngs::StdRng;

use crate::app::{App, bind};
use crate::matrix::{rule, universe};
use crate::random::{random_rule, words};

pub struct Crowd<'a> {
    pub name: String,
    pub universe: Universe,
    pub users: BTreeSet<&'a str>,
}

/// Everybody, nobody, the app's base crowds as of its newest day, its cohorts, and those whom some random
/// rules hold for.
pub fn crowds<'a>(app: &'a App, snapshot: &Arc<Snapshot>, rng: &mut StdRng) -> Vec<Crowd<'a>> {
    let catalogue = SnapshotCatalogue::new(snapshot);
    let newest = catalogue.newest().unwrap();
    let mut crowds = vec![Crowd {
        name: "nobody".to_owned(),
        universe: Universe::Crowd { name: "nobody".to_owned(), events: Vec::new() },
        users: BTreeSet::new(),
    }];
    let base = ["all".to_owned()].into_iter().chain(catalogue.crowd_names());
    crowds.extend(base.filter(|name| !name.ends_with("180d")).map(|name| Crowd {
        universe: universe(snapshot, &name, newest),
        users: users(app, &name, newest),
        name,
    }));
    crowds.extend(app.rows.cohorts.iter().map(|(id, (ds, members))| Crowd {
        name: id.clone(),
        universe: defined(cohort(id, *ds)),
        users: members.iter().map(String::as_str).collect(),
    }));
    let words = words(&app.rows);
    for _ in 0..3 {
        let rule = random_rule(rng, &words);
        let members = app.rows.outcome(&rule).unwrap().members;
        let users = app.rows.users.iter().map(String::as_str).filter(|user| members.contains(user)).collect();
        let plan = bind(&rule, snapshot, &app.rows.made).plan().clone();
        crowds.push(Crowd { name: rule.to_json(), universe: defined(plan), users });
    }
    crowds
}

fn users<'a>(app: &'a App, crowd: &str, ds: Ds) -> BTreeSet<&'a str> {
    let rule = rule(crowd, ds, r#"{"all": []}"#);
    let found = app.rows.outcome(&rule).unwrap().universe;
    app.rows.users.iter().map(String::as_str).filter(|user| found.contains(user)).collect()
}

fn defined(plan: Plan) -> Universe {
    Universe::Defined { name: "defined".to_owned(), plan: Box::new(plan) }
}

/// Whoever is a member.
fn cohort(id: &str, as_of: Ds) -> Plan {
    let leaf = Leaf { pointer: "/where".to_owned(), test: Test::Cohort { id: id.to_owned() } };
    Plan { universe: Universe::All, as_of, root: Node::Leaf(0), leaves: vec![leaf] }
}
