//! The document in pieces: what a change replaces.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::{AppCatalogue, AppSettings};

/// What an entry is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    Settings,
    Label,
    BaseCrowd,
    Event,
}

impl Kind {
    /// The kind's name on the wire and in tables.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Settings => "settings",
            Kind::Label => "label",
            Kind::BaseCrowd => "base_crowd",
            Kind::Event => "event",
        }
    }

    pub fn named(name: &str) -> Option<Kind> {
        [Kind::Settings, Kind::Label, Kind::BaseCrowd, Kind::Event]
            .into_iter()
            .find(|kind| kind.name() == name)
    }
}

/// One piece of the document.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Entry {
    pub kind: Kind,
    /// The label's id, the crowd's code, the event's name; empty for the settings.
    pub name: String,
    /// None where there is nothing (any more).
    #[schema(value_type = Object, nullable)]
    pub body: Option<Value>,
}

impl AppCatalogue {
    /// Every piece that there is, by kind and name.
    pub fn entries(&self) -> BTreeMap<(Kind, String), Value> {
        let mut entries = BTreeMap::new();
        if self.settings != AppSettings::default() {
            entries.insert((Kind::Settings, String::new()), value(&self.settings));
        }
        entries.extend(self.labels.iter().map(|(id, card)| ((Kind::Label, id.to_string()), value(card))));
        let crowds = self.base_crowds.iter();
        entries.extend(crowds.map(|(code, card)| ((Kind::BaseCrowd, code.clone()), value(card))));
        let events = self.events.iter();
        entries.extend(events.map(|(name, card)| ((Kind::Event, name.clone()), value(card))));
        entries
    }

    /// Puts a piece in its place, or takes it out.
    pub fn set(&mut self, entry: &Entry) -> Result<(), serde_json::Error> {
        let Entry { kind, name, body } = entry;
        match kind {
            Kind::Settings => self.settings = read(body)?.unwrap_or_default(),
            Kind::Label => {
                let id =
                    name.parse().map_err(|_| serde::de::Error::custom("a label's id is a whole number"))?;
                place(&mut self.labels, id, read(body)?);
            }
            Kind::BaseCrowd => place(&mut self.base_crowds, name.clone(), read(body)?),
            Kind::Event => place(&mut self.events, name.clone(), read(body)?),
        }
        Ok(())
    }
}

fn value(card: &impl Serialize) -> Value {
    serde_json::to_value(card).expect("text keys and plain values always serialise")
}

fn read<T: DeserializeOwned>(body: &Option<Value>) -> Result<Option<T>, serde_json::Error> {
    body.as_ref().map(|body| T::deserialize(body)).transpose()
}

fn place<K: Ord, T>(map: &mut BTreeMap<K, T>, key: K, card: Option<T>) {
    match card {
        Some(card) => _ = map.insert(key, card),
        None => _ = map.remove(&key),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_document_is_the_sum_of_its_entries() {
        let text = json!({
            "version": 7,
            "settings": {"time_zone": "Asia/Shanghai", "unknown_labels": "refuse"},
            "labels": {"10001": {"name": "gender", "display_names": {"zh": "性别"}, "retired": true,
                                 "tags": {"-1": {"name": "unknown"}}}},
            "base_crowds": {"vip": {"rule": {"where": {"label": "vip"}}}},
            "events": {"visit": {"active": false}},
        });
        let document: AppCatalogue = serde_json::from_value(text.clone()).unwrap();
        assert_eq!(serde_json::to_value(&document).unwrap(), text);
        let entry = |(kind, name), body| Entry { kind, name, body };
        let mut copy = AppCatalogue { version: 7, ..AppCatalogue::default() };
        for (key, body) in document.entries() {
            copy.set(&entry(key, Some(body))).unwrap();
        }
        assert_eq!(copy, document);
        for (key, _) in document.entries() {
            copy.set(&entry(key, None)).unwrap();
        }
        assert_eq!(copy, AppCatalogue { version: 7, ..AppCatalogue::default() });
    }

    #[test]
    fn an_unknown_field_is_an_error() {
        let entry = Entry { kind: Kind::Event, name: "visit".into(), body: Some(json!({"activ": true})) };
        assert!(AppCatalogue::default().set(&entry).unwrap_err().to_string().contains("activ"));
    }
}
