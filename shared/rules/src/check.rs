//! From a rule to a plan: first every name is looked up, then the day is settled, then every window.

use muster_days::Ds;

use crate::caps::Caps;
use crate::catalogue::Catalogue;
use crate::codes;
use crate::conditions::{cohort, event, label, segment};
use crate::crowds;
use crate::freshness::Freshness;
use crate::nearest::nearest;
use crate::normalise::normalise;
use crate::plan::{Leaf, Node, Plan, Test};
use crate::pointer::At;
use crate::problem::{Problem, Problems, Warning, refused};
use crate::rule::{Condition, Rule};

/// Warnings reported for one rule; the last one says when there were more.
const MOST_WARNINGS: usize = 100;

/// A rule that can be run, and what its author should know about the answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Normalised.
    pub plan: Plan,
    pub warnings: Vec<Warning>,
    /// The universe first (unless it is `all`), then every condition in the order written.
    pub freshness: Vec<Freshness>,
}

/// Turns names into codes and windows into published days. Needs no more than what `catalogue` tells; the
/// same rule and catalogue always give the same plan.
pub fn check(rule: &Rule, catalogue: &dyn Catalogue, caps: &Caps) -> Result<Checked, Vec<Problem>> {
    let mut names = Names { catalogue, problems: Problems::default() };
    let crowd = catalogue.crowd(&rule.universe);
    let universe = crowds::resolve(&mut names, &rule.universe, crowd.as_ref());
    let mut parts = Vec::new();
    let root = names.resolve(&rule.root, &At::root().key("where"), &mut parts);
    let universe = names.problems.finish(universe)?;

    let Some(as_of) =
        rule.as_of.or_else(|| newest_of(&parts).max(universe.newest())).or_else(|| catalogue.newest())
    else {
        let detail =
            "the app has published nothing yet, so there is no day to look from: import data or give `as_of`";
        return refused(codes::NO_DATA, detail);
    };

    let mut dating = Dating::new(as_of, catalogue, caps);
    let universe = universe.date(&mut dating);
    let leaves = parts.into_iter().map(|part| part.date(&mut dating)).collect();
    let plan = Plan { universe, as_of, root: normalise(root), leaves };
    let Dating { problems, mut warnings, freshness, more_warnings, .. } = dating;
    if more_warnings > 0 {
        let detail = format!("{more_warnings} more warnings are not shown");
        warnings.push(Warning { pointer: String::new(), code: codes::MORE_WARNINGS, detail });
    }
    problems.finish(Some(Checked { plan, warnings, freshness }))
}

/// The newest day that any of the parts is published for.
pub(crate) fn newest_of(parts: &[Part]) -> Option<Ds> {
    let newest = parts.iter().filter_map(|part| match &part.kind {
        Kind::Label(label) => label.info.published.last().copied(),
        Kind::Event(event) => event.info.published.last().copied(),
        Kind::Cohort(cohort) => Some(cohort.info.ds),
        Kind::Made(made) => made.newest,
    });
    newest.max()
}

/// A condition whose names are known, before the rule has a day.
pub(crate) struct Part<'r> {
    pub pointer: String,
    kind: Kind<'r>,
}

enum Kind<'r> {
    Label(label::Resolved<'r>),
    Event(event::Resolved<'r>),
    Cohort(cohort::Resolved<'r>),
    Made(segment::Resolved<'r>),
}

impl Part<'_> {
    pub fn date(self, dating: &mut Dating) -> Leaf {
        let test: Test = match self.kind {
            Kind::Label(label) => label.date(&self.pointer, dating),
            Kind::Event(event) => event.date(&self.pointer, dating),
            Kind::Cohort(cohort) => cohort.date(&self.pointer, dating),
            Kind::Made(made) => made.date(&self.pointer, dating),
        };
        Leaf { pointer: self.pointer, test }
    }
}

/// The first pass: names.
pub(crate) struct Names<'c> {
    pub catalogue: &'c dyn Catalogue,
    pub problems: Problems,
}

impl<'c> Names<'c> {
    /// The tree over numbered leaves. A condition with a problem leaves an empty group in its place: the
    /// tree is thrown away then.
    pub fn resolve<'r>(&mut self, condition: &'r Condition, at: &At, parts: &mut Vec<Part<'r>>) -> Node
    where
        'c: 'r,
    {
        let kind = match condition {
            Condition::All(items) => return Node::All(self.resolve_list(items, &at.key("all"), parts)),
            Condition::Any(items) => return Node::Any(self.resolve_list(items, &at.key("any"), parts)),
            Condition::Not(inner) => {
                return Node::Not(Box::new(self.resolve(inner, &at.key("not"), parts)));
            }
            Condition::Label(condition) => label::resolve(self, condition, at).map(Kind::Label),
            Condition::Event(condition) => event::resolve(self, condition, at).map(Kind::Event),
            Condition::Cohort(id) => cohort::resolve(self, id, at).map(Kind::Cohort),
            Condition::Segment(id) => segment::resolve(self, id, at).map(Kind::Made),
            Condition::List(id) => segment::resolve_list(self, id, at).map(Kind::Made),
        };
        let Some(kind) = kind else { return Node::Any(Vec::new()) };
        parts.push(Part { pointer: at.to_string(), kind });
        Node::Leaf(parts.len() - 1)
    }

    fn resolve_list<'r>(&mut self, items: &'r [Condition], at: &At, parts: &mut Vec<Part<'r>>) -> Vec<Node>
    where
        'c: 'r,
    {
        items.iter().enumerate().map(|(n, item)| self.resolve(item, &at.index(n), parts)).collect()
    }

    /// Notes an unknown name with the known one it looks most like.
    pub fn unknown(&mut self, at: &At, code: &'static str, detail: String, name: &str, known: Vec<String>) {
        if self.problems.full() {
            return;
        }
        let nearest = nearest(name, known);
        let detail = match &nearest {
            Some(nearest) => format!("{detail}; did you mean `{nearest}`?"),
            None => detail,
        };
        self.problems.push_nearest(at, code, detail, nearest);
    }
}

/// The second pass: days. Collects what the answer says about itself.
pub(crate) struct Dating<'c> {
    pub as_of: Ds,
    pub catalogue: &'c dyn Catalogue,
    pub caps: &'c Caps,
    pub problems: Problems,
    pub freshness: Vec<Freshness>,
    warnings: Vec<Warning>,
    more_warnings: usize,
}

impl<'c> Dating<'c> {
    fn new(as_of: Ds, catalogue: &'c dyn Catalogue, caps: &'c Caps) -> Dating<'c> {
        let (problems, freshness, warnings) = (Problems::default(), Vec::new(), Vec::new());
        Dating { as_of, catalogue, caps, problems, freshness, warnings, more_warnings: 0 }
    }

    pub fn warn(&mut self, pointer: impl Into<String>, code: &'static str, detail: String) {
        if self.warnings.len() < MOST_WARNINGS {
            self.warnings.push(Warning { pointer: pointer.into(), code, detail });
        } else {
            self.more_warnings += 1;
        }
    }
}
