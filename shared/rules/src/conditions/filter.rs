//! Filters of an event condition: what a row's dimension must hold.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::catalogue::Catalogue;
use crate::check::Dating;
use crate::codes;
use crate::conditions::regex;
use crate::json::Json;
use crate::plan::{Filter, Matcher};
use crate::pointer::{At, escape};
use crate::problem::shown;
use crate::reader::{Reader, listed};

const KEYS: [&str; 5] = ["in", "not_in", "contains", "prefix", "regex"];

/// Unknown values of one list that are warned of one by one.
const MOST_VALUES: usize = 10;

/// One test of a dimension's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ValueTest {
    In(Vec<String>),
    NotIn(Vec<String>),
    Contains(String),
    Prefix(String),
    Regex(String),
}

/// Dimension → its tests, at most one of each kind, in the order of [`ValueTest`].
pub(crate) type Filters = BTreeMap<String, Vec<ValueTest>>;

pub(crate) fn read(reader: &mut Reader, json: &Json, at: &At) -> Option<Filters> {
    let fields =
        reader.object(json, at, "an object of dimensions, such as {\"page\": {\"in\": [\"/sale\"]}}")?;
    let mut filters = Filters::new();
    let mut complete = true;
    for (dimension, json) in fields.0 {
        let place = reader.place(at, dimension);
        let named = reader.check_name(dimension, &place);
        let tests = if named { tests(reader, json, &place) } else { None };
        complete &= tests.is_some();
        filters.insert(dimension.clone(), tests.unwrap_or_default());
    }
    complete.then_some(filters)
}

fn tests(reader: &mut Reader, json: &Json, at: &At) -> Option<Vec<ValueTest>> {
    let fields = reader.object(json, at, "an object such as {\"in\": [\"/sale\"]}")?;
    if !reader.only(fields, at, &KEYS) {
        return None;
    }
    let given = fields.given(&KEYS);
    if given.is_empty() {
        reader.missing(at, format!("say what the dimension must hold: one or more of {}", listed(&KEYS)));
        return None;
    }
    let read: Vec<_> =
        given.into_iter().map(|key| test(reader, key, fields.get(key)?, &at.key(key))).collect();
    read.into_iter().collect()
}

fn test(reader: &mut Reader, key: &str, json: &Json, at: &At) -> Option<ValueTest> {
    match key {
        "in" => values(reader, json, at).map(ValueTest::In),
        "not_in" => values(reader, json, at).map(ValueTest::NotIn),
        _ => {
            let text = reader.text(json, at)?.to_owned();
            match key {
                "contains" => Some(ValueTest::Contains(text)),
                "prefix" => Some(ValueTest::Prefix(text)),
                _ => regex::valid(reader, &text, at).then_some(ValueTest::Regex(text)),
            }
        }
    }
}

/// Values are text; whole numbers and booleans stand for their own text.
fn values(reader: &mut Reader, json: &Json, at: &At) -> Option<Vec<String>> {
    let items = reader.list(json, at)?;
    let mut texts = Vec::with_capacity(items.len());
    for (n, item) in items.iter().enumerate() {
        match item {
            Json::Text(text) => texts.push(text.clone()),
            Json::Integer(number) => texts.push(number.to_string()),
            Json::Bool(flag) => texts.push(flag.to_string()),
            Json::Decimal(_) => {
                let detail = "write this number in quotes, just as it stands in the data";
                reader.problems.push(&at.index(n), codes::WRONG_TYPE, detail);
            }
            other => reader.wrong_type(other, &at.index(n), "a string"),
        }
    }
    (texts.len() == items.len()).then_some(texts)
}

impl ValueTest {
    pub(crate) fn key(&self) -> &'static str {
        match self {
            ValueTest::In(_) => "in",
            ValueTest::NotIn(_) => "not_in",
            ValueTest::Contains(_) => "contains",
            ValueTest::Prefix(_) => "prefix",
            ValueTest::Regex(_) => "regex",
        }
    }

    pub(crate) fn plan(&self, dimension: &str) -> Filter {
        let matcher = match self {
            ValueTest::In(values) => Matcher::In(values.iter().cloned().collect()),
            ValueTest::NotIn(values) => Matcher::NotIn(values.iter().cloned().collect()),
            ValueTest::Contains(text) => Matcher::Contains(text.clone()),
            ValueTest::Prefix(text) => Matcher::Prefix(text.clone()),
            ValueTest::Regex(pattern) => Matcher::Regex(pattern.clone()),
        };
        Filter { dimension: dimension.to_owned(), matcher }
    }

    /// Whether the dimension's dictionary has a value for this test; lists are asked value by value.
    fn matches_any(&self, event: &str, dimension: &str, catalogue: &dyn Catalogue) -> bool {
        match self {
            ValueTest::In(_) | ValueTest::NotIn(_) => true,
            ValueTest::Contains(part) => catalogue.any_value(event, dimension, &|value| value.contains(part)),
            ValueTest::Prefix(start) => {
                catalogue.any_value(event, dimension, &|value| value.starts_with(start))
            }
            ValueTest::Regex(pattern) => match regex::compile(pattern) {
                Ok(regex) => catalogue.any_value(event, dimension, &|value| regex.is_match(value)),
                Err(_) => false,
            },
        }
    }
}

/// Warns of tests that no value of the dimension can pass, and of listed values that do not exist.
pub(crate) fn warn(dating: &mut Dating, event: &str, filters: &Filters, pointer: &str) {
    for (dimension, tests) in filters {
        for test in tests {
            let place = format!("{pointer}/where/{}/{}", escape(dimension), test.key());
            match test {
                ValueTest::In(values) => {
                    unknown_values(dating, event, dimension, values, &place, "matches nobody")
                }
                ValueTest::NotIn(values) => {
                    unknown_values(dating, event, dimension, values, &place, "excludes nobody");
                }
                _ if test.matches_any(event, dimension, dating.catalogue) => {}
                _ => {
                    let detail = format!("no value of `{}` matches this", shown(dimension));
                    dating.warn(place, codes::NO_MATCHING_VALUE, detail);
                }
            }
        }
    }
}

fn unknown_values(
    dating: &mut Dating,
    event: &str,
    dimension: &str,
    values: &[String],
    place: &str,
    effect: &str,
) {
    let catalogue = dating.catalogue;
    let mut unknown =
        values.iter().enumerate().filter(|(_, value)| !catalogue.has_value(event, dimension, value));
    for (n, value) in unknown.by_ref().take(MOST_VALUES) {
        let detail = format!(
            "`{}` of `{}` has never had the value `{}`: it {effect}",
            shown(dimension),
            shown(event),
            shown(value)
        );
        dating.warn(format!("{place}/{n}"), codes::UNKNOWN_VALUE, detail);
    }
    let more = unknown.count();
    if more > 0 {
        dating.warn(place, codes::UNKNOWN_VALUE, format!("{more} more values of this list are unknown"));
    }
}

/// The tests of one dimension as one object.
pub(crate) struct Tests<'t>(pub &'t [ValueTest]);

impl Serialize for Tests<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for test in self.0 {
            match test {
                ValueTest::In(values) | ValueTest::NotIn(values) => {
                    map.serialize_entry(test.key(), values)?
                }
                ValueTest::Contains(text) | ValueTest::Prefix(text) | ValueTest::Regex(text) => {
                    map.serialize_entry(test.key(), text)?;
                }
            }
        }
        map.end()
    }
}
