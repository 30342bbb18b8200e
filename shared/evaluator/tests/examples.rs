//! The rule language by example: a few rows, a rule, and the users that its words say. Evaluator and oracle
//! must both find them.

mod app;

use std::collections::{BTreeMap, BTreeSet};

use app::{App, Part, agree, ds};
use muster_evaluator::oracle::{EventRow, LabelRow};
use muster_rules::{Caps, parse};

fn label(day: i64, id: i64, name: &str, rows: &[(&str, i64, &str, Option<i64>)]) -> Part {
    let row = |&(user, tag, tag_name, weight): &(&str, i64, &str, Option<i64>)| LabelRow {
        user: user.into(),
        tag,
        tag_name: tag_name.into(),
        weight,
    };
    Part::Label { ds: ds(day), id, name: name.into(), rows: rows.iter().map(row).collect() }
}

/// Rows of (user, page, channel, pv, m_amount); an empty page or channel is absent.
fn event(day: i64, event: &str, rows: &[(&str, &str, &str, i64, i64)]) -> Part {
    let row = |&(user, page, channel, pv, amount): &(&str, &str, &str, i64, i64)| EventRow {
        user: user.into(),
        dimensions: [("page", page), ("channel", channel)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        pv,
        measures: BTreeMap::from([("m_amount".to_owned(), amount)]),
    };
    Part::Event {
        ds: ds(day),
        event: event.into(),
        dimensions: vec!["page".into(), "channel".into()],
        measures: vec!["m_amount".into()],
        rows: rows.iter().map(row).collect(),
    }
}

/// ann, bob and cat are in the data of 2026-11-01; dan only in older ones; eve only in a part replaced since.
fn shop() -> App {
    let mut app = App::new(16);
    app.publish(vec![
        label(
            20261028,
            1,
            "gender",
            &[("ann", 2, "female"), ("bob", 1, "male"), ("eve", 2, "female")]
                .map(|(user, tag, name)| (user, tag, name, None)),
        ),
        event(
            20261101,
            "visit",
            &[
                ("ann", "/sale", "web", 2, 0),
                ("ann", "/home", "app", 1, 0),
                ("bob", "/sale", "app", 3, 0),
                ("bob", "", "web", 0, 0),
                ("cat", "", "", 0, 0),
            ],
        ),
        event(20261026, "visit", &[("ann", "/home", "web", 5, 0), ("dan", "/sale/shoes", "web", 1, 0)]),
        event(
            20261025,
            "order",
            &[("ann", "", "web", 1, 700), ("ann", "", "app", 1, -200), ("dan", "", "", 1, -5)],
        ),
        event(20261030, "order", &[("bob", "", "web", 1, 0)]),
    ]);
    app.publish(vec![
        label(20261028, 1, "gender", &[("ann", 2, "female", None), ("bob", 1, "male", None)]),
        label(
            20261029,
            2,
            "likes",
            &[
                ("ann", 10, "tea", Some(5)),
                ("ann", 11, "milk", Some(-60)),
                ("bob", 10, "tea", None),
                ("dan", 11, "milk", Some(0)),
            ],
        ),
        // A late day: newer than 10-29, older than what looks back from before it.
        label(20261031, 2, "likes", &[("cat", 12, "11", Some(60))]),
    ]);
    app.write_cohort("coh_1", ds(20261027), BTreeSet::from(["ann".to_owned(), "dan".to_owned()]));
    app
}

/// Space-separated names of the users that the condition should find.
fn check(app: &App, universe: &str, as_of: Option<i64>, condition: &str, expected: &str) {
    let as_of = as_of.map_or(String::new(), |day| format!(r#""as_of": {day}, "#));
    let text = format!(r#"{{"universe": "{universe}", {as_of}"where": {condition}}}"#);
    let rule =
        parse(text.as_bytes(), &Caps::default()).unwrap_or_else(|problems| panic!("{text}: {problems:#?}"));
    let found: Vec<&str> = app.rows.outcome(&rule).unwrap().members.into_iter().collect();
    assert_eq!(found.join(" "), expected, "oracle: {text}");
    agree(app, &app.snapshot(), &rule, &app.rows.users, "example");
}

#[test]
fn labels() {
    let app = shop();
    let all = |condition: &str, expected: &str| check(&app, "all", None, condition, expected);
    all(r#"{"label": "gender", "in": ["female"]}"#, "ann");
    all(r#"{"label": 1, "in": [1, "2"]}"#, "ann bob");
    // Everyone else, also those of parts replaced since: they were named once.
    all(r#"{"label": "gender", "not_in": ["female"]}"#, "bob cat dan eve");
    all(r#"{"label": "gender", "set": false}"#, "cat dan eve");
    // The newest day counts, whole; looking from before it, the day before it.
    all(r#"{"label": "likes", "set": true}"#, "cat");
    let before = |condition: &str, expected: &str| check(&app, "all", Some(20261030), condition, expected);
    before(r#"{"label": "likes", "set": true}"#, "ann bob dan");
    before(r#"{"label": "likes", "in": ["tea", "milk"]}"#, "ann bob dan");
    before(r#"{"not": {"label": "likes", "in": ["milk"]}}"#, "bob cat eve");
    // A name first, then a code: "11" is the name of 12, 11 the code of milk.
    before(r#"{"label": "likes", "in": [11]}"#, "ann dan");
    before(r#"{"label": "likes", "in": ["11"]}"#, "");
    all(r#"{"label": "likes", "in": ["11"]}"#, "cat");
    check(&app, "all", Some(20261027), r#"{"label": "gender", "set": true}"#, "");
}

#[test]
fn base_crowds_of_the_apps_own() {
    let mut app = shop();
    let rule = r#"{"universe": "active_7d", "where": {"event": "visit", "last_days": 7, "pv": {"gte": 1}}}"#;
    app.define("visitors", parse(rule.as_bytes(), &Caps::default()).unwrap());
    let own = |app: &App, condition: &str, expected: &str| check(app, "visitors", None, condition, expected);
    own(&app, r#"{"label": "gender", "set": true}"#, "ann bob");
    own(&app, r#"{"not": {"label": "gender", "in": ["male"]}}"#, "ann dan");
    // It moves with the day that is looked from.
    check(&app, "visitors", Some(20261031), r#"{"all": []}"#, "ann dan");
    // What counts as active is the app's to say.
    check(&app, "active_7d", Some(20261101), r#"{"all": []}"#, "ann bob cat dan");
    app.count_as("visit", Some(false), Some(true));
    check(&app, "active_7d", Some(20261101), r#"{"all": []}"#, "bob");
    check(&app, "trade_1d", Some(20261101), r#"{"all": []}"#, "ann bob cat");
    check(&app, "visitors", Some(20261101), r#"{"all": []}"#, "bob");
}

#[test]
fn weights() {
    let app = shop();
    let check = |condition: &str, expected: &str| check(&app, "all", Some(20261030), condition, expected);
    check(r#"{"label": "likes", "weight": {"gte": 0}}"#, "ann dan");
    check(r#"{"label": "likes", "weight": {"lt": 0}}"#, "ann");
    check(r#"{"label": "likes", "in": ["milk"], "weight": {"gte": 0}}"#, "dan");
    // Only those who carry the label with a weight, whatever the comparison.
    check(r#"{"label": "likes", "weight": {"ne": 1000}}"#, "ann dan");
    check(r#"{"not": {"label": "likes", "weight": {"lte": 1000}}}"#, "bob cat eve");
}

#[test]
fn totals() {
    let app = shop();
    let all = |condition: &str, expected: &str| check(&app, "all", Some(20261101), condition, expected);
    all(r#"{"event": "visit"}"#, "ann bob dan");
    all(r#"{"event": "visit", "pv": {"lte": 2}}"#, "cat dan eve");
    all(r#"{"event": "visit", "pv": {"eq": 0}}"#, "cat eve");
    all(r#"{"event": "visit", "pv": {"gte": 8}}"#, "ann");
    // A row of nothing is a row: cat was there on that day.
    all(r#"{"event": "visit", "days": {"gte": 1}}"#, "ann bob cat dan");
    all(r#"{"event": "visit", "days": {"between": [2, 9]}}"#, "ann");
    all(r#"{"event": "order", "sum": {"m_amount": {"gt": 0}}}"#, "ann");
    all(r#"{"event": "order", "sum": {"m_amount": {"lt": 0}}}"#, "dan");
    all(r#"{"event": "order", "sum": {"m_amount": {"eq": 0}}}"#, "bob cat eve");
    all(r#"{"event": "order", "sum": {"m_amount": {"eq": 500}}}"#, "ann");
}

#[test]
fn windows() {
    let app = shop();
    let from = |as_of: i64, window: &str, expected: &str| {
        check(&app, "all", Some(as_of), &format!(r#"{{"event": "visit", {window}}}"#), expected);
    };
    from(20261101, r#""last_days": 1"#, "ann bob");
    from(20261101, r#""last_days": 6"#, "ann bob");
    from(20261101, r#""last_days": 7"#, "ann bob dan");
    from(20261101, r#""days_ago": [6, 1]"#, "ann dan");
    from(20261101, r#""days_ago": [5, 1]"#, "");
    from(20261101, r#""from": 20261026, "to": 20261031"#, "ann dan");
    from(20261101, r#""from": 20261027"#, "ann bob");
    from(20261031, r#""from": 20261026, "to": 20261105"#, "ann dan");
    from(20261031, r#""last_days": 30"#, "ann dan");
    // Nothing published yet: a total of 0 for everyone.
    from(20261001, r#""pv": {"lte": 0}"#, "ann bob cat dan eve");
    // The rule looks from the newest day of its parts: 10-30 for orders, 11-01 with a visit in it.
    check(&app, "all", None, r#"{"event": "order", "last_days": 1}"#, "bob");
    check(
        &app,
        "all",
        None,
        r#"{"any": [{"event": "order", "last_days": 1}, {"event": "visit", "last_days": 1}]}"#,
        "ann bob",
    );
    check(&app, "all", None, r#"{"all": [{"event": "order", "last_days": 2}, {"event": "visit"}]}"#, "");
}

#[test]
fn filters_hold_on_one_row_that_carries_the_dimension() {
    let app = shop();
    let filtered = |filters: &str, rest: &str, expected: &str| {
        let condition = format!(r#"{{"event": "visit", "where": {{{filters}}}{rest}}}"#);
        check(&app, "all", Some(20261101), &condition, expected);
    };
    filtered(r#""page": {"in": ["/sale"]}"#, "", "ann bob");
    filtered(r#""page": {"prefix": "/sale"}"#, "", "ann bob dan");
    filtered(r#""page": {"contains": "shoe"}"#, "", "dan");
    filtered(r#""page": {"regex": "^/(home|sale/)"}"#, "", "ann dan");
    filtered(r#""page": {"prefix": "/sale", "not_in": ["/sale"]}"#, "", "dan");
    // One row with both, not one row for each.
    filtered(r#""page": {"in": ["/sale"]}, "channel": {"in": ["web"]}"#, "", "ann");
    // cat's row and one of bob's carry no page.
    filtered(r#""page": {"not_in": ["/nowhere"]}"#, r#", "days": {"gte": 1}"#, "ann bob dan");
    filtered(r#""page": {"not_in": ["/sale"]}"#, "", "ann dan");
    filtered(r#""channel": {"in": ["web"]}"#, r#", "days": {"gte": 1}"#, "ann bob dan");
    filtered(r#""channel": {"in": ["web"]}"#, r#", "pv": {"eq": 0}"#, "bob cat eve");
    filtered(r#""page": {"in": ["/nowhere"]}"#, r#", "pv": {"lte": 2}"#, "ann bob cat dan eve");
}

#[test]
fn universes_cohorts_and_groups() {
    let app = shop();
    let everyone = r#"{"all": []}"#;
    check(&app, "all", None, everyone, "ann bob cat dan eve");
    check(&app, "all", None, r#"{"any": []}"#, "");
    check(&app, "active_1d", Some(20261101), everyone, "ann bob cat");
    check(&app, "active_1d", Some(20261102), everyone, "");
    check(&app, "active_7d", Some(20261101), everyone, "ann bob cat dan");
    check(&app, "trade_7d", Some(20261101), everyone, "bob");
    check(&app, "trade_30d", None, everyone, "ann bob dan");
    check(&app, "trade_30d", None, r#"{"label": "gender", "not_in": ["male"]}"#, "ann dan");
    check(&app, "all", None, r#"{"cohort": "coh_1"}"#, "ann dan");
    check(&app, "active_1d", Some(20261101), r#"{"not": {"cohort": "coh_1"}}"#, "bob cat");
    let groups = r#"{"any": [
        {"all": [{"event": "visit"}, {"not": {"label": "gender", "set": true}}]},
        {"all": [{"cohort": "coh_1"}, {"event": "order", "sum": {"m_amount": {"gt": 100}}}]}]}"#;
    check(&app, "all", None, groups, "ann dan");
}
