//! The conditions of a rule over plain rows: what each user's rows say, and whether that is enough.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use muster_days::Ds;
use muster_rules::{Compare, EventCondition, Key, LabelCondition, LabelTest, Measure, ValueTest, Window};
use regex::Regex;

use super::{EventRow, Label, LabelRow, Rows};
use crate::explain::{Carried, Evidence, Weighed};

/// One condition.
#[derive(Debug)]
pub struct Leaf<'a> {
    /// All users that satisfy it, outside the rule's universe, too.
    pub holds: BTreeSet<&'a str>,
    /// What the rows say about those users that have any.
    evidence: HashMap<&'a str, Evidence>,
    /// What is said about the others.
    nothing: Evidence,
}

/// User → tag → the last row of the two.
type CarriedRows<'a> = HashMap<&'a str, BTreeMap<i64, &'a LabelRow>>;

/// Tag codes; None: every tag.
type Wanted = Option<BTreeSet<i64>>;

impl Leaf<'_> {
    /// What the user's rows say about the condition.
    pub fn evidence(&self, user: &str) -> &Evidence {
        self.evidence.get(user).unwrap_or(&self.nothing)
    }
}

impl Rows {
    fn leaf<'a>(
        &'a self,
        evidence: HashMap<&'a str, Evidence>,
        nothing: Evidence,
        enough: impl Fn(&Evidence) -> bool,
    ) -> Leaf<'a> {
        let mut leaf = Leaf { holds: BTreeSet::new(), evidence, nothing };
        leaf.holds =
            self.users.iter().map(String::as_str).filter(|user| enough(leaf.evidence(user))).collect();
        leaf
    }

    pub(super) fn label(&self, condition: &LabelCondition, as_of: Ds) -> Leaf<'_> {
        let label = self.find_label(&condition.label).expect("a known label");
        let day = label.days.range(..=as_of).next_back();
        let mut carried = CarriedRows::new();
        for row in day.into_iter().flat_map(|(_, rows)| rows) {
            carried.entry(&row.user).or_default().insert(row.tag, row);
        }
        match &condition.test {
            LabelTest::In(tags) => self.tags(carried, Some(codes(label, tags)), false),
            LabelTest::NotIn(tags) => self.tags(carried, Some(codes(label, tags)), true),
            LabelTest::Set(set) => self.tags(carried, None, !set),
            LabelTest::Weight { tags, compare } => {
                let wanted = tags.as_ref().map(|tags| codes(label, tags));
                self.weights(carried, wanted, *compare)
            }
        }
    }

    fn tags<'a>(&'a self, carried: CarriedRows<'a>, wanted: Wanted, negate: bool) -> Leaf<'a> {
        let tag = |row: &&LabelRow| Carried { tag: row.tag, name: row.tag_name.clone() };
        let said = |rows: BTreeMap<i64, &LabelRow>| Evidence::Tags(rows.values().map(tag).collect());
        let evidence = carried.into_iter().map(|(user, rows)| (user, said(rows))).collect();
        self.leaf(evidence, Evidence::Tags(Vec::new()), |evidence| match evidence {
            Evidence::Tags(tags) => tags.iter().any(|carried| is_wanted(&wanted, carried.tag)) != negate,
            _ => false,
        })
    }

    fn weights<'a>(&'a self, carried: CarriedRows<'a>, wanted: Wanted, compare: Compare) -> Leaf<'a> {
        let weighed = |row: &&LabelRow| {
            let weight = row.weight.filter(|_| is_wanted(&wanted, row.tag))?;
            Some(Weighed { tag: row.tag, name: row.tag_name.clone(), weight })
        };
        let said =
            |rows: BTreeMap<i64, &LabelRow>| Evidence::Weights(rows.values().filter_map(weighed).collect());
        let evidence = carried.into_iter().map(|(user, rows)| (user, said(rows))).collect();
        self.leaf(evidence, Evidence::Weights(Vec::new()), |evidence| match evidence {
            Evidence::Weights(weights) => weights.iter().any(|weighed| holds(compare, weighed.weight.into())),
            _ => false,
        })
    }

    pub(super) fn event(&self, condition: &EventCondition, as_of: Ds) -> Leaf<'_> {
        let days = self.events.get(&condition.event).expect("a known event");
        let filters = filters(condition);
        let mut totals: HashMap<&str, i128> = HashMap::new();
        for (_, rows) in days.iter().filter(|(ds, _)| within(condition.window, **ds, as_of)) {
            let mut seen = BTreeSet::new();
            for row in rows.iter().filter(|row| filters.iter().all(|filter| passes(row, filter))) {
                *totals.entry(&row.user).or_default() += match &condition.measure {
                    Measure::Pv => i128::from(row.pv),
                    Measure::Days => i128::from(seen.insert(row.user.as_str())),
                    Measure::Sum(name) => i128::from(row.measures.get(name).copied().unwrap_or(0)),
                };
            }
        }
        let evidence = totals.into_iter().map(|(user, total)| (user, Evidence::Total(total)));
        self.leaf(evidence.collect(), Evidence::Total(0), |evidence| match evidence {
            Evidence::Total(total) => holds(condition.compare, *total),
            _ => false,
        })
    }

    pub(super) fn cohort(&self, id: &str) -> Leaf<'_> {
        let (_, members) = self.cohorts.get(id).expect("a known cohort");
        let evidence = members.iter().map(|user| (user.as_str(), Evidence::Member(true)));
        self.leaf(evidence.collect(), Evidence::Member(false), |evidence| *evidence == Evidence::Member(true))
    }
}

fn is_wanted(wanted: &Wanted, tag: i64) -> bool {
    wanted.as_ref().is_none_or(|codes| codes.contains(&tag))
}

/// The codes that the keys mean: a name is tried as a name first, then as a code.
fn codes(label: &Label, keys: &[Key]) -> BTreeSet<i64> {
    let mut codes = BTreeSet::new();
    for key in keys {
        match key {
            Key::Code(code) => _ = codes.insert(*code),
            Key::Name(name) => {
                let mut named = label.tags.iter().filter(|(_, known)| *known == name).peekable();
                if named.peek().is_none() {
                    codes.extend(name.parse::<i64>().ok());
                }
                codes.extend(named.map(|(code, _)| *code));
            }
        }
    }
    codes
}

fn within(window: Window, ds: Ds, as_of: Ds) -> bool {
    let ago = as_of.days_since(ds);
    let inside = match window {
        Window::Open => true,
        Window::LastDays(days) => ago < i64::from(days),
        Window::DaysAgo { far, near } => (i64::from(near)..=i64::from(far)).contains(&ago),
        Window::Calendar { from, to } => ds >= from && to.is_none_or(|to| ds <= to),
    };
    inside && ago >= 0
}

/// Every test with its dimension, and its pattern compiled (an empty one where there is none).
fn filters(condition: &EventCondition) -> Vec<(&String, Regex, &ValueTest)> {
    let tests = condition.filters.iter().flat_map(|(name, tests)| tests.iter().map(move |test| (name, test)));
    tests
        .map(|(name, test)| {
            let pattern = if let ValueTest::Regex(pattern) = test { pattern.as_str() } else { "" };
            (name, Regex::new(pattern).expect("a checked pattern"), test)
        })
        .collect()
}

fn passes(row: &EventRow, (dimension, regex, test): &(&String, Regex, &ValueTest)) -> bool {
    let Some(value) = row.dimensions.get(*dimension) else { return false };
    match test {
        ValueTest::In(values) => values.contains(value),
        ValueTest::NotIn(values) => !values.contains(value),
        ValueTest::Contains(part) => value.contains(part),
        ValueTest::Prefix(start) => value.starts_with(start),
        ValueTest::Regex(_) => regex.is_match(value),
    }
}

fn holds(compare: Compare, total: i128) -> bool {
    match compare {
        Compare::Eq(n) => total == n.into(),
        Compare::Ne(n) => total != n.into(),
        Compare::Gt(n) => total > n.into(),
        Compare::Gte(n) => total >= n.into(),
        Compare::Lt(n) => total < n.into(),
        Compare::Lte(n) => total <= n.into(),
        Compare::Between(low, high) => total >= low.into() && total <= high.into(),
    }
}
