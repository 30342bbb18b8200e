//! The reference page says what the code does: every code, every cap, every example.

use muster_rules::{Caps, codes, parse};

fn page() -> String {
    std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/rule-language.md")).unwrap()
}

#[test]
fn names_every_code() {
    let page = page();
    for code in codes::PROBLEMS.iter().chain(codes::WARNINGS) {
        assert!(page.contains(&format!("`{code}`")), "{code} is not explained");
    }
}

#[test]
fn gives_the_default_of_every_cap() {
    // Named one by one, so that a new cap does not compile until it is written down here.
    let Caps {
        bytes,
        json_depth,
        depth,
        conditions,
        groups,
        filters,
        regexes,
        regex_length,
        list,
        name_bytes,
        window_days,
        cost,
    } = Caps::default();
    let caps = [
        ("bytes", bytes as u64),
        ("json_depth", json_depth as u64),
        ("depth", depth as u64),
        ("conditions", conditions as u64),
        ("groups", groups as u64),
        ("filters", filters as u64),
        ("regexes", regexes as u64),
        ("regex_length", regex_length as u64),
        ("list", list as u64),
        ("name_bytes", name_bytes as u64),
        ("window_days", u64::from(window_days)),
        ("cost", cost),
    ];
    let page = page();
    for (cap, limit) in caps {
        assert!(page.contains(&format!("| `{cap}` | {limit} ")), "{cap} is not {limit} on the page");
    }
}

#[test]
fn has_examples_that_are_rules() {
    let page = page();
    let examples: Vec<&str> =
        page.split("```json\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(examples.len() >= 5);
    for example in examples {
        let whole = example.contains("\"universe\"");
        let text = if whole { example.to_owned() } else { format!("{{\"where\": {example}}}") };
        let rule = parse(text.as_bytes(), &Caps::default());
        assert!(rule.is_ok(), "{example}: {:#?}", rule.err());
    }
}
