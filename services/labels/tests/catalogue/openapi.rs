//! The service's part of the OpenAPI document.

use std::collections::BTreeSet;

use serde_json::Value;

fn document() -> Value {
    serde_json::to_value(muster_labels::openapi()).unwrap()
}

/// Every `$ref` in the document.
fn references<'a>(value: &'a Value, found: &mut BTreeSet<&'a str>) {
    match value {
        Value::Object(object) => {
            found.extend(object.get("$ref").and_then(Value::as_str));
            object.values().for_each(|value| references(value, found));
        }
        Value::Array(items) => items.iter().for_each(|value| references(value, found)),
        _ => {}
    }
}

#[test]
fn every_route_is_described_with_its_errors() {
    let document = document();
    let paths = document["paths"].as_object().unwrap();
    let expected = BTreeSet::from([
        "/v1/apps",
        "/v1/apps/{app}",
        "/v1/apps/{app}/base-crowds",
        "/v1/apps/{app}/base-crowds/{code}",
        "/v1/apps/{app}/catalogue",
        "/v1/apps/{app}/catalogue/changes",
        "/v1/apps/{app}/catalogue/changes/{version}",
        "/v1/apps/{app}/catalogue/rollback",
        "/v1/apps/{app}/events",
        "/v1/apps/{app}/events/{event}",
        "/v1/apps/{app}/events/{event}/dimensions/{dim}",
        "/v1/apps/{app}/labels",
        "/v1/apps/{app}/labels/{label}",
        "/v1/apps/{app}/labels/{label}/tags",
        "/v1/apps/{app}/settings",
    ]);
    assert_eq!(paths.keys().map(String::as_str).collect::<BTreeSet<_>>(), expected);
    for (path, item) in paths.iter().filter(|(_, item)| item["get"].is_object()) {
        let responses = item["get"]["responses"].as_object().unwrap();
        let mut statuses = vec!["200", "400", "401", "403", "500"];
        if path.contains("{app}") {
            statuses.push("404");
        }
        for status in &statuses {
            let content = &responses[*status]["content"];
            let media = if *status == "200" { "application/json" } else { "application/problem+json" };
            assert!(content[media]["schema"].is_object(), "{path} {status}: {content}");
        }
        assert_eq!(responses.len(), statuses.len(), "{path}");
        for parameter in item["get"]["parameters"].as_array().unwrap() {
            let required = parameter["in"] == "path";
            assert_eq!(parameter["required"], required, "{path}: {parameter}");
        }
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let document = document();
    let mut found = BTreeSet::new();
    references(&document, &mut found);
    assert!(!found.is_empty());
    for reference in found {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}
