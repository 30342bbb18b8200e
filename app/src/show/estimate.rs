//! An estimate on the terminal: the number first, then how each condition contributes.

use serde_json::Value;

use super::rule::Beside;
use super::table::one_line;
use super::{number, rule, text};

/// Missing days that are named.
const MOST_DAYS: usize = 5;

/// Several lines; `rule` is what was asked.
pub fn to_text(rule: &Value, answer: &Value) -> String {
    let mut lines = vec![headline(rule, answer), String::new()];
    let counts = answer.get("leaves");
    let count = |pointer: &str| counts?.get(pointer)?.as_u64();
    lines.push(rule::tree(rule, Beside::Numbers, |pointer| {
        count(pointer).map(number::grouped).unwrap_or_default()
    }));
    lines.push(String::new());
    lines.push(fresh(answer));
    for warning in answer.get("warnings").and_then(Value::as_array).into_iter().flatten() {
        let told = format!("warning: {}: {}", text(warning, "pointer"), text(warning, "detail"));
        lines.push(one_line(&told));
    }
    lines.join("\n")
}

/// `1,234 of 200,000 users (0.617 %), exact, in 1.3 ms`
fn headline(rule: &Value, answer: &Value) -> String {
    let whole = |key: &str| answer.get(key).and_then(Value::as_u64).unwrap_or_default();
    if let (Some(Value::Null), Some(floor)) = (answer.get("count"), answer.get("privacy_floor")) {
        return format!("not shown: these users, or all others, are fewer than the privacy floor of {floor}");
    }
    let (count, of) = (whole("count"), whole("universe_count"));
    let universe = match rule.get("universe").and_then(Value::as_str) {
        None | Some("all") => "users".to_owned(),
        Some(name) => format!("users in {}", one_line(name)),
    };
    let number = |count: u64, interval: &str| match answer.get(interval) {
        Some(Value::Array(_)) => format!("about {}", number::grouped(count)),
        _ => number::grouped(count),
    };
    let took = answer.get("took_ms").and_then(Value::as_f64).unwrap_or_default();
    format!(
        "{} of {} {universe} ({}), {}, in {took:.1} ms",
        number(count, "interval"),
        number(of, "universe_interval"),
        number::share(count, of),
        sureness(answer),
    )
}

/// `exact`, or `95 % sure between 1,180 and 1,290, from 12.5 % of the buckets`
fn sureness(answer: &Value) -> String {
    let Some(Value::Array(interval)) = answer.get("interval") else { return "exact".to_owned() };
    let end = |place: usize| number::count(interval.get(place));
    let evaluated = answer.get("evaluated").and_then(Value::as_f64).unwrap_or_default() * 100.0;
    format!("95 % sure between {} and {}, from {evaluated:.1} % of the buckets", end(0), end(1))
}

/// The day looked from, and whatever is older than it or missing.
fn fresh(answer: &Value) -> String {
    let as_of = text(answer, "as_of");
    let mut lines = vec![format!("as of {as_of}")];
    let mut told = Vec::new();
    for part in answer.get("freshness").and_then(Value::as_array).into_iter().flatten() {
        let Some(line) = late(part, &as_of) else { continue };
        if !told.contains(&line) {
            told.push(line);
        }
    }
    lines[0] += if told.is_empty() { ", nothing late, no day missing" } else { "" };
    lines.extend(told);
    lines.join("\n")
}

/// A sentence about a part that does not rest on `as_of` itself, or lacks days.
fn late(part: &Value, as_of: &str) -> Option<String> {
    let (kind, name) = (text(part, "kind"), one_line(&text(part, "name")));
    let ds = text(part, "ds");
    let missing = part.get("missing_days").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if matches!(kind.as_str(), "label" | "cohort" | "segment") {
        return match ds.as_str() {
            "" => Some(format!("  {kind} {name}: nothing published")),
            ds if ds != as_of => Some(format!("  {kind} {name}: of {ds}")),
            _ => None,
        };
    }
    if missing.is_empty() {
        return None;
    }
    let named: Vec<String> = missing.iter().take(MOST_DAYS).map(Value::to_string).collect();
    let more = match missing.len().saturating_sub(MOST_DAYS) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let days = if missing.len() == 1 { "day" } else { "days" };
    Some(format!("  {kind} {name}: {} {days} missing: {}{more}", missing.len(), named.join(", ")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_number_comes_first_and_every_condition_has_its_own() {
        let rule = json!({"universe": "active_30d", "where": {"all": [
            {"label": "gender", "in": ["female"]},
            {"not": {"event": "order", "last_days": 30}},
        ]}});
        let answer = json!({
            "count": 12_345, "universe_count": 100_000, "as_of": 20261101, "exact": true, "interval": null,
            "leaves": {"/where/all/0": 54_321, "/where/all/1/not": 9},
            "freshness": [
                {"pointer": "/universe", "kind": "universe", "name": "active_30d", "ds": 20261101, "missing_days": []},
                {"pointer": "/where/all/0", "kind": "label", "name": "gender", "ds": 20261031, "missing_days": []},
                {"pointer": "/where/all/1/not", "kind": "event", "name": "order", "ds": 20261101,
                 "from": 20261003, "to": 20261101, "missing_days": [20261005]},
            ],
            "warnings": [{"pointer": "/where/all/0/in/0", "code": "unknown_value", "detail": "matches nobody"}],
            "took_ms": 1.26,
        });
        let wanted = "\
12,345 of 100,000 users in active_30d (12.3 %), exact, in 1.3 ms

all of
├─ gender is female        54,321
└─ not
   └─ order, last 30 days       9

as of 20261101
  label gender: of 20261031
  event order: 1 day missing: 20261005
warning: /where/all/0/in/0: matches nobody";
        assert_eq!(to_text(&rule, &answer), wanted);
    }

    #[test]
    fn a_sampled_number_says_how_sure_it_is() {
        let rule = json!({"where": {"any": []}});
        let mut answer = json!({
            "count": 12_345, "universe_count": 100_000, "exact": false, "interval": [11_999, 12_700],
            "evaluated": 0.125, "took_ms": 0.42,
        });
        let wanted = "about 12,345 of 100,000 users (12.3 %), 95 % sure between 11,999 and 12,700, \
                      from 12.5 % of the buckets, in 0.4 ms";
        assert_eq!(headline(&rule, &answer), wanted);
        answer["universe_interval"] = json!([99_000, 101_000]);
        let headline = headline(&json!({"universe": "active_7d"}), &answer);
        assert!(headline.starts_with("about 12,345 of about 100,000 users in active_7d"), "{headline}");
    }
}
