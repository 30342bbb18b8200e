//! Many entries at once: what is named is replaced, everything else stays.

use muster_catalogue::{Entry, Kind};
use serde_json::{Map, Value};

use super::change::{Author, Changed, change};
use crate::Labels;
use crate::error::{Error, Result};

const PARTS: [(&str, Kind); 3] =
    [("labels", Kind::Label), ("base_crowds", Kind::BaseCrowd), ("events", Kind::Event)];

/// `body` is a document as a catalogue is read, whole or in part.
pub async fn load(labels: &Labels, app: &str, author: &Author, body: Map<String, Value>) -> Result<Changed> {
    let entries = entries(body)?;
    change(labels, app, author, place, |_| Ok(entries.clone())).await
}

fn entries(body: Map<String, Value>) -> Result<Vec<Entry>> {
    let mut entries = Vec::new();
    for (key, value) in body {
        match (key.as_str(), value) {
            // As it stands in a document that was read before.
            ("version", _) => {}
            ("settings", body) => {
                entries.push(Entry { kind: Kind::Settings, name: String::new(), body: Some(body) });
            }
            (key, Value::Object(cards))
                if let Some((_, kind)) = PARTS.iter().find(|(name, _)| *name == key) =>
            {
                let entry = |(name, body)| Entry { kind: *kind, name, body: Some(body) };
                entries.extend(cards.into_iter().map(entry));
            }
            (key, _) => return Err(Error::unknown_part(key)),
        }
    }
    Ok(entries)
}

/// The pointer of an entry in such a document.
fn place(entry: &Entry) -> String {
    let part = PARTS.iter().find(|(_, kind)| *kind == entry.kind);
    match part {
        Some((part, _)) => format!("/{part}/{}", entry.name.replace('~', "~0").replace('/', "~1")),
        None => "/settings".to_owned(),
    }
}
