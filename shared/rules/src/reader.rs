//! Reading of plain JSON pieces with a problem noted for each one that is not what it should be.

use std::collections::HashSet;

use muster_days::Ds;

use crate::caps::Caps;
use crate::codes;
use crate::json::Json;
use crate::nearest::nearest;
use crate::pointer::At;
use crate::problem::{Problems, over, shown};

/// Every method answers `None` after noting a problem at the place it was given.
pub(crate) struct Reader<'c> {
    pub caps: &'c Caps,
    pub problems: Problems,
}

/// The entries of an object.
#[derive(Clone, Copy)]
pub(crate) struct Fields<'j>(pub &'j [(String, Json)]);

impl<'j> Fields<'j> {
    pub fn get(&self, key: &str) -> Option<&'j Json> {
        self.0.iter().find(|(name, _)| name == key).map(|(_, value)| value)
    }

    /// Those of `keys` that are given, in the order of `keys`.
    pub fn given<'k>(&self, keys: &[&'k str]) -> Vec<&'k str> {
        keys.iter().copied().filter(|key| self.get(key).is_some()).collect()
    }
}

impl Reader<'_> {
    pub fn wrong_type(&mut self, json: &Json, at: &At, expected: &str) {
        let detail = format!("this must be {expected}, not {}", json.kind());
        self.problems.push(at, codes::WRONG_TYPE, detail);
    }

    /// An object whose keys are its caller's names; a key given twice is a problem.
    pub fn object<'j>(&mut self, json: &'j Json, at: &At, expected: &str) -> Option<Fields<'j>> {
        let Json::Object(entries) = json else {
            self.wrong_type(json, at, expected);
            return None;
        };
        let mut seen = HashSet::new();
        for (key, _) in entries {
            if !seen.insert(key.as_str()) {
                let detail = format!("`{}` is given twice: keep one", shown(key));
                self.note_key(at, key, codes::DUPLICATE_KEY, detail, None);
            }
        }
        Some(Fields(entries))
    }

    /// Notes every key that is not one of `known`; `true` if there is none.
    pub fn only(&mut self, fields: Fields, at: &At, known: &[&str]) -> bool {
        let mut clean = true;
        for (key, _) in fields.0 {
            if known.contains(&key.as_str()) || self.problems.full() {
                continue;
            }
            clean = false;
            let detail = format!("`{}` is not a key here: the keys are {}", shown(key), listed(known));
            self.note_key(at, key, codes::UNKNOWN_KEY, detail, nearest(key, known));
        }
        clean
    }

    fn note_key(&mut self, at: &At, key: &str, code: &'static str, detail: String, nearest: Option<String>) {
        let place = self.place(at, key);
        self.problems.push_nearest(&place, code, detail, nearest);
    }

    /// A key too long to repeat is pointed at through the object that holds it.
    pub fn place<'a>(&self, at: &'a At<'a>, key: &'a str) -> At<'a> {
        if key.len() > self.caps.name_bytes { *at } else { at.key(key) }
    }

    /// At most one of `keys` may be given; a second one is noted at its own place.
    pub fn one_of<'k>(&mut self, fields: Fields, at: &At, keys: &[&'k str], advice: &str) -> Option<&'k str> {
        let given = fields.given(keys);
        if let [first, second, ..] = given[..] {
            let detail = format!("`{first}` and `{second}` don't go together: {advice}");
            self.problems.push(&at.key(second), codes::CONFLICTING_KEYS, detail);
        }
        given.first().copied()
    }

    pub fn missing(&mut self, at: &At, detail: impl Into<String>) {
        self.problems.push(at, codes::MISSING_KEY, detail);
    }

    pub fn integer(&mut self, json: &Json, at: &At) -> Option<i64> {
        match json {
            Json::Integer(number) => return Some(*number),
            Json::Decimal(_) => {
                let detail = "write a whole number between -9223372036854775808 and 9223372036854775807, \
                              without fraction or exponent";
                self.problems.push(at, codes::NOT_AN_INTEGER, detail);
            }
            _ => self.wrong_type(json, at, "a whole number"),
        }
        None
    }

    pub fn boolean(&mut self, json: &Json, at: &At) -> Option<bool> {
        if let Json::Bool(flag) = json {
            return Some(*flag);
        }
        self.wrong_type(json, at, "true or false");
        None
    }

    pub fn text<'j>(&mut self, json: &'j Json, at: &At) -> Option<&'j str> {
        if let Json::Text(text) = json {
            return Some(text);
        }
        self.wrong_type(json, at, "a string");
        None
    }

    /// A name of something: not empty, within the cap.
    pub fn name(&mut self, json: &Json, at: &At) -> Option<String> {
        let text = self.text(json, at)?;
        self.check_name(text, at).then(|| text.to_owned())
    }

    pub fn check_name(&mut self, name: &str, at: &At) -> bool {
        if name.is_empty() {
            self.problems.push(at, codes::EMPTY_NAME, "write a name: this one is empty");
            return false;
        }
        let limit = self.caps.name_bytes;
        if name.len() > limit {
            let detail = over("name_bytes", limit, name.len(), "write a shorter name");
            self.problems.push(at, codes::NAME_TOO_LONG, detail);
            return false;
        }
        true
    }

    /// A list with at least one entry, within the cap.
    pub fn list<'j>(&mut self, json: &'j Json, at: &At) -> Option<&'j [Json]> {
        let Json::List(items) = json else {
            self.wrong_type(json, at, "a list");
            return None;
        };
        if items.is_empty() {
            self.problems.push(
                at,
                codes::EMPTY_LIST,
                "this list is empty: name at least one, or leave the condition out",
            );
            return None;
        }
        let limit = self.caps.list;
        if items.len() > limit {
            let detail = over("list", limit, items.len(), "shorten the list, or import it as a label");
            self.problems.push(at, codes::LIST_TOO_LONG, detail);
            return None;
        }
        Some(items)
    }

    /// Two whole numbers; `meaning` says which.
    pub fn pair(&mut self, json: &Json, at: &At, meaning: &str) -> Option<(i64, i64)> {
        let Json::List(items) = json else {
            self.wrong_type(json, at, &format!("a list of two whole numbers, {meaning}"));
            return None;
        };
        let [first, second] = &items[..] else {
            let detail = format!("this must be two whole numbers, {meaning}, not {} entries", items.len());
            self.problems.push(at, codes::WRONG_TYPE, detail);
            return None;
        };
        let (first, second) = (self.integer(first, &at.index(0)), self.integer(second, &at.index(1)));
        Some((first?, second?))
    }

    /// `YYYYMMDD` as a number or as text.
    pub fn day(&mut self, json: &Json, at: &At) -> Option<Ds> {
        let day = match json {
            Json::Integer(number) => Ds::from_number(*number),
            Json::Text(text) => text.parse(),
            _ => {
                self.wrong_type(json, at, "a day written YYYYMMDD, such as 20261101");
                return None;
            }
        };
        day.map_err(|refused| self.problems.push(at, codes::NOT_A_DAY, refused.to_string())).ok()
    }
}

/// `a`, `b` and `c`.
pub(crate) fn listed(names: &[&str]) -> String {
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    match &quoted[..] {
        [] => String::new(),
        [only] => only.clone(),
        [front @ .., last] => format!("{} and {last}", front.join(", ")),
    }
}
