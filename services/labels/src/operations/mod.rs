//! What the catalogue knows, one operation per file: each reads a snapshot and answers with what is sent.

pub mod catalogue;
pub mod list_apps;
pub mod list_base_crowds;
pub mod list_events;
pub mod list_labels;
pub mod list_tags;
pub mod list_values;
pub mod matching;
pub mod paging;
pub mod published;
pub mod search;
