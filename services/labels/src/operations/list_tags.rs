//! The tags of a label on one day.

use std::collections::BTreeMap;
use std::ops::Bound;

use muster_catalogue::{DisplayNames, LabelCard};
use muster_days::Ds;
use muster_http::Page;
use muster_profile_store::{LabelMeta, Snapshot, TagMeta};
use serde::Serialize;
use utoipa::ToSchema;

use super::list_labels::{find_label, name_of};
use super::matching::{How, Wanted, page_after};
use super::paging::Paging;
use super::search::find_tag;
use crate::error::{Error, Result};

/// The tags of a label on one day, one page of them.
#[derive(Debug, Serialize, ToSchema)]
pub struct TagPage {
    pub label: LabelName,
    /// The day that the numbers are of.
    #[schema(value_type = u32, example = 20261101)]
    pub ds: Ds,
    pub items: Vec<Tag>,
    /// The `cursor` of the next page; null on the last one.
    #[schema(required)]
    pub next: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct LabelName {
    pub id: i64,
    pub name: String,
}

/// A tag on one day.
#[derive(Debug, Serialize, ToSchema)]
pub struct Tag {
    pub id: i64,
    pub name: String,
    /// Users who carry it. Null where these, or all others, are fewer than the app's privacy floor.
    #[schema(required)]
    pub users: Option<u64>,
    /// Those of them whose pair has a weight; null likewise.
    #[schema(required)]
    pub weighted: Option<u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub display_names: DisplayNames,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
    /// How it matches the `match` that was asked for.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub how: Option<How>,
}

/// What was asked for.
pub struct TagQuery {
    /// Name or id.
    pub label: String,
    /// The newest published day when None.
    pub ds: Option<Ds>,
    pub matching: Option<String>,
}

/// The tags by id, or those that match, the best match first.
pub fn list_tags(snapshot: &Snapshot, query: &TagQuery, paging: &Paging<i64>) -> Result<TagPage> {
    let id = find_label(snapshot, &query.label)?;
    let name = name_of(snapshot, id);
    let days = snapshot.manifest().labels.get(&id).map(|entry| &entry.days);
    let ds = query.ds.or(days.and_then(|days| days.keys().next_back().copied()));
    let part = ds.map(|ds| snapshot.label(id, ds)).transpose()?.flatten();
    let Some(part) = part else {
        let published = days.into_iter().flat_map(|days| days.keys().copied()).collect();
        return Err(Error::NotPublished { label: name, ds, published });
    };
    let meta = part.meta();
    let card = snapshot.catalogue().labels.get(&id);
    let page = match Wanted::new(query.matching.as_deref(), meta.tags.len())? {
        Some(wanted) => best_tags(meta, card, &wanted, paging)?,
        None => tags_by_id(meta, paging),
    };
    let (floor, everybody) = (snapshot.catalogue().settings.floor(), snapshot.directory().users());
    let page = page.map(|tag| {
        let users = tag.users.and_then(|users| floor.shown(users, everybody));
        let weighted = users.and_then(|users| floor.shown(tag.weighted?, users));
        Tag { users, weighted, ..tag }
    });
    let page = page.map(|tag| match card.and_then(|card| card.tags.get(&tag.id)) {
        Some(card) => Tag { display_names: card.display_names.clone(), retired: card.retired, ..tag },
        None => tag,
    });
    let label = LabelName { id, name };
    Ok(TagPage { label, ds: meta.ds, items: page.items, next: page.next })
}

fn tags_by_id(meta: &LabelMeta, paging: &Paging<i64>) -> Page<Tag> {
    let start = paging.after.map_or(Bound::Unbounded, Bound::Excluded);
    let tags = meta.tags.range((start, Bound::Unbounded)).take(paging.fetch());
    paging.page(tags.map(|(&id, tag)| describe(id, tag, None)).collect(), |tag| tag.id)
}

fn best_tags(
    meta: &LabelMeta,
    card: Option<&LabelCard>,
    wanted: &Wanted,
    paging: &Paging<i64>,
) -> Result<Page<Tag>> {
    let cards = card.map(|card| &card.tags);
    let find = |id: i64| find_tag((id, meta.tags.get(&id)?.name.as_str()), cards, wanted);
    let after = paging.after.map(|id| find(id).ok_or(Error::ForeignCursor)).transpose()?;
    let found = meta.tags.keys().filter_map(|&id| find(id));
    let page = page_after(after, found, paging, |last| last.id);
    Ok(page.map(|found| describe(found.id, &meta.tags[&found.id], Some(found.how()))))
}

fn describe(id: i64, tag: &TagMeta, how: Option<How>) -> Tag {
    let (display_names, retired) = (DisplayNames::new(), false);
    let (users, weighted) = (Some(tag.users), Some(tag.weighted));
    Tag { id, name: tag.name.clone(), users, weighted, display_names, retired, how }
}
