//! What an app's team has said of its data, beside what is imported: settings, names and owners of labels
//! and tags, base crowds of its own, what its events count as. One document per app, replaced whole.
//!
//! Plain data: the labels service checks it before it is kept, everybody else reads it.

mod cards;
mod entry;
mod floor;
pub mod hidden;
mod settings;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use cards::{BaseCrowdCard, EventCard, LabelCard, TagCard};
pub use entry::{Entry, Kind};
pub use floor::Floor;
pub use settings::{AppSettings, UnknownLabels};

/// Language (`en`, `zh-CN`) → name.
pub type DisplayNames = BTreeMap<String, String>;

/// An app's document. An app of which nobody has said anything has an empty one of version 0.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct AppCatalogue {
    /// Goes up by one with every change.
    pub version: u32,
    pub settings: AppSettings,
    /// By label id.
    pub labels: BTreeMap<i64, LabelCard>,
    /// By code, the name that rules use.
    pub base_crowds: BTreeMap<String, BaseCrowdCard>,
    /// By name.
    pub events: BTreeMap<String, EventCard>,
}
