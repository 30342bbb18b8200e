//! One file per kind of condition (`label`, `event`, `cohort`, `segment` with `list`) with all of it in one place: how it is
//! read, written, looked up and given its days. The others are pieces of an event condition.

pub(crate) mod cohort;
pub(crate) mod event;
pub(crate) mod filter;
pub(crate) mod label;
pub(crate) mod measure;
pub(crate) mod regex;
pub(crate) mod segment;
pub(crate) mod window;
