//! A catalogue, its versions, and what a change came to, for people.

use serde_json::Value;

use super::table::{Table, one_line, pad};
use super::text;

/// What there is of each part, a line an entry.
pub fn document(document: &Value) -> String {
    let mut parts = vec![format!("version {}", text(document, "version"))];
    let settings = entries(document, "settings");
    let settings = settings.map(|(key, value)| format!("{}{}", pad(key, 18), one_line(&plain(value))));
    parts.push(settings.collect::<Vec<_>>().join("\n"));
    let mut labels = Table::new(&["LABEL", "NAME", "GROUP", "OWNER", "TAGS", "DISPLAY NAMES", ""]);
    for (id, card) in entries(document, "labels") {
        let [name, group, owner] = ["name", "group", "owner"].map(|key| text(card, key));
        let tags = entries(card, "tags").count().to_string();
        labels.row(vec![id.clone(), name, group, owner, tags, names(card), retired(card)]);
    }
    parts.push(table(document, "labels", &labels));
    let mut crowds = Table::new(&["BASE CROWD", "OWNER", "DESCRIPTION", "DISPLAY NAMES", ""]);
    for (code, card) in entries(document, "base_crowds") {
        let [owner, description] = ["owner", "description"].map(|key| text(card, key));
        crowds.row(vec![code.clone(), owner, description, names(card), retired(card)]);
    }
    parts.push(table(document, "base_crowds", &crowds));
    let mut events = Table::new(&["EVENT", "ACTIVE", "TRADE", "OWNER", "DESCRIPTION", "DISPLAY NAMES"]);
    for (name, card) in entries(document, "events") {
        let [active, trade, owner, description] =
            ["active", "trade", "owner", "description"].map(|key| text(card, key));
        events.row(vec![name.clone(), active, trade, owner, description, names(card)]);
    }
    parts.push(table(document, "events", &events));
    parts.retain(|part| !part.is_empty());
    parts.join("\n\n")
}

/// The versions, a line each.
pub fn changes(list: &Value) -> String {
    let mut table = Table::new(&["VERSION", "CHANGED", "BY", "WHAT"]);
    for change in list.get("items").and_then(Value::as_array).into_iter().flatten() {
        table.row(["version", "changed_at", "changed_by", "what"].map(|key| text(change, key)).to_vec());
    }
    table.to_text()
}

/// The version and the entries that are different from before.
pub fn changed(answer: &Value) -> String {
    let version = text(answer, "version");
    let dry = answer.get("dry_run").and_then(Value::as_bool).unwrap_or_default();
    let entries = answer.get("changed").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let line = match (entries, dry) {
        ([], _) => return format!("nothing is different: the catalogue is at version {version}"),
        (_, true) => format!("would change, of version {version}, and nothing has been:"),
        (_, false) => format!("the catalogue is at version {version}; changed:"),
    };
    let entry =
        |entry: &Value| one_line(format!("  {} {}", text(entry, "kind"), text(entry, "name")).trim_end());
    std::iter::once(line).chain(entries.iter().map(entry)).collect::<Vec<_>>().join("\n")
}

fn entries<'a>(of: &'a Value, part: &str) -> impl Iterator<Item = (&'a String, &'a Value)> {
    of.get(part).and_then(Value::as_object).into_iter().flatten()
}

/// Nothing where the part has no entries.
fn table(document: &Value, part: &str, table: &Table) -> String {
    if entries(document, part).next().is_none() { String::new() } else { table.to_text() }
}

fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn names(card: &Value) -> String {
    let name = |(language, name): (&String, &Value)| format!("{language}: {}", plain(name));
    entries(card, "display_names").map(name).collect::<Vec<_>>().join(", ")
}

fn retired(card: &Value) -> String {
    let retired = card.get("retired").and_then(Value::as_bool).unwrap_or_default();
    if retired { "retired".to_owned() } else { String::new() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_part_that_there_is_has_its_lines() {
        assert_eq!(document(&json!({"version": 0, "settings": {}, "labels": {}})), "version 0");
        let catalogue = json!({
            "version": 3, "settings": {"time_zone": "Asia/Shanghai", "privacy_floor": 20},
            "labels": {
                "1": {"name": "gender", "display_names": {"en": "Gender", "zh": "性别"}, "tags": {"1": {}, "2": {}}},
                "2": {"name": "old\nname", "retired": true}
            },
            "events": {"order": {"trade": true}}
        });
        let lines = "version 3

privacy_floor     20
time_zone         Asia/Shanghai

LABEL  NAME      GROUP  OWNER  TAGS  DISPLAY NAMES
1      gender                  2     en: Gender, zh: 性别
2      old\u{fffd}name                0                           retired

EVENT  ACTIVE  TRADE  OWNER  DESCRIPTION  DISPLAY NAMES
order          true";
        assert_eq!(document(&catalogue), lines);
    }

    #[test]
    fn a_change_says_what_it_came_to() {
        let answer =
            |dry_run: bool, changed: Value| json!({"version": 4, "dry_run": dry_run, "changed": changed});
        let two = json!([{"kind": "label", "name": "10001"}, {"kind": "settings", "name": ""}]);
        assert_eq!(
            changed(&answer(false, two.clone())),
            "the catalogue is at version 4; changed:\n  label 10001\n  settings"
        );
        assert!(changed(&answer(true, two)).starts_with("would change, of version 4, and nothing has been:"));
        assert_eq!(changed(&answer(false, json!([]))), "nothing is different: the catalogue is at version 4");
    }
}
