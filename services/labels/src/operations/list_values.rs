//! The dictionary of one dimension of one event.

use muster_http::Page;
use muster_profile_store::{Dictionary, Snapshot};
use serde::Serialize;
use utoipa::ToSchema;

use super::list_events::find_event;
use super::matching::{How, Wanted, best};
use super::paging::Paging;
use crate::error::{Error, Result, What};

/// A dimension's value.
#[derive(Debug, Serialize, ToSchema)]
pub struct DimensionValue {
    /// Its number in the dictionary, in order of first appearance; never given to another value.
    pub id: u32,
    pub value: String,
    /// How it matches the `match` that was asked for.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    pub how: Option<How>,
}

/// What was asked for.
pub struct ValueQuery {
    pub event: String,
    pub dimension: String,
    pub matching: Option<String>,
}

/// The values by id, or those that match, the best match first.
pub fn list_values(
    snapshot: &Snapshot,
    query: &ValueQuery,
    paging: &Paging<u32>,
) -> Result<Page<DimensionValue>> {
    let event = find_event(snapshot.manifest(), &query.event)?;
    let dictionary =
        snapshot.dictionary(&query.event, &query.dimension)?.ok_or_else(|| Error::UnknownName {
            what: What::Dimension,
            given: query.dimension.clone(),
            nearest: muster_rules::nearest(&query.dimension, event.dimensions.keys()),
        })?;
    match Wanted::new(query.matching.as_deref(), dictionary.len() as usize)? {
        Some(wanted) => best_values(&dictionary, &wanted, paging),
        None => Ok(values_by_id(&dictionary, paging)),
    }
}

fn values_by_id(dictionary: &Dictionary, paging: &Paging<u32>) -> Page<DimensionValue> {
    let start = paging.after.map_or(0, |id| id.saturating_add(1));
    let values = (start..dictionary.len()).filter_map(|id| Some((id, dictionary.value(id)?)));
    let rows = values.take(paging.fetch()).map(|(id, value)| describe(id, value, None)).collect();
    paging.page(rows, |value: &DimensionValue| value.id)
}

fn best_values(
    dictionary: &Dictionary,
    wanted: &Wanted,
    paging: &Paging<u32>,
) -> Result<Page<DimensionValue>> {
    let found = best((0..).zip(dictionary.values()), wanted, paging, |id| dictionary.value(id))?;
    Ok(found.map(|found| describe(found.key, found.text, Some(found.rank.0))))
}

fn describe(id: u32, value: &str, how: Option<How>) -> DimensionValue {
    DimensionValue { id, value: value.to_owned(), how }
}
