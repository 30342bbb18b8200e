//! The tree of a rule as its author wrote it, and its canonical JSON.

use std::collections::BTreeMap;

use muster_days::Ds;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::conditions::event::EventCondition;
use crate::conditions::label::LabelCondition;

/// The version of the language, written into every canonical rule.
pub(crate) const VERSION: i64 = 1;

/// Name of the universe of every user.
pub(crate) const EVERYONE: &str = "all";

/// A rule within its caps. Names are as written: only `check` knows whether they exist.
///
/// Serialises to its canonical JSON, which parses back to the same rule: fixed key order, defaults
/// written out, lists as they were given. JSON pointers into both texts name the same conditions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    pub universe: String,
    /// `None`: the newest day that any part of the rule is published for.
    pub as_of: Option<Ds>,
    /// What stands under `where`.
    pub root: Condition,
}

/// A node of the tree, nested no deeper than [`crate::Caps::depth`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// Everyone when empty.
    All(Vec<Condition>),
    /// Nobody when empty.
    Any(Vec<Condition>),
    Not(Box<Condition>),
    Label(LabelCondition),
    Event(EventCondition),
    /// Members of the cohort with this id.
    Cohort(String),
    /// Members of the newest cohort of the segment with this id.
    Segment(String),
    /// Users on the list with this id, as it is now.
    List(String),
}

/// What a rule names of what its app has made, with the JSON pointer of a condition that does.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Named<'r> {
    pub segments: BTreeMap<&'r str, String>,
    pub lists: BTreeMap<&'r str, String>,
}

impl Rule {
    /// The canonical JSON text: the stored form of a rule.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("text keys and plain values always serialise")
    }
}

impl Rule {
    /// The segments and the lists that the rule names, each with the JSON pointer of a condition that does.
    pub fn named(&self) -> Named<'_> {
        let mut found = Named::default();
        let mut left = vec![("/where".to_owned(), &self.root)];
        while let Some((pointer, condition)) = left.pop() {
            match condition {
                Condition::All(items) => left.extend(inside(&pointer, "all", items)),
                Condition::Any(items) => left.extend(inside(&pointer, "any", items)),
                Condition::Not(inner) => left.push((format!("{pointer}/not"), inner)),
                Condition::Segment(id) => _ = found.segments.insert(id, pointer),
                Condition::List(id) => _ = found.lists.insert(id, pointer),
                Condition::Label(_) | Condition::Event(_) | Condition::Cohort(_) => {}
            }
        }
        found
    }
}

fn inside<'r>(
    pointer: &str,
    key: &str,
    items: &'r [Condition],
) -> impl Iterator<Item = (String, &'r Condition)> {
    items.iter().enumerate().map(move |(n, item)| (format!("{pointer}/{key}/{n}"), item))
}

impl Serialize for Rule {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("version", &VERSION)?;
        map.serialize_entry("universe", &self.universe)?;
        if let Some(as_of) = self.as_of {
            map.serialize_entry("as_of", &as_of)?;
        }
        map.serialize_entry("where", &self.root)?;
        map.end()
    }
}

impl Serialize for Condition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Condition::All(items) => single(serializer, "all", items),
            Condition::Any(items) => single(serializer, "any", items),
            Condition::Not(inner) => single(serializer, "not", inner),
            Condition::Label(label) => label.serialize(serializer),
            Condition::Event(event) => event.serialize(serializer),
            Condition::Cohort(id) => single(serializer, "cohort", id),
            Condition::Segment(id) => single(serializer, "segment", id),
            Condition::List(id) => single(serializer, "list", id),
        }
    }
}

/// `{"key": value}`
pub(crate) fn single<S: Serializer>(
    serializer: S,
    key: &str,
    value: &(impl Serialize + ?Sized),
) -> Result<S::Ok, S::Error> {
    let mut map = serializer.serialize_map(Some(1))?;
    map.serialize_entry(key, value)?;
    map.end()
}
