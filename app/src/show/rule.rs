//! A rule as an indented tree of sentences, each with whatever stands beside its JSON pointer: a count,
//! or yes and no. Lenient: a rule that the server would refuse is still shown as far as it goes.

use serde_json::Value;
use unicode_width::UnicodeWidthStr;

use super::table::{one_line, pad, pad_left};

/// Names of a list that are written out.
const MOST_NAMES: usize = 6;

/// What stands beside the conditions, and so to which side it is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Beside {
    Numbers,
    Words,
}

/// The tree of a rule with nothing beside it.
pub fn bare(rule: &Value) -> String {
    tree(rule, Beside::Words, |_| String::new())
}

/// The tree under the rule's `where`; `cell` gives what stands beside the condition at a pointer.
pub fn tree(rule: &Value, beside: Beside, cell: impl Fn(&str) -> String) -> String {
    let mut lines = Vec::new();
    if let Some(root) = rule.get("where") {
        grow(root, "/where".to_owned(), "", "", &cell, &mut lines);
    }
    let left = lines.iter().map(|(text, _)| text.width()).max().unwrap_or_default();
    let right = lines.iter().map(|(_, cell)| cell.width()).max().unwrap_or_default();
    let line = |(text, cell): &(String, String)| match beside {
        Beside::Numbers => format!("{}  {}", pad(text, left), pad_left(cell, right)),
        Beside::Words => format!("{}  {cell}", pad(text, left)),
    };
    lines.iter().map(|both| line(both).trim_end().to_owned()).collect::<Vec<_>>().join("\n")
}

/// `own` is drawn before the condition itself, `below` before everything under it.
fn grow(
    condition: &Value,
    pointer: String,
    own: &str,
    below: &str,
    cell: &impl Fn(&str) -> String,
    lines: &mut Vec<(String, String)>,
) {
    let (sentence, under) = match group(condition) {
        Some((key, inner)) => (heading(key), children(inner, &format!("{pointer}/{key}"))),
        None => (phrase(condition), Vec::new()),
    };
    lines.push((format!("{own}{}", one_line(&sentence)), cell(&pointer)));
    let last = under.len().saturating_sub(1);
    for (index, (child, at)) in under.into_iter().enumerate() {
        let (branch, gap) = if index == last { ("└─ ", "   ") } else { ("├─ ", "│  ") };
        grow(child, at, &format!("{below}{branch}"), &format!("{below}{gap}"), cell, lines);
    }
}

fn group(condition: &Value) -> Option<(&'static str, &Value)> {
    ["all", "any", "not"].into_iter().find_map(|key| Some((key, condition.get(key)?)))
}

fn heading(key: &str) -> String {
    match key {
        "all" => "all of",
        "any" => "any of",
        _ => "not",
    }
    .to_owned()
}

fn children<'v>(inner: &'v Value, pointer: &str) -> Vec<(&'v Value, String)> {
    match inner {
        Value::Array(items) => {
            items.iter().enumerate().map(|(index, item)| (item, format!("{pointer}/{index}"))).collect()
        }
        other => vec![(other, pointer.to_owned())],
    }
}

/// One condition in words.
pub fn phrase(condition: &Value) -> String {
    let text = |key: &str| condition.get(key).map(word);
    if let Some(label) = text("label") {
        return label_phrase(condition, label);
    }
    if let Some(event) = text("event") {
        return event_phrase(condition, event);
    }
    if let Some(cohort) = text("cohort") {
        return format!("in cohort {cohort}");
    }
    if let Some(segment) = text("segment") {
        return format!("in segment {segment}");
    }
    if let Some(list) = text("list") {
        return format!("on list {list}");
    }
    condition.to_string()
}

fn label_phrase(condition: &Value, label: String) -> String {
    let mut text = label;
    if let Some(weight) = condition.get("weight") {
        if let Some(tags) = condition.get("in") {
            text += &format!(" ({})", list(tags));
        }
        return format!("{text} weight {}", comparison(weight));
    }
    for (key, verb) in [("in", "is"), ("not_in", "is not")] {
        if let Some(tags) = condition.get(key) {
            text += &format!(" {verb} {}", list(tags));
        }
    }
    match condition.get("set") {
        Some(Value::Bool(false)) => text + " is not set",
        Some(_) => text + " is set",
        None => text,
    }
}

fn event_phrase(condition: &Value, event: String) -> String {
    let mut text = event;
    for (dimension, tests) in condition.get("where").and_then(Value::as_object).into_iter().flatten() {
        for (test, wanted) in tests.as_object().into_iter().flatten() {
            let verb = match test.as_str() {
                "in" => "is",
                "not_in" => "is not",
                "prefix" => "starts with",
                "regex" => "matches",
                other => other,
            };
            text += &format!(", {dimension} {verb} {}", list(wanted));
        }
    }
    if let Some(days) = condition.get("last_days") {
        text += &format!(", last {} days", word(days));
    }
    if let Some(Value::Array(ago)) = condition.get("days_ago") {
        text += &format!(", {} days ago", ago.iter().map(word).collect::<Vec<_>>().join(" to "));
    }
    for (key, verb) in [("from", "from"), ("to", "to")] {
        if let Some(day) = condition.get(key) {
            text += &format!(", {verb} {}", word(day));
        }
    }
    text + &measure_phrase(condition)
}

fn measure_phrase(condition: &Value) -> String {
    if let Some(pv) = condition.get("pv") {
        return format!(", times {}", comparison(pv));
    }
    if let Some(days) = condition.get("days") {
        return format!(", distinct days {}", comparison(days));
    }
    let sums = condition.get("sum").and_then(Value::as_object).into_iter().flatten();
    sums.map(|(measure, compare)| format!(", sum of {measure} {}", comparison(compare))).collect()
}

fn comparison(compare: &Value) -> String {
    let parts =
        compare.as_object().into_iter().flatten().map(|(operator, operand)| match operator.as_str() {
            "eq" => format!("= {}", word(operand)),
            "ne" => format!("≠ {}", word(operand)),
            "gt" => format!("> {}", word(operand)),
            "gte" => format!("≥ {}", word(operand)),
            "lt" => format!("< {}", word(operand)),
            "lte" => format!("≤ {}", word(operand)),
            "between" => {
                let ends = operand.as_array().into_iter().flatten().map(word).collect::<Vec<_>>();
                format!("between {}", ends.join(" and "))
            }
            other => format!("{other} {}", word(operand)),
        });
    parts.collect::<Vec<_>>().join(" and ")
}

fn list(value: &Value) -> String {
    let Value::Array(items) = value else { return word(value) };
    let shown = items.iter().take(MOST_NAMES).map(word).collect::<Vec<_>>().join(" or ");
    match items.len().saturating_sub(MOST_NAMES) {
        0 => shown,
        more => format!("{shown} or {more} more"),
    }
}

fn word(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_rule_reads_as_a_tree() {
        let rule = json!({"where": {"all": [
            {"label": "gender", "in": ["female"]},
            {"any": [{"label": "city_tier", "not_in": [5, 6]}, {"label": "vip", "set": false}]},
            {"event": "visit", "where": {"page": {"in": ["/sale"]}}, "last_days": 7, "pv": {"gte": 3}},
            {"not": {"event": "order", "last_days": 30}},
        ]}});
        let beside = |pointer: &str| match pointer {
            "/where/all/0" => "1,000".to_owned(),
            "/where/all/3/not" => "7".to_owned(),
            _ => String::new(),
        };
        let wanted = "\
all of
├─ gender is female                              1,000
├─ any of
│  ├─ city_tier is not 5 or 6
│  └─ vip is not set
├─ visit, page is /sale, last 7 days, times ≥ 3
└─ not
   └─ order, last 30 days                            7";
        assert_eq!(tree(&rule, Beside::Numbers, beside), wanted);
    }

    #[test]
    fn conditions_in_words() {
        let check = |condition: Value, words: &str| assert_eq!(phrase(&condition), words);
        check(json!({"label": "studied_credits", "weight": {"gte": 60}}), "studied_credits weight ≥ 60");
        check(json!({"label": 10001, "in": [1]}), "10001 is 1");
        check(
            json!({"event": "order", "days_ago": [90, 30], "sum": {"m_amount": {"between": [1, 5]}}}),
            "order, 90 to 30 days ago, sum of m_amount between 1 and 5",
        );
        check(
            json!({"event": "cart", "from": 20261001, "days": {"gt": 2}}),
            "cart, from 20261001, distinct days > 2",
        );
        check(json!({"cohort": "coh_1"}), "in cohort coh_1");
        check(json!({"segment": "seg_1"}), "in segment seg_1");
        check(json!({"list": "lst_1"}), "on list lst_1");
        check(
            json!({"label": "p", "in": [1, 2, 3, 4, 5, 6, 7, 8]}),
            "p is 1 or 2 or 3 or 4 or 5 or 6 or 2 more",
        );
        check(json!({"other": 1}), "{\"other\":1}");
    }
}
