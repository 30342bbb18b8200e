//! Simplifies the tree of a plan without changing an answer: fewer nodes for the evaluator to visit.

use crate::plan::Node;

/// Flattens `all` in `all` and `any` in `any`, unwraps groups of one, and removes double negation. Leaves
/// keep their numbers.
pub fn normalise(node: Node) -> Node {
    match node {
        Node::All(items) => {
            let flat = flatten(items, |node| if let Node::All(inner) = node { Ok(inner) } else { Err(node) });
            only(flat).unwrap_or_else(Node::All)
        }
        Node::Any(items) => {
            let flat = flatten(items, |node| if let Node::Any(inner) = node { Ok(inner) } else { Err(node) });
            only(flat).unwrap_or_else(Node::Any)
        }
        Node::Not(inner) => match normalise(*inner) {
            Node::Not(twice) => *twice,
            other => Node::Not(Box::new(other)),
        },
        leaf @ Node::Leaf(_) => leaf,
    }
}

fn flatten(items: Vec<Node>, same: impl Fn(Node) -> Result<Vec<Node>, Node>) -> Vec<Node> {
    let mut flat = Vec::with_capacity(items.len());
    for item in items {
        match same(normalise(item)) {
            Ok(inner) => flat.extend(inner),
            Err(other) => flat.push(other),
        }
    }
    flat
}

fn only(mut nodes: Vec<Node>) -> Result<Node, Vec<Node>> {
    match (nodes.pop(), nodes.is_empty()) {
        (Some(node), true) => Ok(node),
        (Some(node), false) => {
            nodes.push(node);
            Err(nodes)
        }
        (None, _) => Err(nodes),
    }
}

#[cfg(test)]
mod tests {
    use rand::rngs::StdRng;
    use rand::{Rng, SeedableRng};

    use super::Node::{All, Any, Leaf, Not};
    use super::*;

    fn not(node: Node) -> Node {
        Not(Box::new(node))
    }

    #[test]
    fn flattens_unwraps_and_cancels() {
        let tree = All(vec![
            All(vec![Leaf(0), Any(vec![Leaf(1)])]),
            not(not(All(vec![Leaf(2), All(vec![])]))),
            Any(vec![Any(vec![Leaf(3), Leaf(4)]), not(Leaf(5))]),
        ]);
        let expected = All(vec![Leaf(0), Leaf(1), Leaf(2), Any(vec![Leaf(3), Leaf(4), not(Leaf(5))])]);
        assert_eq!(normalise(tree), expected);
        assert_eq!(normalise(not(not(not(Any(vec![]))))), not(Any(vec![])));
    }

    fn holds(node: &Node, truth: u32) -> bool {
        match node {
            All(items) => items.iter().all(|item| holds(item, truth)),
            Any(items) => items.iter().any(|item| holds(item, truth)),
            Not(inner) => !holds(inner, truth),
            Leaf(n) => truth >> n & 1 == 1,
        }
    }

    fn random(rng: &mut StdRng, depth: u32) -> Node {
        let items = |rng: &mut StdRng| (0..rng.random_range(0..4)).map(|_| random(rng, depth - 1)).collect();
        match if depth == 0 { 3 } else { rng.random_range(0..4) } {
            0 => All(items(rng)),
            1 => Any(items(rng)),
            2 => not(random(rng, depth - 1)),
            _ => Leaf(rng.random_range(0..5)),
        }
    }

    #[test]
    fn the_answer_is_the_same_for_every_truth() {
        let mut rng = StdRng::seed_from_u64(7);
        for _ in 0..2_000 {
            let tree = random(&mut rng, 5);
            let simple = normalise(tree.clone());
            for truth in 0..32 {
                assert_eq!(holds(&tree, truth), holds(&simple, truth), "{tree:?} became {simple:?}");
            }
            assert_eq!(normalise(simple.clone()), simple, "a second pass finds nothing to do");
        }
    }
}
