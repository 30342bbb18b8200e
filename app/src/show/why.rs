//! A proof of membership on the terminal: the rule, and beside each condition yes or no and the number
//! that decided it.

use serde_json::Value;

use super::rule::Beside;
use super::table::one_line;
use super::{rule, text};

/// Several lines. `cohort` carries the rule, `proof` the conditions by pointer.
pub fn to_text(cohort: &Value, proof: &Value) -> String {
    let flag = |key: &str| proof.get(key).and_then(Value::as_bool);
    let verdict = if flag("member") == Some(true) { "is in" } else { "is not in" };
    let mut lines = vec![one_line(&format!(
        "{} {verdict} {} of {} (version {} of {})",
        text(proof, "user_id"),
        text(proof, "cohort_id"),
        text(proof, "ds"),
        text(proof, "segment_version"),
        text(proof, "segment_id"),
    ))];
    if flag("known") == Some(false) {
        lines.push("No label and no event of the app has ever named this user.".to_owned());
        return lines.join("\n");
    }
    if let Some(universe) = proof.get("universe").filter(|universe| !universe.is_null()) {
        lines.push(format!("universe {}: {}", one_line(&text(universe, "name")), yes(universe)));
    }
    lines.push(String::new());
    lines.push(rule::tree(cohort.get("rule").unwrap_or(&Value::Null), Beside::Words, |pointer| {
        beside(proof, pointer)
    }));
    lines.extend(
        match text(proof, "data").as_str() {
            "newer" => {
                Some("\nSome days were published again since the cohort was made: this is what they say now.")
            }
            "none" => Some(
                "\nThe conditions could not be looked up: the rule does not fit the app's data any more.",
            ),
            _ => None,
        }
        .map(str::to_owned),
    );
    lines.join("\n")
}

fn beside(proof: &Value, pointer: &str) -> String {
    let mut conditions = proof.get("conditions").and_then(Value::as_array).into_iter().flatten();
    conditions.find(|one| text(one, "pointer") == pointer).map(decided).unwrap_or_default()
}

fn yes(part: &Value) -> &'static str {
    match part.get("holds") {
        Some(Value::Bool(true)) => "yes",
        _ => "no",
    }
}

/// `yes, total 4` or `no, carries male`
fn decided(condition: &Value) -> String {
    let evidence = condition.get("evidence").and_then(shown);
    let said = match evidence {
        Some(evidence) => format!("{}, {evidence}", yes(condition)),
        None => yes(condition).to_owned(),
    };
    one_line(&said)
}

/// The evidence is an object of one member, named for its kind.
fn shown(evidence: &Value) -> Option<String> {
    let (kind, found) = evidence.as_object()?.iter().next()?;
    let named = |one: &Value| match one.get("weight") {
        Some(weight) => format!("{} {weight}", text(one, "name")),
        None => text(one, "name"),
    };
    match (kind.as_str(), found) {
        ("tags" | "weights", Value::Array(carried)) if carried.is_empty() => Some("carries none".to_owned()),
        ("tags" | "weights", Value::Array(carried)) => {
            Some(format!("carries {}", carried.iter().map(named).collect::<Vec<_>>().join(" and ")))
        }
        ("total", total) => Some(format!("total {total}")),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_condition_with_what_decided_it() {
        let cohort = json!({"rule": {"where": {"all": [
            {"label": "gender", "in": ["female"]},
            {"label": "credits", "weight": {"gte": 60}},
            {"not": {"event": "order", "last_days": 30}},
        ]}}});
        let proof = json!({"user_id": "u1", "cohort_id": "coh_1", "member": false, "known": true, "ds": 20261101,
            "segment_id": "seg_1", "segment_version": 2, "universe": {"name": "all", "holds": true},
            "data": "newer", "conditions": [
            {"pointer": "/where/all/0", "holds": true, "evidence": {"tags": [{"tag": 2, "name": "female"}]}},
            {"pointer": "/where/all/1", "holds": true, "evidence": {"weights": [{"tag": 1, "name": "sum", "weight": 60}]}},
            {"pointer": "/where/all/2/not", "holds": true, "evidence": {"total": 4}},
        ]});
        let wanted = "\
u1 is not in coh_1 of 20261101 (version 2 of seg_1)
universe all: yes

all of
├─ gender is female        yes, carries female
├─ credits weight ≥ 60     yes, carries sum 60
└─ not
   └─ order, last 30 days  yes, total 4

Some days were published again since the cohort was made: this is what they say now.";
        assert_eq!(to_text(&cohort, &proof), wanted);
    }

    #[test]
    fn a_user_nobody_has_named() {
        let proof = json!({"user_id": "x", "cohort_id": "coh_1", "member": false, "known": false, "ds": 20261101,
            "segment_id": "seg_1", "segment_version": 1, "universe": null, "conditions": [], "data": "same"});
        assert!(
            to_text(&json!({}), &proof)
                .ends_with("\nNo label and no event of the app has ever named this user.")
        );
    }
}
