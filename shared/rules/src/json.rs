//! JSON as a tree that keeps every key in order, so that a key given twice is seen and not overwritten.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use crate::depth::TooDeep;
use crate::pointer::At;

#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json {
    Null,
    Bool(bool),
    Integer(i64),
    /// A number with a fraction or an exponent, or an integer beyond 64 bits.
    Decimal(f64),
    Text(String),
    List(Vec<Json>),
    Object(Vec<(String, Json)>),
}

impl Json {
    /// With its article, for sentences.
    pub fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Integer(_) | Json::Decimal(_) => "a number",
            Json::Text(_) => "a string",
            Json::List(_) => "a list",
            Json::Object(_) => "an object",
        }
    }

    /// The same tree; refused, with the place, where it nests deeper than `limit`.
    pub fn from_value(value: &Value, limit: usize) -> Result<Json, TooDeep> {
        let mut pointer = None;
        let json = convert(value, &At::root(), limit, &mut pointer);
        match pointer {
            None => Ok(json),
            Some(pointer) => Err(TooDeep { pointer, depth: depth_of(value) }),
        }
    }
}

/// Recurses at most `left` levels, whatever the value holds.
fn convert(value: &Value, at: &At, left: usize, too_deep: &mut Option<String>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => Json::Integer(integer),
            None => Json::Decimal(number.as_f64().unwrap_or(f64::NAN)),
        },
        Value::String(text) => Json::Text(text.clone()),
        Value::Array(_) | Value::Object(_) if left == 0 => {
            too_deep.get_or_insert_with(|| at.to_string());
            Json::Null
        }
        Value::Array(items) => Json::List(
            items
                .iter()
                .enumerate()
                .map(|(n, item)| convert(item, &at.index(n), left - 1, too_deep))
                .collect(),
        ),
        Value::Object(entries) => Json::Object(
            entries
                .iter()
                .map(|(key, item)| (key.clone(), convert(item, &at.key(key), left - 1, too_deep)))
                .collect(),
        ),
    }
}

/// Levels of nesting, with a stack of its own: the value may be deeper than any thread's.
fn depth_of(value: &Value) -> usize {
    let mut deepest = 0;
    let mut open = vec![(value, 1)];
    while let Some((value, level)) = open.pop() {
        match value {
            Value::Array(items) => open.extend(items.iter().map(|item| (item, level + 1))),
            Value::Object(entries) => open.extend(entries.values().map(|item| (item, level + 1))),
            _ => continue,
        }
        deepest = deepest.max(level);
    }
    deepest
}

impl<'de> Deserialize<'de> for Json {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(Tree)
    }
}

struct Tree;

impl<'de> Visitor<'de> for Tree {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, flag: bool) -> Result<Json, E> {
        Ok(Json::Bool(flag))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Json, E> {
        Ok(Json::Integer(number))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Json, E> {
        Ok(i64::try_from(number).map_or(Json::Decimal(number as f64), Json::Integer))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Json, E> {
        Ok(Json::Decimal(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Json, E> {
        Ok(Json::Text(text.to_owned()))
    }

    fn visit_string<E>(self, text: String) -> Result<Json, E> {
        Ok(Json::Text(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Json, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Json::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Json, A::Error> {
        let mut object = Vec::new();
        while let Some(entry) = entries.next_entry()? {
            object.push(entry);
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_deeper_than_any_stack_is_refused_with_its_place() {
        let mut value = Value::Null;
        for _ in 0..100_000 {
            value = Value::Array(vec![value]);
        }
        let refused = Json::from_value(&value, 3).unwrap_err();
        assert_eq!(refused, TooDeep { pointer: "/0/0/0".into(), depth: 100_000 });
        // Taken apart level by level: dropping it whole would recurse 100,000 deep.
        while let Value::Array(mut items) = value {
            value = items.pop().unwrap();
        }
    }

    #[test]
    fn text_and_value_give_one_tree_and_repeated_keys_are_kept() {
        let text = r#"{"a": [1, -2, 1.5, 18446744073709551615, true, null, "x"], "b": {}}"#;
        let parsed: Json = serde_json::from_str(text).unwrap();
        assert_eq!(Json::from_value(&serde_json::from_str(text).unwrap(), 10), Ok(parsed));
        let twice: Json = serde_json::from_str(r#"{"a": 1, "a": 2}"#).unwrap();
        assert_eq!(twice, Json::Object(vec![("a".into(), Json::Integer(1)), ("a".into(), Json::Integer(2))]));
    }
}
