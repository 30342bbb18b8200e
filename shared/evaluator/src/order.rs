//! In which order the conditions of an `all` are evaluated: what is cheap and leaves few users goes first,
//! because a block is left as soon as nobody remains in it.

use muster_rules::Node;

/// What is expected of a condition or of a part of the tree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Outlook {
    /// Bytes that have to be read.
    pub cost: f64,
    /// Share of the users that satisfy it.
    pub share: f64,
}

/// `node` with the parts of every `all` in the best order; the order of an `any` changes nothing.
pub(crate) fn ordered(node: &Node, leaf: &dyn Fn(usize) -> Outlook) -> Node {
    order(node, leaf).0
}

fn order(node: &Node, leaf: &dyn Fn(usize) -> Outlook) -> (Node, Outlook) {
    let parts =
        |nodes: &[Node]| -> Vec<(Node, Outlook)> { nodes.iter().map(|node| order(node, leaf)).collect() };
    let cost = |parts: &[(Node, Outlook)]| parts.iter().map(|(_, outlook)| outlook.cost).sum();
    match node {
        Node::Leaf(index) => (node.clone(), leaf(*index)),
        Node::Not(inner) => {
            let (inner, Outlook { cost, share }) = order(inner, leaf);
            (Node::Not(Box::new(inner)), Outlook { cost, share: 1.0 - share })
        }
        Node::All(nodes) => {
            let mut parts = parts(nodes);
            // The price of each user that it takes out.
            let price = |outlook: &Outlook| (outlook.cost + 1.0) / (1.0 - outlook.share).max(1e-6);
            parts.sort_by(|(_, a), (_, b)| price(a).total_cmp(&price(b)));
            let share = parts.iter().map(|(_, outlook)| outlook.share).product();
            let outlook = Outlook { cost: cost(&parts), share };
            (Node::All(parts.into_iter().map(|(node, _)| node).collect()), outlook)
        }
        Node::Any(nodes) => {
            let parts = parts(nodes);
            let nobody: f64 = parts.iter().map(|(_, outlook)| 1.0 - outlook.share).product();
            let outlook = Outlook { cost: cost(&parts), share: 1.0 - nobody };
            (Node::Any(parts.into_iter().map(|(node, _)| node).collect()), outlook)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cheap_and_rare_goes_first() {
        let outlooks = [(100.0, 0.5), (10.0, 0.5), (10.0, 0.01), (1.0, 0.999)];
        let leaf = |index: usize| Outlook { cost: outlooks[index].0, share: outlooks[index].1 };
        let check = |node: Node, expected: Node| assert_eq!(ordered(&node, &leaf), expected);
        let all = |leaves: &[usize]| Node::All(leaves.iter().map(|&leaf| Node::Leaf(leaf)).collect());
        check(all(&[0, 1, 2, 3]), all(&[2, 1, 0, 3]));
        // What is common is rare when negated, and the other way round.
        let not = |leaf| Node::Not(Box::new(Node::Leaf(leaf)));
        check(Node::All(vec![not(2), not(3)]), Node::All(vec![not(3), not(2)]));
        check(Node::Any(vec![all(&[0, 1])]), Node::Any(vec![all(&[1, 0])]));
    }
}
