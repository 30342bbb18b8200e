//! The versions of a catalogue: who changed what and when, and the way back.

use chrono::{DateTime, Utc};
use muster_catalogue::{Entry, Kind};
use muster_http::Page;
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::change::{Author, Changed, change};
use crate::Labels;
use crate::error::{Error, Result};
use crate::operations::paging::Paging;
use crate::store::{self, ChangeRow};

/// A version of the catalogue.
#[derive(Debug, Serialize, ToSchema)]
pub struct Change {
    pub version: u32,
    pub changed_at: DateTime<Utc>,
    /// Id of the key that did it.
    pub changed_by: String,
    /// Which entries it replaced, for people.
    #[schema(example = "label 10001, base_crowd vip")]
    pub what: String,
}

/// A version and what it replaced.
#[derive(Debug, Serialize, ToSchema)]
pub struct ChangeWithEntries {
    #[serde(flatten)]
    pub change: Change,
    pub entries: Vec<Replaced>,
}

/// An entry before and after a change; null where there was or is nothing.
#[derive(Debug, Serialize, ToSchema)]
pub struct Replaced {
    pub kind: Kind,
    pub name: String,
    #[schema(value_type = Object, required, nullable)]
    pub before: Option<Value>,
    #[schema(value_type = Object, required, nullable)]
    pub after: Option<Value>,
}

fn read(row: ChangeRow) -> Result<Change> {
    let ChangeRow { version, changed_at, changed_by, what } = row;
    let changed_at = DateTime::from_timestamp_millis(changed_at);
    let changed_at = changed_at.ok_or_else(|| Error::inside("a change at no time"))?;
    Ok(Change { version, changed_at, changed_by, what })
}

/// Newest first.
pub async fn changes(labels: &Labels, app: &str, paging: &Paging<u32>) -> Result<Page<Change>> {
    let rows = store::changes(&labels.db, app, paging.after, paging.fetch() as u32).await?;
    let changes = rows.into_iter().map(read).collect::<Result<Vec<Change>>>()?;
    Ok(paging.page(changes, |change| change.version))
}

pub async fn one_change(labels: &Labels, app: &str, version: u32) -> Result<ChangeWithEntries> {
    let row = store::change(&labels.db, app, version).await?;
    let row = row.ok_or(Error::NoVersion(version))?;
    let mut before = store::document(&labels.db, app, version - 1).await?.entries();
    let after = store::entries_of(&labels.db, app, version).await?;
    let replaced = |Entry { kind, name, body }: Entry| Replaced {
        kind,
        before: before.remove(&(kind, name.clone())),
        after: body,
        name,
    };
    Ok(ChangeWithEntries { change: read(row)?, entries: after.into_iter().map(replaced).collect() })
}

/// Makes the catalogue what it was at `version`, as a new version.
pub async fn rollback(labels: &Labels, app: &str, author: &Author, version: u32) -> Result<Changed> {
    if version > 0 && store::change(&labels.db, app, version).await?.is_none() {
        return Err(Error::NoVersion(version));
    }
    let then = store::document(&labels.db, app, version).await?.entries();
    let place = |entry: &Entry| format!("/{}/{}", entry.kind.name(), entry.name);
    change(labels, app, author, place, |now| {
        let entry = |(kind, name): &(Kind, String), body| Entry { kind: *kind, name: name.clone(), body };
        let back = then.iter().map(|(key, body)| entry(key, Some(body.clone())));
        let now = now.entries();
        let gone = now.keys().filter(|key| !then.contains_key(*key)).map(|key| entry(key, None));
        Ok(back.chain(gone).collect())
    })
    .await
}
