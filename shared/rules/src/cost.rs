//! What a rule costs to run, told from its text alone: the weight it has in an app's flow control.

use muster_days::Ds;

use crate::conditions::event::EventCondition;
use crate::conditions::filter::ValueTest;
use crate::conditions::label::{LabelCondition, LabelTest};
use crate::conditions::window::Window;
use crate::plan::Measure;
use crate::rule::{Condition, EVERYONE, Rule};

/// Days that a window is taken for when the text does not tell.
const UNTOLD_DAYS: u64 = 180;

/// The sum over all conditions, at least 1. One unit is about one pass over the bitmap of one tag.
///
/// - a universe other than `all`: 5
/// - a label: 1, and 1 for every 16 tags listed; with `weight` 4 more
/// - an event: 1, and 1 for every 7 days of the window (2 with `sum`; 180 days if the text does not tell);
///   the whole once more for every filter; 1 for every 16 values listed, 10 for `contains` and `regex`
/// - a cohort, a segment, a list: 1
pub fn cost(rule: &Rule) -> u64 {
    let universe = if rule.universe == EVERYONE { 0 } else { 5 };
    (universe + of_condition(&rule.root, rule.as_of)).max(1)
}

fn of_condition(condition: &Condition, as_of: Option<Ds>) -> u64 {
    match condition {
        Condition::All(items) | Condition::Any(items) => {
            items.iter().map(|item| of_condition(item, as_of)).sum()
        }
        Condition::Not(inner) => of_condition(inner, as_of),
        Condition::Label(label) => of_label(label),
        Condition::Event(event) => of_event(event, as_of),
        Condition::Cohort(_) | Condition::Segment(_) | Condition::List(_) => 1,
    }
}

fn of_label(label: &LabelCondition) -> u64 {
    match &label.test {
        LabelTest::In(tags) | LabelTest::NotIn(tags) => 1 + listed(tags.len()),
        LabelTest::Set(_) => 1,
        LabelTest::Weight { tags, .. } => 5 + tags.as_ref().map_or(0, |tags| listed(tags.len())),
    }
}

fn of_event(event: &EventCondition, as_of: Option<Ds>) -> u64 {
    let days = days(event.window, as_of);
    let pass = match event.measure {
        Measure::Sum(_) => 1 + days.div_ceil(7) * 2,
        Measure::Pv | Measure::Days => 1 + days.div_ceil(7),
    };
    let tests = || event.filters.values().flatten();
    let lookups: u64 = tests().map(of_test).sum();
    pass * (1 + tests().count() as u64) + lookups
}

fn of_test(test: &ValueTest) -> u64 {
    match test {
        ValueTest::In(values) | ValueTest::NotIn(values) => listed(values.len()),
        ValueTest::Prefix(_) => 0,
        ValueTest::Contains(_) | ValueTest::Regex(_) => 10,
    }
}

fn listed(entries: usize) -> u64 {
    entries as u64 / 16
}

fn days(window: Window, as_of: Option<Ds>) -> u64 {
    let told = match window {
        Window::LastDays(days) => Some(i64::from(days)),
        Window::DaysAgo { far, near } => Some(i64::from(far) - i64::from(near) + 1),
        Window::Calendar { from, to } => to.or(as_of).map(|to| to.days_since(from) + 1),
        Window::Open => None,
    };
    told.map_or(UNTOLD_DAYS, |days| u64::try_from(days).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use crate::{Caps, parse};

    fn check(rule: &str, expected: u64) {
        let rule = parse(rule.as_bytes(), &Caps::default()).unwrap();
        assert_eq!(super::cost(&rule), expected, "{}", rule.to_json());
    }

    #[test]
    fn parts_add_up() {
        check(r#"{"where": {"all": []}}"#, 1);
        check(r#"{"universe": "active_7d", "where": {"cohort": "c"}}"#, 6);
        check(r#"{"where": {"any": [{"label": "a", "in": [1]}, {"not": {"label": 7, "set": true}}]}}"#, 2);
        check(r#"{"where": {"label": "a", "in": [1, 2], "weight": {"gt": 0}}}"#, 5);
        check(r#"{"where": {"event": "e", "last_days": 7}}"#, 2);
        check(r#"{"where": {"event": "e", "days_ago": [14, 0]}}"#, 4);
        check(r#"{"where": {"event": "e", "last_days": 30, "sum": {"m_a": {"gt": 0}}}}"#, 11);
        check(r#"{"where": {"event": "e"}}"#, 27);
        check(r#"{"where": {"event": "e", "from": 20260101}}"#, 27);
        check(r#"{"as_of": 20260107, "where": {"event": "e", "from": 20260101}}"#, 2);
        let filters = r#"{"page": {"in": ["a"], "regex": "b"}, "os": {"prefix": "i"}}"#;
        check(&format!(r#"{{"where": {{"event": "e", "last_days": 7, "where": {filters}}}}}"#), 18);
    }
}
