//! What an evaluator runs: names turned into codes, windows into published days.

use std::collections::BTreeSet;

use muster_days::Ds;

use crate::compare::Compare;

/// A checked rule. Every user of the universe either satisfies `root` or does not.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Plan {
    pub universe: Universe,
    pub as_of: Ds,
    pub root: Node,
    /// Every condition of the rule, in the order written, whether or not `root` still depends on it.
    pub leaves: Vec<Leaf>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Universe {
    /// Every user that a label or an event has ever named.
    All,
    /// Users with at least one row of any of these events on any of its (published, sorted) days.
    Crowd { name: String, events: Vec<(String, Vec<Ds>)> },
    /// Users who satisfy the rule of a base crowd of the app's own.
    Defined { name: String, plan: Box<Plan> },
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Node {
    /// The whole universe when empty.
    All(Vec<Node>),
    /// Nobody when empty.
    Any(Vec<Node>),
    Not(Box<Node>),
    /// Index in [`Plan::leaves`].
    Leaf(usize),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Leaf {
    /// JSON pointer of the condition in the rule, such as `/where/all/0`.
    pub pointer: String,
    pub test: Test,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Test {
    /// Carries any of `tags` (sorted codes) on `ds`; `None`: any tag of the label at all. With `negate`,
    /// the complement in the universe. Without `ds` nobody carries anything.
    Tags { label: i64, ds: Option<Ds>, tags: Option<Vec<i64>>, negate: bool },
    /// Has, on `ds`, a pair with one of `tags` (`None`: any tag) whose weight satisfies `compare`.
    Weight { label: i64, ds: Option<Ds>, tags: Option<Vec<i64>>, compare: Compare },
    /// The measure over the rows of `event` on `days` (published, sorted) that pass all `filters`
    /// satisfies `compare`; a user without such a row has a total of 0.
    Event { event: String, days: Vec<Ds>, filters: Vec<Filter>, measure: Measure, compare: Compare },
    /// Is a member of the cohort.
    Cohort { id: String },
}

/// One test of one dimension; several on one dimension must all hold, on the same row.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Filter {
    pub dimension: String,
    pub matcher: Matcher,
}

/// Holds only for rows that carry the dimension, `NotIn` too.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Matcher {
    In(BTreeSet<String>),
    NotIn(BTreeSet<String>),
    Contains(String),
    Prefix(String),
    /// Compiles with [`crate::compile_regex`]; matches anywhere in the value unless anchored.
    Regex(String),
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Measure {
    /// Sum of `pv`.
    Pv,
    /// Number of distinct days with a row.
    Days,
    /// Sum of a measure column, such as `m_amount`.
    Sum(String),
}
