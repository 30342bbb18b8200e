//! Every region of cohorts that lie in each other holds whom its sets say.

use std::collections::BTreeSet;

use muster_evaluator::{Control, overlap};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::app::ds;
use crate::random::random_app;

#[test]
fn every_region_is_its_set() {
    let mut filled = 0;
    for (seed, users, buckets) in [(81, 300, 16), (82, 3_000, 2), (83, 9_000, 1)] {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut app = random_app(&mut rng, users, buckets);
        let known: Vec<String> = app.rows.users.iter().cloned().collect();
        let mut ids = Vec::new();
        for (n, share) in [0.5, 0.1, 0.9, 0.0, 0.02, 1.0].into_iter().enumerate() {
            let members = known.iter().filter(|_| rng.random_bool(share)).cloned().collect();
            ids.push(format!("coh_{n}"));
            app.write_cohort(&ids[n], ds(20261101), members);
        }
        let snapshot = app.snapshot();
        for some in 0..=ids.len() {
            let ids = &ids[..some];
            let regions = overlap(&snapshot, ids, &Control::NONE).unwrap();
            let members: Vec<&BTreeSet<String>> = ids.iter().map(|id| &app.rows.cohorts[id].1).collect();
            let mut expected = vec![0; 1 << some];
            for user in &known {
                let bits = members.iter().enumerate().map(|(n, of)| usize::from(of.contains(user)) << n);
                expected[bits.sum::<usize>()] += 1;
            }
            assert_eq!(regions, expected, "{some} cohorts, seed {seed}");
            filled += regions.iter().filter(|users| **users > 0).count();
        }
    }
    assert!(filled > 50, "only {filled} regions have anybody");
}
