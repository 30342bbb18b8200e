//! `{"label": …}`: users by the tags they carry, or by the weight of a tag.

use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use crate::catalogue::LabelInfo;
use crate::check::{Dating, Names};
use crate::codes;
use crate::compare::{self, Compare};
use crate::freshness::{Freshness, Part};
use crate::json::Json;
use crate::plan::Test;
use crate::pointer::At;
use crate::problem::shown;
use crate::reader::{Fields, Reader};

const KEYS: [&str; 5] = ["label", "in", "not_in", "set", "weight"];

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelCondition {
    pub label: Key,
    pub test: LabelTest,
}

/// A label or a tag as the rule names it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Key {
    Code(i64),
    /// Tried as a name first, then, if it is a decimal integer, as a code.
    Name(String),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LabelTest {
    /// Carries any of the tags.
    In(Vec<Key>),
    /// Carries none of the tags.
    NotIn(Vec<Key>),
    /// Carries the label at all, or not at all.
    Set(bool),
    /// Has a pair (with one of `tags`, if given) whose weight compares.
    Weight { tags: Option<Vec<Key>>, compare: Compare },
}

pub(crate) fn read(reader: &mut Reader, fields: Fields, at: &At) -> Option<LabelCondition> {
    reader.only(fields, at, &KEYS);
    let label = key(reader, fields.get("label")?, &at.key("label"));
    let test = test(reader, fields, at);
    Some(LabelCondition { label: label?, test: test? })
}

fn test(reader: &mut Reader, fields: Fields, at: &At) -> Option<LabelTest> {
    let advice = "say one thing about the label, and more in an `all`";
    let kind = reader.one_of(fields, at, &["in", "not_in", "set"], advice);
    if let Some(weight) = fields.get("weight") {
        return weighed(reader, fields, kind, weight, at);
    }
    let Some(kind) = kind else {
        reader.missing(at, "say what about the label: one of `in`, `not_in`, `set` and `weight`");
        return None;
    };
    let (json, at) = (fields.get(kind)?, at.key(kind));
    match kind {
        "in" => keys(reader, json, &at).map(LabelTest::In),
        "not_in" => keys(reader, json, &at).map(LabelTest::NotIn),
        _ => reader.boolean(json, &at).map(LabelTest::Set),
    }
}

fn weighed(
    reader: &mut Reader,
    fields: Fields,
    kind: Option<&str>,
    weight: &Json,
    at: &At,
) -> Option<LabelTest> {
    if let Some(other @ ("not_in" | "set")) = kind {
        let detail = format!(
            "`weight` goes with `in` or alone, not with `{other}`: \
             only carried tags have a weight; put two conditions in an `all`"
        );
        reader.problems.push(&at.key("weight"), codes::CONFLICTING_KEYS, detail);
        return None;
    }
    let compare = compare::read(reader, weight, &at.key("weight"));
    let tags = match fields.get("in") {
        None => None,
        Some(json) => Some(keys(reader, json, &at.key("in"))?),
    };
    Some(LabelTest::Weight { tags, compare: compare? })
}

fn keys(reader: &mut Reader, json: &Json, at: &At) -> Option<Vec<Key>> {
    let items = reader.list(json, at)?;
    let read: Vec<_> = items.iter().enumerate().map(|(n, item)| key(reader, item, &at.index(n))).collect();
    read.into_iter().collect()
}

fn key(reader: &mut Reader, json: &Json, at: &At) -> Option<Key> {
    match json {
        Json::Text(_) => reader.name(json, at).map(Key::Name),
        Json::Integer(_) | Json::Decimal(_) => reader.integer(json, at).map(Key::Code),
        _ => {
            reader.wrong_type(json, at, "a name or a code (a string or a whole number)");
            None
        }
    }
}

impl Serialize for LabelCondition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("label", &self.label)?;
        match &self.test {
            LabelTest::In(tags) => map.serialize_entry("in", tags)?,
            LabelTest::NotIn(tags) => map.serialize_entry("not_in", tags)?,
            LabelTest::Set(set) => map.serialize_entry("set", set)?,
            LabelTest::Weight { tags, compare } => {
                if let Some(tags) = tags {
                    map.serialize_entry("in", tags)?;
                }
                map.serialize_entry("weight", compare)?;
            }
        }
        map.end()
    }
}

/// A label condition whose label and tags are known.
pub(crate) struct Resolved<'r> {
    pub info: LabelInfo,
    test: &'r LabelTest,
    tags: Option<Vec<i64>>,
}

pub(crate) fn resolve<'r>(names: &mut Names, condition: &'r LabelCondition, at: &At) -> Option<Resolved<'r>> {
    let Some(info) = find(names, &condition.label) else {
        let known = names.catalogue.label_names();
        unknown(
            names,
            &at.key("label"),
            codes::UNKNOWN_LABEL,
            "the app has no label",
            &condition.label,
            known,
        );
        return None;
    };
    let (key, tags) = match &condition.test {
        LabelTest::In(tags) => ("in", Some(tags)),
        LabelTest::NotIn(tags) => ("not_in", Some(tags)),
        LabelTest::Weight { tags, .. } => ("in", tags.as_ref()),
        LabelTest::Set(_) => ("set", None),
    };
    let tags = match tags {
        None => None,
        Some(tags) => Some(codes_of(names, &info, tags, &at.key(key))?),
    };
    Some(Resolved { info, test: &condition.test, tags })
}

fn find(names: &Names, key: &Key) -> Option<LabelInfo> {
    let catalogue = names.catalogue;
    match key {
        Key::Code(id) => catalogue.label_by_id(*id),
        Key::Name(name) => {
            catalogue.label_by_name(name).or_else(|| catalogue.label_by_id(name.parse().ok()?))
        }
    }
}

/// The codes of all tags, sorted and without repeats; every unknown one is noted.
fn codes_of(names: &mut Names, label: &LabelInfo, tags: &[Key], at: &At) -> Option<Vec<i64>> {
    let mut found = Vec::with_capacity(tags.len());
    let mut complete = true;
    for (n, tag) in tags.iter().enumerate() {
        let codes = match tag {
            Key::Code(code) => vec![*code],
            Key::Name(name) => match names.catalogue.tag_codes(label.id, name) {
                codes if codes.is_empty() => name.parse().into_iter().collect(),
                codes => codes,
            },
        };
        let known = codes.into_iter().filter(|code| names.catalogue.has_tag(label.id, *code));
        let before = found.len();
        found.extend(known);
        if found.len() > before {
            continue;
        }
        complete = false;
        if names.problems.full() {
            break;
        }
        let what = format!("label `{}` has no tag", shown(&label.name));
        let known = names.catalogue.tag_names(label.id);
        unknown(names, &at.index(n), codes::UNKNOWN_TAG, &what, tag, known);
    }
    found.sort_unstable();
    found.dedup();
    complete.then_some(found)
}

fn unknown(names: &mut Names, at: &At, code: &'static str, what: &str, key: &Key, known: Vec<String>) {
    match key {
        Key::Code(number) => names.problems.push(at, code, format!("{what} with code {number}")),
        Key::Name(name) => names.unknown(at, code, format!("{what} `{}`", shown(name)), name, known),
    }
}

impl Resolved<'_> {
    /// The label counts with its newest day at or before the rule's.
    pub fn date(self, pointer: &str, dating: &mut Dating) -> Test {
        let as_of = dating.as_of;
        let ds = self.info.published.iter().rev().find(|day| **day <= as_of).copied();
        if ds.is_none() {
            let name = shown(&self.info.name);
            let detail =
                format!("nobody carries `{name}`: it is not published for {as_of} or any day before");
            dating.warn(pointer, codes::NOTHING_PUBLISHED, detail);
        }
        if self.info.retired {
            let detail = format!("the label `{}` is retired", shown(&self.info.name));
            dating.warn(pointer, codes::RETIRED, detail);
        }
        dating.freshness.push(Freshness {
            pointer: pointer.to_owned(),
            kind: Part::Label,
            name: self.info.name,
            ds,
            from: None,
            to: None,
            missing_days: Vec::new(),
        });
        let (label, tags) = (self.info.id, self.tags);
        match self.test {
            LabelTest::Weight { compare, .. } => Test::Weight { label, ds, tags, compare: *compare },
            LabelTest::In(_) | LabelTest::Set(true) => Test::Tags { label, ds, tags, negate: false },
            LabelTest::NotIn(_) | LabelTest::Set(false) => Test::Tags { label, ds, tags, negate: true },
        }
    }
}
