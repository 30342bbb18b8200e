//! Comparisons of a whole number: `{"gte": 3}`, `{"between": [1, 5]}`.

use serde::ser::{Serialize, Serializer};

use crate::codes;
use crate::json::Json;
use crate::pointer::At;
use crate::reader::{Fields, Reader, listed};
use crate::rule::single;

const KEYS: [&str; 7] = ["eq", "ne", "gt", "gte", "lt", "lte", "between"];

/// A test of a total.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Compare {
    Eq(i64),
    Ne(i64),
    Gt(i64),
    Gte(i64),
    Lt(i64),
    Lte(i64),
    /// Both ends included; the first is never above the second.
    Between(i64, i64),
}

impl Compare {
    /// Totals are wider than the numbers they are made of, so that no sum can overflow.
    pub fn holds(&self, total: i128) -> bool {
        match *self {
            Compare::Eq(n) => total == i128::from(n),
            Compare::Ne(n) => total != i128::from(n),
            Compare::Gt(n) => total > i128::from(n),
            Compare::Gte(n) => total >= i128::from(n),
            Compare::Lt(n) => total < i128::from(n),
            Compare::Lte(n) => total <= i128::from(n),
            Compare::Between(low, high) => (i128::from(low)..=i128::from(high)).contains(&total),
        }
    }
}

/// One comparison, or one lower and one upper bound together, which is a `between`.
pub(crate) fn read(reader: &mut Reader, json: &Json, at: &At) -> Option<Compare> {
    let fields = reader.object(json, at, "a comparison, such as {\"gte\": 3}")?;
    if !reader.only(fields, at, &KEYS) {
        return None;
    }
    match fields.given(&KEYS)[..] {
        [] => {
            reader.missing(at, format!("write a comparison: one of {}", listed(&KEYS)));
            None
        }
        [key] => one(reader, fields, key, at),
        [low @ ("gt" | "gte"), high @ ("lt" | "lte")] => range(reader, fields, low, high, at),
        [first, second, ..] => {
            let detail = format!(
                "`{first}` and `{second}` don't go together: one comparison, \
                 or one of `gt` and `gte` with one of `lt` and `lte`"
            );
            reader.problems.push(&at.key(second), codes::CONFLICTING_KEYS, detail);
            None
        }
    }
}

fn one(reader: &mut Reader, fields: Fields, key: &str, at: &At) -> Option<Compare> {
    let json = fields.get(key)?;
    let place = at.key(key);
    if key == "between" {
        let (low, high) = reader.pair(json, &place, "[lowest, highest]")?;
        return between(reader, low, high, &place);
    }
    let number = reader.integer(json, &place)?;
    Some(match key {
        "eq" => Compare::Eq(number),
        "ne" => Compare::Ne(number),
        "gt" => Compare::Gt(number),
        "gte" => Compare::Gte(number),
        "lt" => Compare::Lt(number),
        _ => Compare::Lte(number),
    })
}

fn range(reader: &mut Reader, fields: Fields, low: &str, high: &str, at: &At) -> Option<Compare> {
    let least = reader.integer(fields.get(low)?, &at.key(low));
    let most = reader.integer(fields.get(high)?, &at.key(high));
    let (least, most) = (least?, most?);
    // An open end at the edge of 64 bits leaves no number in between.
    let least = if low == "gt" { least.checked_add(1) } else { Some(least) };
    let most = if high == "lt" { most.checked_sub(1) } else { Some(most) };
    match (least, most) {
        (Some(least), Some(most)) => between(reader, least, most, at),
        _ => between(reader, 1, 0, at),
    }
}

fn between(reader: &mut Reader, low: i64, high: i64, at: &At) -> Option<Compare> {
    if low <= high {
        return Some(Compare::Between(low, high));
    }
    let detail = "no number lies in this range: the lower bound is above the upper one";
    reader.problems.push(at, codes::BAD_COMPARISON, detail);
    None
}

impl Serialize for Compare {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Compare::Eq(n) => single(serializer, "eq", n),
            Compare::Ne(n) => single(serializer, "ne", n),
            Compare::Gt(n) => single(serializer, "gt", n),
            Compare::Gte(n) => single(serializer, "gte", n),
            Compare::Lt(n) => single(serializer, "lt", n),
            Compare::Lte(n) => single(serializer, "lte", n),
            Compare::Between(low, high) => single(serializer, "between", &[low, high]),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::caps::Caps;
    use crate::problem::Problems;

    fn check(text: &str, expected: Result<Compare, (&str, &str)>) {
        let caps = Caps::default();
        let mut reader = Reader { caps: &caps, problems: Problems::default() };
        let compare = read(&mut reader, &serde_json::from_str(text).unwrap(), &At::root());
        let result = reader.problems.finish(compare);
        let result = result.map_err(|problems| (problems[0].pointer.clone(), problems[0].code));
        assert_eq!(result, expected.map_err(|(pointer, code)| (pointer.to_owned(), code)), "{text}");
    }

    #[test]
    fn one_comparison_or_two_bounds() {
        check(r#"{"ne": -3}"#, Ok(Compare::Ne(-3)));
        check(r#"{"gt": 3, "lte": 9}"#, Ok(Compare::Between(4, 9)));
        check(r#"{"lt": 9, "gte": 3}"#, Ok(Compare::Between(3, 8)));
        check(r#"{"gt": 3, "lt": 4}"#, Err(("", codes::BAD_COMPARISON)));
        check(r#"{"gt": 9223372036854775807, "lt": 4}"#, Err(("", codes::BAD_COMPARISON)));
        check(r#"{"gt": 3, "gte": 4}"#, Err(("/gte", codes::CONFLICTING_KEYS)));
        check(r#"{"eq": 3, "lt": 4}"#, Err(("/lt", codes::CONFLICTING_KEYS)));
        check(r#"{"between": [5, 4]}"#, Err(("/between", codes::BAD_COMPARISON)));
        check(r#"{"between": [5, 4.5]}"#, Err(("/between/1", codes::NOT_AN_INTEGER)));
        check(r#"{"gte": 9223372036854775808}"#, Err(("/gte", codes::NOT_AN_INTEGER)));
        check(r#"{}"#, Err(("", codes::MISSING_KEY)));
    }

    #[test]
    fn holds_at_and_beside_its_bounds() {
        let held = |compare: Compare| (-1..=3).filter(|n| compare.holds(*n)).collect::<Vec<i128>>();
        assert_eq!(held(Compare::Eq(1)), [1]);
        assert_eq!(held(Compare::Ne(1)), [-1, 0, 2, 3]);
        assert_eq!(held(Compare::Gt(1)), [2, 3]);
        assert_eq!(held(Compare::Gte(1)), [1, 2, 3]);
        assert_eq!(held(Compare::Lt(1)), [-1, 0]);
        assert_eq!(held(Compare::Lte(1)), [-1, 0, 1]);
        assert_eq!(held(Compare::Between(0, 2)), [0, 1, 2]);
        assert!(Compare::Gt(i64::MAX).holds(i128::from(i64::MAX) + 1));
    }
}
