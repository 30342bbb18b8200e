//! The labels of an app, and the label that a path means.

use std::ops::Bound;

use muster_http::Page;
use muster_profile_store::{LabelEntry, Manifest};
use serde::Serialize;
use utoipa::ToSchema;

use super::paging::Paging;
use super::published::Published;
use crate::error::{Error, Result, What};

/// A label and what is published of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Label {
    pub id: i64,
    pub name: String,
    /// How many tags it has, over all days.
    pub tags: usize,
    /// User-tag pairs on the newest day; a user with two tags counts twice.
    pub pairs: u64,
    pub published: Published,
    /// When the newest day was published, in milliseconds since 1970.
    #[schema(required)]
    pub published_at: Option<i64>,
}

/// The labels by id.
pub fn list_labels(manifest: &Manifest, paging: &Paging<i64>) -> Page<Label> {
    let start = paging.after.map_or(Bound::Unbounded, Bound::Excluded);
    let labels = manifest.labels.range((start, Bound::Unbounded)).take(paging.fetch());
    paging.page(labels.map(|(&id, entry)| describe(id, entry)).collect(), |label| label.id)
}

fn describe(id: i64, entry: &LabelEntry) -> Label {
    let newest = entry.days.values().next_back();
    Label {
        id,
        name: entry.name.clone(),
        tags: entry.tags.len(),
        pairs: newest.map_or(0, |day| day.pairs),
        published: Published::new(entry.days.keys().copied()),
        published_at: newest.map(|day| day.published_at),
    }
}

/// The label that `given` names: by its id, else by its name.
pub fn find_label<'a>(manifest: &'a Manifest, given: &str) -> Result<(i64, &'a LabelEntry)> {
    if let Ok(id) = given.parse::<i64>()
        && let Some(entry) = manifest.labels.get(&id)
    {
        return Ok((id, entry));
    }
    let named = manifest.labels.iter().find(|(_, entry)| entry.name == given);
    named.map(|(&id, entry)| (id, entry)).ok_or_else(|| Error::UnknownName {
        what: What::Label,
        given: given.to_owned(),
        nearest: muster_rules::nearest(given, manifest.labels.values().map(|entry| &entry.name)),
    })
}
