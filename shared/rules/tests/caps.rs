//! Every cap refuses the first rule beyond it and takes the last one within it, in little time.

use std::time::{Duration, Instant};

use muster_rules::{Caps, Problem, codes, from_value, parse};

fn refusal(text: &str) -> Option<Problem> {
    let started = Instant::now();
    let problem = parse(text.as_bytes(), &Caps::default()).err().map(|mut problems| problems.remove(0));
    assert!(started.elapsed() < Duration::from_secs(5), "took {:?}", started.elapsed());
    problem
}

/// `within` is read; `beyond` is refused with the code, at the pointer, saying limit and number given.
fn check(within: &str, beyond: &str, code: &str, pointer: &str, numbers: [&str; 2]) {
    assert_eq!(refusal(within), None, "{code}");
    let problem = refusal(beyond).unwrap_or_else(|| panic!("{code}: nothing refused"));
    assert_eq!((problem.code, problem.pointer.as_str()), (code, pointer));
    for number in numbers {
        assert!(problem.detail.contains(number), "{number} in {}", problem.detail);
    }
}

fn rule(condition: &str) -> String {
    format!(r#"{{"where": {condition}}}"#)
}

fn nots(levels: usize) -> String {
    rule(&format!(r#"{}{{"cohort": "c"}}{}"#, r#"{"not":"#.repeat(levels), "}".repeat(levels)))
}

fn all(n: usize, item: &str) -> String {
    rule(&format!(r#"{{"all": [{}]}}"#, vec![item; n].join(",")))
}

fn list(n: usize) -> String {
    rule(&format!(r#"{{"label": "a", "in": [{}]}}"#, vec!["1"; n].join(",")))
}

fn filters(n: usize, test: &str) -> String {
    let dimensions: Vec<String> = (0..n).map(|n| format!(r#""d{n}": {test}"#)).collect();
    rule(&format!(r#"{{"event": "e", "last_days": 1, "where": {{{}}}}}"#, dimensions.join(",")))
}

#[test]
fn nesting() {
    let where_not = |levels: usize| format!("/where{}", "/not".repeat(levels));
    check(&nots(31), &nots(32), codes::RULE_TOO_DEEP, &where_not(32), ["32", "33"]);
    check(&nots(31), &nots(500), codes::JSON_TOO_DEEP, &where_not(99), ["100", "502"]);
    let brackets = "[".repeat(500_000);
    check(&nots(31), &brackets, codes::JSON_TOO_DEEP, &"/0".repeat(100), ["100", "500000"]);
}

#[test]
fn five_hundred_levels_inside_a_document() {
    // Built by hand: the parser of plain JSON stops at 128 levels.
    let mut value = serde_json::json!({"cohort": "c"});
    for _ in 0..500 {
        value = serde_json::json!({ "not": value });
    }
    let problem = from_value(&serde_json::json!({ "where": value }), &Caps::default()).unwrap_err().remove(0);
    assert_eq!(problem.code, codes::JSON_TOO_DEEP);
    assert_eq!(problem.pointer, format!("/where{}", "/not".repeat(99)));
    assert!(problem.detail.contains("502"), "{}", problem.detail);
}

#[test]
fn sizes() {
    let spaces = |n: usize| format!("{}{}", " ".repeat(n - 30), nots(0).replace(r#""c""#, r#""c1234""#));
    assert_eq!(spaces(100).len(), 100);
    check(&spaces(1 << 20), &spaces((1 << 20) + 1), codes::TOO_MANY_BYTES, "", ["1048576", "1048577"]);
    assert_eq!(refusal(&spaces(10 << 20)).unwrap().code, codes::TOO_MANY_BYTES);
    let cohort = r#"{"cohort": "c"}"#;
    check(&all(200, cohort), &all(201, cohort), codes::TOO_MANY_CONDITIONS, "/where", ["200", "201"]);
    let empty = r#"{"all": []}"#;
    check(&all(499, empty), &all(500, empty), codes::TOO_MANY_GROUPS, "/where", ["500", "501"]);
    check(&list(10_000), &list(10_001), codes::LIST_TOO_LONG, "/where/in", ["10000", "10001"]);
    let prefix = r#"{"prefix": "a"}"#;
    check(&filters(500, prefix), &filters(501, prefix), codes::TOO_MANY_FILTERS, "/where", ["500", "501"]);
    let regex = r#"{"regex": "a+"}"#;
    check(&filters(50, regex), &filters(51, regex), codes::TOO_MANY_REGEXES, "/where", ["50", "51"]);
    let name = |n: usize| rule(&format!(r#"{{"cohort": "{}"}}"#, "c".repeat(n)));
    check(&name(512), &name(513), codes::NAME_TOO_LONG, "/where/cohort", ["512", "513"]);
    let pattern = |n: usize| filters(1, &format!(r#"{{"regex": "{}"}}"#, "a".repeat(n)));
    check(&pattern(1_000), &pattern(1_001), codes::REGEX_TOO_LONG, "/where/where/d0/regex", ["1000", "1001"]);
}

#[test]
fn windows_and_cost() {
    let window = |text: &str| rule(&format!(r#"{{"event": "e", {text}}}"#));
    let (code, numbers) = (codes::WINDOW_TOO_LONG, ["3660", "3661"]);
    let last = |days: u32| window(&format!(r#""last_days": {days}"#));
    check(&last(3660), &last(3661), code, "/where/last_days", numbers);
    let ago = |far: u32| window(&format!(r#""days_ago": [{far}, 0]"#));
    check(&ago(3660), &ago(3661), code, "/where/days_ago/0", numbers);
    let calendar = |to: u32| window(&format!(r#""from": 20100101, "to": {to}"#));
    check(&calendar(20200108), &calendar(20200109), code, "/where/to", numbers);
    let long = |n: usize| all(n, r#"{"event": "e", "last_days": 3500}"#);
    check(&long(19), &long(20), codes::RULE_TOO_COSTLY, "", ["10000", "10020"]);
}

/// The most expensive regular expressions that the caps allow.
#[test]
fn costly_regexes_are_refused_in_time() {
    let problem = refusal(&filters(50, r#"{"regex": "(\\w{100}\\pL{100}){100}"}"#)).unwrap();
    assert_eq!((problem.code, problem.pointer.as_str()), (codes::BAD_REGEX, "/where/where/d0/regex"));
    refusal(&filters(50, r#"{"regex": "\\w{18}"}"#));
}

#[test]
fn many_problems_are_cut_short() {
    let unknown: Vec<String> = (0..50_000).map(|n| format!(r#""k{n}": 1"#)).collect();
    let text = format!("{{{}}}", unknown.join(","));
    let problems = parse(text.as_bytes(), &Caps::default()).unwrap_err();
    assert_eq!(problems.len(), muster_rules::problem::MOST);
}

#[test]
fn a_rule_inside_a_document_keeps_its_place() {
    let problem = refusal(&nots(32)).unwrap().under("/rule");
    assert_eq!(problem.pointer, format!("/rule/where{}", "/not".repeat(32)));
}
