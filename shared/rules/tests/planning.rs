//! From rule to plan against the shop's catalogue: names, days, warnings, freshness.

mod shop;

use muster_days::Ds;
use muster_rules::{
    Caps, Checked, Compare, Filter, Matcher, Measure, Node, Problem, Test, Universe, Vocabulary, check,
    codes, parse,
};
use serde_json::json;
use shop::{crowd, ds, shop};

fn checked(text: &str) -> Result<Checked, Vec<Problem>> {
    let rule = parse(text.as_bytes(), &Caps::default())?;
    check(&rule, &shop(), &Caps::default())
}

fn plan(text: &str) -> Checked {
    checked(text).unwrap_or_else(|problems| panic!("{text}: {problems:#?}"))
}

fn test_of(condition: &str) -> Test {
    plan(&format!(r#"{{"as_of": 20261101, "where": {condition}}}"#)).plan.leaves.remove(0).test
}

fn days(numbers: &[i64]) -> Vec<Ds> {
    numbers.iter().map(|number| ds(*number)).collect()
}

#[test]
fn labels_become_codes_on_their_own_day() {
    let tags = |label, ds, tags: Option<&[i64]>, negate| Test::Tags {
        label,
        ds: Some(ds),
        tags: tags.map(<[i64]>::to_vec),
        negate,
    };
    // gender stops two days before as_of.
    let gender = ds(20261030);
    assert_eq!(test_of(r#"{"label": "gender", "in": ["male"]}"#), tags(10001, gender, Some(&[1]), false));
    assert_eq!(
        test_of(r#"{"label": 10001, "not_in": [2, "1", 2]}"#),
        tags(10001, gender, Some(&[1, 2]), true)
    );
    assert_eq!(test_of(r#"{"label": "10001", "set": true}"#), tags(10001, gender, None, false));
    assert_eq!(test_of(r#"{"label": "gender", "set": false}"#), tags(10001, gender, None, true));
    // One name of two codes means both; a name that looks like a code is a name first.
    let province = ds(20261101);
    assert_eq!(
        test_of(r#"{"label": "province", "in": ["Hunan"]}"#),
        tags(10002, province, Some(&[43, 86]), false)
    );
    assert_eq!(test_of(r#"{"label": "province", "in": ["44"]}"#), tags(10002, province, Some(&[7]), false));
    assert_eq!(test_of(r#"{"label": "province", "in": [44]}"#), tags(10002, province, Some(&[44]), false));
    let weight = Test::Weight { label: 10004, ds: Some(ds(20261031)), tags: None, compare: Compare::Gte(60) };
    assert_eq!(test_of(r#"{"label": "studied_credits", "weight": {"gte": 60}}"#), weight);
}

#[test]
fn events_become_published_days_and_filters() {
    let test = test_of(
        r#"{"event": "order", "where": {"channel": {"regex": "^w", "not_in": ["shop"]}},
            "days_ago": [4, 1], "sum": {"m_amount": {"gt": 100}}}"#,
    );
    let filter = |matcher| Filter { dimension: "channel".into(), matcher };
    let expected = Test::Event {
        event: "order".into(),
        days: days(&[20261028, 20261029, 20261030]),
        filters: vec![filter(Matcher::NotIn(["shop".into()].into())), filter(Matcher::Regex("^w".into()))],
        measure: Measure::Sum("m_amount".into()),
        compare: Compare::Gt(100),
    };
    assert_eq!(test, expected);
    let Test::Event { days: open, measure, compare, .. } = test_of(r#"{"event": "visit"}"#) else { panic!() };
    assert_eq!(open.len(), 7);
    assert_eq!((measure, compare), (Measure::Pv, Compare::Gte(1)));
}

#[test]
fn as_of_is_the_newest_day_of_any_part_and_nothing_later_is_seen() {
    let as_of = |text: &str| plan(text).plan.as_of.number();
    assert_eq!(as_of(r#"{"where": {"label": "gender", "in": [1]}}"#), 20261030);
    assert_eq!(as_of(r#"{"where": {"not": {"label": "city_tier", "in": [5]}}}"#), 20261031);
    assert_eq!(as_of(r#"{"where": {"cohort": "coh_1"}}"#), 20261028);
    assert_eq!(as_of(r#"{"universe": "active_7d", "where": {"label": "gender", "in": [1]}}"#), 20261101);
    assert_eq!(as_of(r#"{"universe": "trade_7d", "where": {"cohort": "coh_1"}}"#), 20261030);
    // Rules without a dated part look from the app's newest day.
    assert_eq!(as_of(r#"{"where": {"all": []}}"#), 20261101);
    assert_eq!(as_of(r#"{"where": {"label": "nobody_has", "set": true}}"#), 20261101);

    let past = plan(
        r#"{"as_of": "20261028", "universe": "trade_7d", "where": {"all": [
            {"label": "city_tier", "in": [5]}, {"event": "visit"}, {"event": "visit", "last_days": 2}]}}"#,
    );
    let text = format!("{:?}", past.plan);
    for later in ["20261029", "20261030", "20261031", "20261101"] {
        assert!(!text.contains(later), "{later} in {text}");
    }
    assert!(matches!(&past.plan.leaves[0].test, Test::Tags { ds: Some(day), .. } if *day == ds(20261025)));
    let Universe::Crowd { name, events } = past.plan.universe else { panic!() };
    let order = ("order".to_owned(), days(&[20261025, 20261026, 20261027, 20261028]));
    assert_eq!((name.as_str(), events), ("trade_7d", vec![order]));
}

#[test]
fn a_base_crowd_of_the_apps_own_is_its_rule_on_the_day_that_is_looked_from() {
    let checked = plan(r#"{"universe": "vip", "where": {"label": "city_tier", "in": [5]}}"#);
    assert_eq!(checked.plan.as_of.number(), 20261101);
    let pointers: Vec<&str> = checked.freshness.iter().map(|part| part.pointer.as_str()).collect();
    assert_eq!(pointers, ["/universe", "/universe", "/where"]);
    let Universe::Defined { name, plan: own } = &checked.plan.universe else { panic!() };
    assert_eq!((name.as_str(), own.as_of), ("vip", checked.plan.as_of));
    assert!(matches!(&own.universe, Universe::Crowd { name, .. } if name == "active_7d"));
    assert!(matches!(&own.leaves[0].test, Test::Tags { label: 10001, .. }));

    let rule = parse(br#"{"universe": "nested", "where": {"all": []}}"#, &Caps::default()).unwrap();
    let mut shop = shop();
    shop.crowds.insert("nested".to_owned(), crowd(r#"{"universe": "vip", "where": {"all": []}}"#));
    let problems = check(&rule, &shop, &Caps::default()).unwrap_err();
    assert_eq!((problems[0].code, problems[0].pointer.as_str()), (codes::CROWD_IN_CROWD, "/universe"));
}

#[test]
fn an_empty_app_has_no_day() {
    let rule = parse(br#"{"where": {"all": []}}"#, &Caps::default()).unwrap();
    let problems = check(&rule, &Vocabulary::default(), &Caps::default()).unwrap_err();
    assert_eq!((problems[0].code, problems[0].pointer.as_str()), (codes::NO_DATA, ""));
    let rule = parse(br#"{"as_of": 20261101, "where": {"all": []}}"#, &Caps::default()).unwrap();
    assert!(check(&rule, &Vocabulary::default(), &Caps::default()).is_ok());
}

#[test]
fn freshness_names_used_and_missing_days() {
    let fresh = plan(
        r#"{"universe": "trade_1d", "where": {"all": [
            {"label": 10001, "in": [1]}, {"event": "visit", "last_days": 5}, {"event": "order"},
            {"event": "visit"}, {"cohort": "coh_1"}, {"label": "nobody_has", "set": true}]}}"#,
    );
    let expected = json!([
        {"pointer": "/universe", "kind": "universe", "name": "trade_1d", "ds": null,
         "from": 20261101, "to": 20261101, "missing_days": [20261101]},
        {"pointer": "/where/all/0", "kind": "label", "name": "gender", "ds": 20261030, "missing_days": []},
        {"pointer": "/where/all/1", "kind": "event", "name": "visit", "ds": 20261101,
         "from": 20261028, "to": 20261101, "missing_days": [20261029]},
        {"pointer": "/where/all/2", "kind": "event", "name": "order", "ds": 20261030,
         "from": 20261025, "to": 20261030, "missing_days": []},
        {"pointer": "/where/all/3", "kind": "event", "name": "visit", "ds": 20261101,
         "from": 20261025, "to": 20261101, "missing_days": [20261029]},
        {"pointer": "/where/all/4", "kind": "cohort", "name": "coh_1", "ds": 20261028, "missing_days": []},
        {"pointer": "/where/all/5", "kind": "label", "name": "nobody_has", "ds": null, "missing_days": []},
    ]);
    assert_eq!(serde_json::to_value(&fresh.freshness).unwrap(), expected);
    let codes: Vec<_> =
        fresh.warnings.iter().map(|warning| (warning.pointer.as_str(), warning.code)).collect();
    assert_eq!(codes, [("/universe", codes::UNIVERSE_EMPTY), ("/where/all/5", codes::NOTHING_PUBLISHED)]);
}

#[test]
fn what_can_match_nobody_is_a_warning() {
    let warned = |as_of: i64, condition: &str| -> Vec<(String, &str)> {
        let text = format!(r#"{{"as_of": {as_of}, "where": {condition}}}"#);
        plan(&text).warnings.into_iter().map(|warning| (warning.pointer, warning.code)).collect()
    };
    let one = |pointer: &str, code| vec![(pointer.to_owned(), code)];
    let as_of = 20261101;
    let values = r#"{"event": "visit", "where": {"app/os": {"in": ["ios", 7, true, 8]}}}"#;
    assert_eq!(warned(as_of, values), one("/where/where/app~1os/in/3", codes::UNKNOWN_VALUE));
    let pattern = r#"{"event": "visit", "where": {"page": {"regex": "^sale", "prefix": "/sale"}}}"#;
    assert_eq!(warned(as_of, pattern), one("/where/where/page/regex", codes::NO_MATCHING_VALUE));
    let many = format!(r#"{{"event": "visit", "where": {{"page": {{"in": {:?}}}}}}}"#, vec!["x"; 300]);
    assert_eq!(warned(as_of, &many).len(), 11);
    let later = r#"{"event": "visit", "from": 20261031, "to": 20261105}"#;
    assert_eq!(warned(as_of, later), one("/where", codes::WINDOW_AFTER_AS_OF));
    assert_eq!(warned(20261027, r#"{"cohort": "coh_1"}"#), one("/where", codes::COHORT_AFTER_AS_OF));
    assert_eq!(
        warned(20261024, r#"{"label": "gender", "in": [1]}"#),
        one("/where", codes::NOTHING_PUBLISHED)
    );
    assert_eq!(
        warned(as_of, r#"{"event": "order", "last_days": 1}"#),
        one("/where", codes::NOTHING_PUBLISHED)
    );
}

#[test]
fn a_segment_is_the_cohort_that_was_newest_on_the_day_looked_from() {
    let mut words = shop::shop();
    let cohorts = [(20261025, "coh_old"), (20261028, "coh_mid"), (20261030, "coh_new")];
    let cohorts = cohorts.map(|(day, id)| (ds(day), id.to_owned()));
    words.cohorts.extend(cohorts.iter().map(|(day, id)| (id.clone(), *day)));
    // One that was deleted a moment ago is not used.
    let deleted = [(ds(20261028), "coh_deleted".to_owned())];
    let cohorts = [&cohorts[..2], &deleted, &cohorts[2..]].concat();
    words.made.segments.insert("seg_2".to_owned(), cohorts);
    words.made.segments.insert("seg_new".to_owned(), Vec::new());
    let check =
        |text: &str| check(&parse(text.as_bytes(), &Caps::default()).unwrap(), &words, &Caps::default());
    let used = |day: i64| {
        let text = format!(r#"{{"as_of": {day}, "where": {{"not": {{"segment": "seg_2"}}}}}}"#);
        let found = check(&text).unwrap();
        let Test::Cohort { id } = &found.plan.leaves[0].test else { panic!() };
        (id.clone(), serde_json::to_value(&found.freshness[0]).unwrap())
    };
    for (day, id, ds) in [(20261025, "coh_old", 20261025), (20261029, "coh_mid", 20261028)] {
        let fresh = json!({"pointer": "/where/not", "kind": "segment", "name": "seg_2", "ds": ds, "missing_days": []});
        assert_eq!(used(day), (id.to_owned(), fresh));
    }
    let newest = check(r#"{"where": {"segment": "seg_2"}}"#).unwrap();
    assert_eq!(newest.plan.as_of.number(), 20261030);
    assert_eq!(newest.warnings, []);
    let behind = check(r#"{"as_of": 20261029, "where": {"segment": "seg_2"}}"#).unwrap();
    assert_eq!((behind.warnings[0].code, &*behind.warnings[0].pointer), (codes::SEGMENT_BEHIND, "/where"));

    let refused = |text: &str| {
        let problems = check(text).unwrap_err();
        (problems[0].code, problems[0].pointer.clone())
    };
    let early = r#"{"as_of": 20261024, "where": {"any": [{"segment": "seg_2"}]}}"#;
    assert_eq!(refused(early), (codes::SEGMENT_NOT_MADE, "/where/any/0/segment".to_owned()));
    let never = r#"{"where": {"segment": "seg_new"}}"#;
    assert_eq!(refused(never), (codes::SEGMENT_NOT_MADE, "/where/segment".to_owned()));
    let unknown = r#"{"where": {"segment": "seg_3"}}"#;
    assert_eq!(refused(unknown), (codes::UNKNOWN_SEGMENT, "/where/segment".to_owned()));
    let named = r#"{"where": {"any": [{"segment": "b"}, {"not": {"all": [{"segment": "a"}]}}]}}"#;
    let rule = parse(named.as_bytes(), &Caps::default()).unwrap();
    let named: Vec<(&str, String)> = rule.named().segments.into_iter().collect();
    assert_eq!(named, [("a", "/where/any/1/not/all/0".to_owned()), ("b", "/where/any/0".to_owned())]);
}

/// A run may look from a day that no data are published for.
#[test]
fn a_segment_of_a_day_to_come_takes_no_rule_there() {
    let mut words = shop::shop();
    words.cohorts.insert("coh_far".to_owned(), ds(20991231));
    let cohorts = [(ds(20261028), "coh_1".to_owned()), (ds(20991231), "coh_far".to_owned())];
    words.made.segments.insert("seg_far".to_owned(), cohorts.to_vec());
    let rule = parse(br#"{"where": {"segment": "seg_far"}}"#, &Caps::default()).unwrap();
    let found = check(&rule, &words, &Caps::default()).unwrap();
    assert_eq!(found.plan.as_of.number(), 20261101);
    assert_eq!(found.plan.leaves[0].test, Test::Cohort { id: "coh_1".to_owned() });
}

#[test]
fn a_list_is_what_it_is_now_whatever_the_day() {
    let mut words = shop::shop();
    words.made.lists.insert("lst_new".to_owned(), Vec::new());
    let check =
        |text: &str| check(&parse(text.as_bytes(), &Caps::default()).unwrap(), &words, &Caps::default());
    for (text, as_of) in [
        (r#"{"where": {"list": "lst_1"}}"#, 20261101),
        (r#"{"as_of": 20200101, "where": {"list": "lst_1"}}"#, 20200101),
        (r#"{"where": {"any": [{"list": "lst_1"}, {"label": "gender", "in": ["male"]}]}}"#, 20261030),
    ] {
        let found = check(text).unwrap();
        assert_eq!(found.plan.as_of.number(), as_of);
        assert_eq!(found.plan.leaves[0].test, Test::Cohort { id: "coh_1".to_owned() });
        let fresh = serde_json::to_value(&found.freshness[0]).unwrap();
        assert_eq!((&fresh["kind"], &fresh["name"]), (&json!("list"), &json!("lst_1")));
        assert_eq!((&fresh["ds"], found.warnings.len()), (&json!(20261028), 0));
    }
    let refused = |text: &str| {
        let problems = check(text).unwrap_err();
        (problems[0].code, problems[0].pointer.clone())
    };
    let empty = r#"{"where": {"not": {"list": "lst_new"}}}"#;
    assert_eq!(refused(empty), (codes::LIST_NOT_FILLED, "/where/not/list".to_owned()));
    for unknown in ["lst_2", "seg_1"] {
        let text = format!(r#"{{"where": {{"list": "{unknown}"}}}}"#);
        assert_eq!(refused(&text), (codes::UNKNOWN_LIST, "/where/list".to_owned()));
    }
    let other = r#"{"where": {"segment": "lst_1"}}"#;
    assert_eq!(refused(other), (codes::UNKNOWN_SEGMENT, "/where/segment".to_owned()));
}

#[test]
fn many_warnings_are_cut_short_with_a_word() {
    let condition = r#"{"label": "nobody_has", "set": true}"#;
    let text = format!(r#"{{"where": {{"any": [{}]}}}}"#, vec![condition; 150].join(","));
    let warnings = plan(&text).warnings;
    assert_eq!(warnings.len(), 101);
    assert_eq!(warnings[100].code, codes::MORE_WARNINGS);
    assert!(warnings[100].detail.contains("50"));
}

#[test]
fn an_endless_window_is_measured_from_as_of() {
    let text = r#"{"as_of": 20261101, "where": {"event": "visit", "from": 20000101}}"#;
    let problems = checked(text).unwrap_err();
    assert_eq!((problems[0].code, problems[0].pointer.as_str()), (codes::WINDOW_TOO_LONG, "/where/from"));
}

#[test]
fn the_tree_is_normalised_and_leaves_keep_their_places() {
    let nested = plan(
        r#"{"where": {"all": [{"all": [{"label": "gender", "in": [1]}, {"any": [{"event": "visit"}]}]},
            {"not": {"not": {"cohort": "coh_1"}}}]}}"#,
    );
    assert_eq!(nested.plan.root, Node::All(vec![Node::Leaf(0), Node::Leaf(1), Node::Leaf(2)]));
    let pointers: Vec<_> = nested.plan.leaves.iter().map(|leaf| leaf.pointer.as_str()).collect();
    assert_eq!(pointers, ["/where/all/0/all/0", "/where/all/0/all/1/any/0", "/where/all/1/not/not"]);
}
