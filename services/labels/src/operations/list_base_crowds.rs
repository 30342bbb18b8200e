//! The predefined base crowds, with the events that count for each in this app now.

use muster_http::Page;
use muster_profile_store::Manifest;
use muster_rules::crowds::{PREDEFINED, TRADE_EVENTS, predefined};
use serde::Serialize;
use utoipa::ToSchema;

use super::paging::Paging;
use crate::error::{Error, Result};

/// A universe that a rule can name.
#[derive(Debug, Serialize, ToSchema)]
pub struct BaseCrowd {
    #[schema(example = "active_7d")]
    pub name: String,
    pub description: String,
    /// Length of the window, which ends on the rule's `as_of`; null when time does not matter.
    #[schema(required)]
    pub days: Option<u32>,
    /// The app's events that count for it now, by name; null when events do not matter.
    #[schema(required)]
    pub events: Option<Vec<String>>,
}

/// `all`, then the windows from short to long.
pub fn list_base_crowds(manifest: &Manifest, paging: &Paging<String>) -> Result<Page<BaseCrowd>> {
    let crowds = every_crowd(manifest);
    let start = match &paging.after {
        Some(name) => crowds.iter().position(|crowd| crowd.name == *name).ok_or(Error::ForeignCursor)? + 1,
        None => 0,
    };
    let rows = crowds.into_iter().skip(start).take(paging.fetch()).collect();
    Ok(paging.page(rows, |crowd| crowd.name.clone()))
}

fn every_crowd(manifest: &Manifest) -> Vec<BaseCrowd> {
    let all = BaseCrowd {
        name: "all".to_owned(),
        description: "Every user that a label or an event has ever named.".to_owned(),
        days: None,
        events: None,
    };
    let events: Vec<String> = manifest.events.keys().cloned().collect();
    let windows = PREDEFINED.iter().filter_map(|&(name, days)| {
        let crowd = predefined(name, &events)?;
        let description = describe(name, days);
        Some(BaseCrowd { name: name.to_owned(), description, days: Some(days), events: Some(crowd.events) })
    });
    std::iter::once(all).chain(windows).collect()
}

fn describe(name: &str, days: u32) -> String {
    let what = if name.starts_with("trade_") {
        format!("an event called {}", TRADE_EVENTS.map(|event| format!("`{event}`")).join(" or "))
    } else {
        "any event".to_owned()
    };
    match days {
        1 => format!("Users with {what} on the day the rule looks from."),
        _ => format!("Users with {what} in the {days} days that end on the day the rule looks from."),
    }
}
