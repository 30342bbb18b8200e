//! The base crowds of an app: the predefined ones, with the events that count for each in this app now, and
//! those of its own.

use std::collections::BTreeMap;

use muster_catalogue::{BaseCrowdCard, DisplayNames};
use muster_evaluator::SnapshotCatalogue;
use muster_http::Page;
use muster_profile_store::Snapshot;
use muster_rules::Catalogue;
use muster_rules::crowds::{Crowd, PREDEFINED};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::paging::Paging;
use crate::error::{Error, Result};

/// A universe that a rule can name.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct BaseCrowd {
    /// The name that rules use.
    #[schema(example = "active_7d")]
    pub name: String,
    pub description: String,
    /// Length of the window, which ends on the rule's `as_of`; null when time does not matter, or a rule
    /// says it.
    #[schema(required)]
    pub days: Option<u32>,
    /// The app's events that count for it now, by name; null when events do not matter, or a rule says it.
    #[schema(required)]
    pub events: Option<Vec<String>>,
    /// Of a crowd of the app's own: the rule that says who is in it.
    #[schema(value_type = Object)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<Value>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub display_names: DisplayNames,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub retired: bool,
}

/// `all`, then the windows from short to long, then the app's own by code.
pub fn list_base_crowds(
    snapshot: &Snapshot,
    retired: bool,
    paging: &Paging<String>,
) -> Result<Page<BaseCrowd>> {
    let mut crowds = every_crowd(snapshot);
    crowds.retain(|crowd| retired || !crowd.retired);
    let start = match &paging.after {
        Some(name) => crowds.iter().position(|crowd| crowd.name == *name).ok_or(Error::ForeignCursor)? + 1,
        None => 0,
    };
    let rows = crowds.into_iter().skip(start).take(paging.fetch()).collect();
    Ok(paging.page(rows, |crowd| crowd.name.clone()))
}

fn every_crowd(snapshot: &Snapshot) -> Vec<BaseCrowd> {
    let all = BaseCrowd {
        name: "all".to_owned(),
        description: "Every user that a label or an event has ever named.".to_owned(),
        ..BaseCrowd::default()
    };
    let known = SnapshotCatalogue::new(snapshot);
    let windows = PREDEFINED.iter().filter_map(|&(name, _)| match known.crowd(name)? {
        Crowd::Window { events, days } => Some(BaseCrowd {
            name: name.to_owned(),
            description: describe(name, days),
            days: Some(days),
            events: Some(events),
            ..BaseCrowd::default()
        }),
        Crowd::Defined { .. } => None,
    });
    let own = snapshot.catalogue().base_crowds.iter().map(|(code, card)| own(code, card.clone()));
    std::iter::once(all).chain(windows).chain(own).collect()
}

fn own(code: &str, card: BaseCrowdCard) -> BaseCrowd {
    BaseCrowd {
        name: code.to_owned(),
        description: card.description.unwrap_or_default(),
        rule: Some(card.rule),
        display_names: card.display_names,
        owner: card.owner,
        retired: card.retired,
        ..BaseCrowd::default()
    }
}

fn describe(name: &str, days: u32) -> String {
    let what = if name.starts_with("trade_") {
        "an event that counts as trade"
    } else {
        "an event that counts as active"
    };
    match days {
        1 => format!("Users with {what} on the day the rule looks from."),
        _ => format!("Users with {what} in the {days} days that end on the day the rule looks from."),
    }
}
