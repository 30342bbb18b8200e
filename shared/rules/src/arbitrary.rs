//! Random rules over a vocabulary: for tests that compare evaluators, and for load.

use std::collections::BTreeMap;

use muster_days::Ds;

use crate::caps::Caps;
use crate::compare::Compare;
use crate::conditions::event::EventCondition;
use crate::conditions::filter::ValueTest;
use crate::conditions::label::{Key, LabelCondition, LabelTest};
use crate::conditions::window::Window;
use crate::cost::cost;
use crate::crowds::PREDEFINED;
use crate::plan::Measure;
use crate::rule::{Condition, EVERYONE, Rule};
use crate::vocabulary::{EventWords, LabelWords, Vocabulary};

/// Random rules. `draw(n)` answers a number below `n`; the same draws make the same rule.
pub struct Arbitrary<'a> {
    pub words: &'a Vocabulary,
    pub draw: &'a mut dyn FnMut(u64) -> u64,
    /// Levels of groups; up to 4 keep every rule within the default caps.
    pub depth: usize,
    /// Comparisons are drawn from `-2..=largest`.
    pub largest: i64,
}

impl Arbitrary<'_> {
    /// A rule that `words` accepts, of no more than the default cost. Needs at least one label or event.
    pub fn rule(&mut self) -> Rule {
        loop {
            let rule = self.any_rule();
            if cost(&rule) <= Caps::default().cost {
                return rule;
            }
        }
    }

    fn any_rule(&mut self) -> Rule {
        let universe = match self.below(3) {
            0 => {
                let own = self.words.crowds.keys().map(String::as_str);
                let known: Vec<&str> = PREDEFINED.iter().map(|(name, _)| *name).chain(own).collect();
                *self.pick(&known)
            }
            _ => EVERYONE,
        };
        let as_of = (self.below(3) == 0).then(|| self.day());
        Rule { universe: universe.to_owned(), as_of, root: self.condition(self.depth) }
    }

    /// A condition with at most `depth` levels of groups around its leaves.
    pub fn condition(&mut self, depth: usize) -> Condition {
        match if depth == 0 { 9 } else { self.below(10) } {
            0 | 1 => Condition::All(self.conditions(depth)),
            2 | 3 => Condition::Any(self.conditions(depth)),
            4 | 5 => Condition::Not(Box::new(self.condition(depth - 1))),
            _ => self.leaf(),
        }
    }

    fn conditions(&mut self, depth: usize) -> Vec<Condition> {
        (0..self.below(4)).map(|_| self.condition(depth - 1)).collect()
    }

    fn leaf(&mut self) -> Condition {
        let words = self.words;
        let (labels, events) = (words.labels.len() as u64, words.events.len() as u64);
        if !words.cohorts.is_empty() && self.below(10) == 0 {
            let ids: Vec<&String> = words.cohorts.keys().collect();
            return Condition::Cohort((*self.pick(&ids)).clone());
        }
        if !words.made.segments.is_empty() && self.below(10) == 0 {
            let ids: Vec<&String> = words.made.segments.keys().collect();
            return Condition::Segment((*self.pick(&ids)).clone());
        }
        if !words.made.lists.is_empty() && self.below(10) == 0 {
            let ids: Vec<&String> = words.made.lists.keys().collect();
            return Condition::List((*self.pick(&ids)).clone());
        }
        match self.below(labels + events) {
            n if n < labels => Condition::Label(self.label(&words.labels[n as usize])),
            n => Condition::Event(self.event(&words.events[(n - labels) as usize])),
        }
    }

    fn label(&mut self, label: &LabelWords) -> LabelCondition {
        let tags = (!label.tags.is_empty()).then(|| self.tags(label));
        let test = match (self.below(4), tags) {
            (0, Some(tags)) => LabelTest::In(tags),
            (1, Some(tags)) => LabelTest::NotIn(tags),
            (2, tags) => {
                let tags = tags.filter(|_| self.below(2) == 0);
                LabelTest::Weight { tags, compare: self.compare() }
            }
            _ => LabelTest::Set(self.below(2) == 0),
        };
        let key = if self.below(2) == 0 { Key::Code(label.id) } else { Key::Name(label.name.clone()) };
        LabelCondition { label: key, test }
    }

    fn tags(&mut self, label: &LabelWords) -> Vec<Key> {
        let mut tags = Vec::new();
        for _ in 0..=self.below(3) {
            let (code, name) = self.pick(&label.tags);
            let named = self.below(2) == 0 && !name.is_empty();
            tags.push(if named { Key::Name(name.clone()) } else { Key::Code(*code) });
        }
        tags
    }

    fn event(&mut self, event: &EventWords) -> EventCondition {
        let measure = match self.below(3) {
            0 => Measure::Days,
            1 if !event.measures.is_empty() => Measure::Sum(self.pick(&event.measures).clone()),
            _ => Measure::Pv,
        };
        EventCondition {
            event: event.name.clone(),
            filters: self.filters(event),
            window: self.window(),
            measure,
            compare: self.compare(),
        }
    }

    fn filters(&mut self, event: &EventWords) -> BTreeMap<String, Vec<ValueTest>> {
        let mut filters = BTreeMap::new();
        for (dimension, values) in &event.dimensions {
            let values: Vec<&String> = values.iter().collect();
            if values.is_empty() || self.below(3) > 0 {
                continue;
            }
            let mut tests = Vec::new();
            if self.below(2) == 0 {
                tests.push(ValueTest::In(self.values(&values)));
            }
            if self.below(4) == 0 {
                tests.push(ValueTest::NotIn(self.values(&values)));
            }
            if tests.is_empty() {
                tests.push(self.pattern(&values));
            }
            filters.insert(dimension.clone(), tests);
        }
        filters
    }

    fn values(&mut self, known: &[&String]) -> Vec<String> {
        (0..=self.below(3)).map(|_| (*self.pick(known)).clone()).collect()
    }

    /// A piece of a known value, so that something usually matches.
    fn pattern(&mut self, known: &[&String]) -> ValueTest {
        let value: Vec<char> = self.pick(known).chars().collect();
        let start = self.below(value.len() as u64 + 1) as usize;
        let (head, tail): (String, String) =
            (value[..start].iter().collect(), value[start..].iter().collect());
        match self.below(4) {
            0 => ValueTest::Contains(tail),
            1 => ValueTest::Prefix(head),
            2 => ValueTest::Regex(format!("^{}", regex::escape(&head))),
            _ => ValueTest::Regex(format!("{}$", regex::escape(&tail))),
        }
    }

    fn window(&mut self) -> Window {
        match self.below(5) {
            0 => Window::LastDays(1 + self.below(40) as u32),
            1 => {
                let near = self.below(10) as u32;
                Window::DaysAgo { far: near + self.below(30) as u32, near }
            }
            2 => Window::Calendar { from: self.day(), to: None },
            3 => {
                let from = self.day();
                Window::Calendar { from, to: Some(from.plus(self.below(20) as i64)) }
            }
            _ => Window::Open,
        }
    }

    fn compare(&mut self) -> Compare {
        let low = self.number();
        match self.below(7) {
            0 => Compare::Eq(low),
            1 => Compare::Ne(low),
            2 => Compare::Gt(low),
            3 => Compare::Gte(low),
            4 => Compare::Lt(low),
            5 => Compare::Lte(low),
            _ => Compare::Between(low, low.max(self.number())),
        }
    }

    fn number(&mut self) -> i64 {
        self.below(self.largest.max(0) as u64 + 3) as i64 - 2
    }

    /// One of the published days, or up to two days beside it.
    fn day(&mut self) -> Ds {
        let words = self.words;
        let labels = words.labels.iter().flat_map(|label| &label.published);
        let days: Vec<&Ds> = labels.chain(words.events.iter().flat_map(|event| &event.published)).collect();
        if days.is_empty() {
            return Ds::from_number(20_240_101).expect("a day of the calendar");
        }
        let shift = self.below(5) as i64 - 2;
        self.pick(&days).plus(shift)
    }

    fn below(&mut self, bound: u64) -> u64 {
        (self.draw)(bound)
    }

    fn pick<'t, T>(&mut self, from: &'t [T]) -> &'t T {
        &from[self.below(from.len() as u64) as usize]
    }
}
