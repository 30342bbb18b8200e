//! An app with users enough for several blocks.

use muster_evaluator::oracle::{EventRow, LabelRow};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::app::{App, Part, ds};

/// Three blocks in one bucket, the last one begun: dense, sparse and empty ones, and users on both sides
/// of every edge. Those beside edges, and some others, are named.
pub fn app_of_blocks(rng: &mut StdRng) -> (App, Vec<String>) {
    const BLOCK: usize = 65_536;
    let users: Vec<String> = (0..2 * BLOCK + 1_000).map(|n| format!("u{n}")).collect();
    let mut app = App::new(1);
    // Everyone in order of their numbers, so that user n has ordinal n.
    let row = |n: usize, tag: i64, weight| LabelRow {
        user: users[n].clone(),
        tag,
        tag_name: format!("tag {tag}"),
        weight,
    };
    let thirds = (0..users.len()).map(|n| row(n, n as i64 % 3, None)).collect();
    app.publish(vec![Part::Label { ds: ds(20261101), id: 1, name: "third".into(), rows: thirds }]);
    let edges: Vec<usize> = (0..users.len()).filter(|n| (n + 40) % BLOCK < 80 || n % 997 == 0).collect();
    let sparse = edges.iter().map(|n| row(*n, 0, Some(rng.random_range(-9..9)))).collect();
    let visits = |rng: &mut StdRng, users_in: &mut dyn Iterator<Item = usize>| -> Vec<EventRow> {
        let page = |rng: &mut StdRng| ["/sale", "/home"].choose(rng).unwrap().to_string();
        users_in
            .map(|n| EventRow {
                user: users[n].clone(),
                dimensions: [("page".to_owned(), page(rng))].into(),
                pv: rng.random_range(0..4),
                measures: [("m_amount".to_owned(), rng.random_range(-50..50))].into(),
            })
            .collect()
    };
    let visit = |day, rows| Part::Event {
        ds: ds(day),
        event: "visit".into(),
        dimensions: vec!["page".into()],
        measures: vec!["m_amount".into()],
        rows,
    };
    app.publish(vec![
        Part::Label { ds: ds(20261030), id: 2, name: "sparse".into(), rows: sparse },
        visit(20261029, Vec::new()),
        visit(20261028, visits(rng, &mut (0..users.len()).step_by(3))),
        visit(20261027, visits(rng, &mut edges.iter().copied())),
        visit(20261026, visits(rng, &mut (BLOCK..2 * BLOCK).step_by(5))),
        visit(20261101, visits(rng, &mut edges.iter().copied())),
        visit(20261031, visits(rng, &mut (BLOCK - 5..BLOCK + 20_000).step_by(2))),
        visit(20261030, visits(rng, &mut (2 * BLOCK - 3..users.len()))),
    ]);
    app.write_cohort("coh_edges", ds(20261101), edges.iter().map(|n| users[*n].clone()).collect());
    assert_eq!(app.snapshot().directory().users_in(0) as usize, users.len());
    (app, edges.iter().map(|n| users[*n].clone()).collect())
}
