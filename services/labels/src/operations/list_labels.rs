//! The labels of an app, and the label that a path means.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;

use muster_catalogue::DisplayNames;
use muster_evaluator::SnapshotCatalogue;
use muster_http::Page;
use muster_profile_store::Snapshot;
use muster_rules::Catalogue;
use serde::Serialize;
use utoipa::ToSchema;

use super::matching::{How, Wanted, page_after};
use super::paging::Paging;
use super::published::Published;
use super::search::{Called, Found};
use crate::error::{Error, Result, What};

/// A label and what is published of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Label {
    pub id: i64,
    pub name: String,
    /// How many tags it has, over all days and in the catalogue.
    pub tags: usize,
    /// User-tag pairs on the newest day; a user with two tags counts twice. Null where they are fewer than the
    /// app's privacy floor.
    #[schema(required)]
    pub pairs: Option<u64>,
    pub published: Published,
    /// When the newest day was published, in milliseconds since 1970.
    #[schema(required)]
    pub published_at: Option<i64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub display_names: DisplayNames,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
    /// How it matches the `match` that was asked for.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub how: Option<How>,
    /// What of it does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub matched: Option<Matched>,
}

/// The name, or id, that matches best.
#[derive(Debug, Serialize, ToSchema)]
pub struct Matched {
    pub text: String,
    /// The tag that is called so, where it is not the label itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tag: Option<i64>,
}

/// What was asked for.
pub struct LabelQuery {
    /// Retired ones too.
    pub retired: bool,
    pub matching: Option<String>,
}

/// The labels by id, or those that match, the best match first; retired ones only when they are asked for.
pub fn list_labels(snapshot: &Snapshot, query: &LabelQuery, paging: &Paging<i64>) -> Result<Page<Label>> {
    let (published, declared) = (&snapshot.manifest().labels, &snapshot.catalogue().labels);
    let mut ids: BTreeSet<i64> = published.keys().chain(declared.keys()).copied().collect();
    let is_retired = |id: &i64| declared.get(id).is_some_and(|card| card.retired);
    ids.retain(|id| query.retired || !is_retired(id));
    let texts = ids.iter().map(|&id| Called::of(snapshot, id).texts()).sum();
    if let Some(wanted) = Wanted::new(query.matching.as_deref(), texts)? {
        let find = |id| Called::of(snapshot, id).find(&wanted, query.retired);
        let after = paging.after.map(|id| find(id).ok_or(Error::ForeignCursor));
        let page =
            page_after(after.transpose()?, ids.iter().filter_map(|&id| find(id)), paging, |last| last.id);
        return Ok(page.map(|found| describe_found(snapshot, &found)));
    }
    let start = paging.after.map_or(Bound::Unbounded, Bound::Excluded);
    let page = ids.range((start, Bound::Unbounded)).take(paging.fetch());
    Ok(paging.page(page.map(|&id| describe(snapshot, id)).collect(), |label| label.id))
}

fn describe_found(snapshot: &Snapshot, found: &Found<'_>) -> Label {
    let text = if found.text.is_empty() { found.id.to_string() } else { found.text.to_owned() };
    let matched = Some(Matched { text, tag: found.tag });
    Label { how: Some(found.how()), matched, ..describe(snapshot, found.id) }
}

fn describe(snapshot: &Snapshot, id: i64) -> Label {
    let entry = snapshot.manifest().labels.get(&id);
    let card = snapshot.catalogue().labels.get(&id).cloned().unwrap_or_default();
    let days = entry.map(|entry| &entry.days);
    let newest = days.and_then(|days| days.values().next_back());
    let pairs = newest.map_or(0, |day| day.pairs);
    let pairs = Some(pairs).filter(|_| pairs_shown(snapshot, id));
    let published = entry.into_iter().flat_map(|entry| entry.tags.keys());
    let tags: BTreeSet<&i64> = published.chain(card.tags.keys()).collect();
    Label {
        id,
        name: name_of(snapshot, id),
        tags: tags.len(),
        pairs,
        published: Published::new(days.into_iter().flat_map(|days| days.keys().copied())),
        published_at: newest.map(|day| day.published_at),
        display_names: card.display_names,
        group: card.group,
        owner: card.owner,
        description: card.description,
        retired: card.retired,
        how: None,
        matched: None,
    }
}

/// Less the tags that are listed, they would tell those whose users are too few to be shown.
fn pairs_shown(snapshot: &Snapshot, id: i64) -> bool {
    let floor = snapshot.catalogue().settings.floor();
    let newest = snapshot.manifest().labels.get(&id).and_then(|entry| entry.days.keys().next_back());
    let Some(ds) = newest.filter(|_| floor.users() > 1) else { return true };
    let Ok(Some(part)) = snapshot.label(id, *ds) else { return false };
    let everybody = snapshot.directory().users();
    part.meta().tags.values().all(|tag| floor.shown(tag.users, everybody).is_some())
}

/// The name that rules use; the id where a label was declared without one.
pub fn name_of(snapshot: &Snapshot, id: i64) -> String {
    SnapshotCatalogue::new(snapshot).label_by_id(id).map_or_else(|| id.to_string(), |label| label.name)
}

/// The id of the label that `given` names: by its id, else by its name. It may be declared alone.
pub fn find_label(snapshot: &Snapshot, given: &str) -> Result<i64> {
    if let Ok(id) = given.parse::<i64>()
        && (snapshot.manifest().labels.contains_key(&id) || snapshot.catalogue().labels.contains_key(&id))
    {
        return Ok(id);
    }
    let known = SnapshotCatalogue::new(snapshot);
    let named = known.label_by_name(given).map(|label| label.id);
    named.ok_or_else(|| Error::UnknownName {
        what: What::Label,
        given: given.to_owned(),
        nearest: muster_rules::nearest(given, known.label_names()),
    })
}
