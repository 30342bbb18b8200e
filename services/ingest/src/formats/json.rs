//! One line of NDJSON as a list of keys and raw values: numbers keep their digits, nothing passes
//! through a float.

use std::borrow::Cow;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::checks::Reason;

/// An object's fields in their order, doubled ones too.
pub(super) struct Object<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

/// A key, borrowed from the line unless it holds an escape.
#[derive(serde::Deserialize)]
struct Key<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Object<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut fields = Vec::new();
                while let Some(Key(key)) = map.next_key()? {
                    fields.push((key, map.next_value()?));
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

impl<'a> Object<'a> {
    pub fn parse(text: &'a str) -> Result<Object<'a>, Reason> {
        serde_json::from_str(text).map_err(|err| match err.classify() {
            serde_json::error::Category::Data => "not a JSON object".into(),
            _ => format!("not valid JSON at character {} of the line", err.column()).into(),
        })
    }
}

/// A value that fits a cell.
pub(super) enum Scalar<'a> {
    Null,
    Boolean(&'static str),
    /// As it was written.
    Number(&'a str),
    Text(Cow<'a, str>),
}

impl<'a> Scalar<'a> {
    pub fn of(value: &'a RawValue) -> Result<Scalar<'a>, Reason> {
        let raw = value.get();
        Ok(match raw.as_bytes().first() {
            Some(b'n') => Scalar::Null,
            Some(b't') => Scalar::Boolean("true"),
            Some(b'f') => Scalar::Boolean("false"),
            Some(b'{') => return Err("an object where a single value is expected".into()),
            Some(b'[') => return Err("an array where a single value is expected".into()),
            Some(b'"') if !raw.contains('\\') => Scalar::Text(Cow::Borrowed(&raw[1..raw.len() - 1])),
            Some(b'"') => {
                Scalar::Text(serde_json::from_str(raw).map(Cow::Owned).map_err(|_| "not a valid string")?)
            }
            _ => Scalar::Number(raw),
        })
    }
}

/// The decimal text of a JSON number that is a whole number of at most 64 bits, signed or not.
pub(super) fn whole(raw: &str) -> Result<&str, Reason> {
    if raw.contains(['.', 'e', 'E']) {
        return Err("a number with a fraction or an exponent".into());
    }
    match (raw.parse::<i64>(), raw.parse::<u64>()) {
        (Ok(0), _) => Ok("0"), // JSON knows -0
        (Ok(_), _) | (_, Ok(_)) => Ok(raw),
        _ => Err("a number of more than 64 bits".into()),
    }
}
