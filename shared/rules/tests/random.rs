//! Random rules: the canonical form is stable, checking is total, and no text makes anything panic.

mod shop;

use muster_rules::arbitrary::Arbitrary;
use muster_rules::{Caps, Node, Rule, check, cost, from_value, parse};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

fn random_rule(rng: &mut StdRng) -> Rule {
    let words = shop::shop();
    let mut draw = |bound| rng.random_range(0..bound);
    Arbitrary { words: &words, draw: &mut draw, depth: 4, largest: 20 }.rule()
}

#[test]
fn the_canonical_form_parses_to_the_same_rule() {
    let (mut rng, caps) = (StdRng::seed_from_u64(1), Caps::default());
    for _ in 0..3_000 {
        let rule = random_rule(&mut rng);
        let text = rule.to_json();
        let again = parse(text.as_bytes(), &caps).unwrap_or_else(|problems| panic!("{text}: {problems:#?}"));
        assert_eq!(again, rule, "{text}");
        assert_eq!(again.to_json(), text);
        let value = serde_json::from_str(&text).unwrap();
        assert_eq!(from_value(&value, &caps).as_ref(), Ok(&rule));
        assert!(cost(&rule) >= 1);
    }
}

#[test]
fn every_leaf_points_at_its_condition() {
    let (mut rng, caps, words) = (StdRng::seed_from_u64(2), Caps::default(), shop::shop());
    for _ in 0..2_000 {
        let rule = random_rule(&mut rng);
        let value: serde_json::Value = serde_json::from_str(&rule.to_json()).unwrap();
        let checked = check(&rule, &words, &caps).unwrap_or_else(|problems| panic!("{value}: {problems:#?}"));
        for leaf in &checked.plan.leaves {
            let found = value.pointer(&leaf.pointer).unwrap_or_else(|| panic!("{} in {value}", leaf.pointer));
            let kinds = ["label", "event", "cohort", "segment", "list"];
            assert_eq!(kinds.iter().filter(|kind| found.get(kind).is_some()).count(), 1);
        }
        for warning in &checked.warnings {
            assert!(value.pointer(&warning.pointer).is_some(), "{} in {value}", warning.pointer);
        }
        let conditions = checked.freshness.iter().filter(|part| part.pointer != "/universe");
        assert!(
            conditions.map(|part| &part.pointer).eq(checked.plan.leaves.iter().map(|leaf| &leaf.pointer))
        );
        let mut used = Vec::new();
        leaves(&checked.plan.root, &mut used);
        assert_eq!(used, (0..checked.plan.leaves.len()).collect::<Vec<_>>());
    }
}

fn leaves(node: &Node, found: &mut Vec<usize>) {
    match node {
        Node::All(items) | Node::Any(items) => items.iter().for_each(|item| leaves(item, found)),
        Node::Not(inner) => leaves(inner, found),
        Node::Leaf(n) => found.push(*n),
    }
}

#[test]
fn mutated_texts_are_read_or_refused_but_never_panic() {
    let (mut rng, caps, words) = (StdRng::seed_from_u64(3), Caps::default(), shop::shop());
    let pieces: [&[u8]; 16] = [
        b"{",
        b"}",
        b"[",
        b"]",
        b"\"",
        b",",
        b":",
        b"\\",
        b"-1",
        b"1e400",
        b"null",
        b"\"in\":",
        b"\"where\":",
        b"\xff",
        b"9223372036854775808",
        b"19700101",
    ];
    let (mut read, mut refused) = (0, 0);
    for _ in 0..20_000 {
        let mut text = random_rule(&mut rng).to_json().into_bytes();
        for _ in 0..rng.random_range(1..4) {
            let at = rng.random_range(0..=text.len());
            let until = (at + rng.random_range(0..4)).min(text.len());
            let piece = pieces[rng.random_range(0..pieces.len())];
            match rng.random_range(0..3) {
                0 => drop(text.drain(at..until)),
                1 => drop(text.splice(at..at, piece.iter().copied())),
                _ => drop(text.splice(at..until, piece.iter().copied())),
            }
        }
        match parse(&text, &caps).and_then(|rule| check(&rule, &words, &caps)) {
            Ok(_) => read += 1,
            Err(problems) => {
                assert!((1..=20).contains(&problems.len()), "{}", String::from_utf8_lossy(&text));
                refused += 1;
            }
        }
    }
    assert!(read > 100 && refused > 10_000, "{read} read, {refused} refused");
}

/// Replaces whole values instead of bytes: texts that are JSON but no rules.
#[test]
fn values_in_wrong_places_are_refused_with_a_pointer_that_exists() {
    let (mut rng, caps, words) = (StdRng::seed_from_u64(4), Caps::default(), shop::shop());
    for _ in 0..5_000 {
        let mut value: serde_json::Value = serde_json::from_str(&random_rule(&mut rng).to_json()).unwrap();
        let donor: serde_json::Value = serde_json::from_str(&random_rule(&mut rng).to_json()).unwrap();
        let graft = random_place(&mut donor.clone(), &mut rng).clone();
        *random_place(&mut value, &mut rng) = graft;
        let result = parse(value.to_string().as_bytes(), &caps).and_then(|rule| check(&rule, &words, &caps));
        for problem in result.err().into_iter().flatten() {
            assert!(value.pointer(&problem.pointer).is_some(), "{problem:?} in {value}");
        }
    }
}

fn random_place<'v>(value: &'v mut serde_json::Value, rng: &mut StdRng) -> &'v mut serde_json::Value {
    let mut place = value;
    while rng.random_range(0..4) > 0 {
        let size = place.as_array().map(Vec::len).or(place.as_object().map(|map| map.len())).unwrap_or(0);
        if size == 0 {
            break;
        }
        let n = rng.random_range(0..size);
        place = match place {
            serde_json::Value::Array(items) => &mut items[n],
            serde_json::Value::Object(map) => map.values_mut().nth(n).unwrap(),
            _ => unreachable!(),
        };
    }
    place
}
