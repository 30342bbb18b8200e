//! Which published days each part of a rule rests on, and which of its days are missing.

use muster_days::Ds;
use serde::Serialize;

/// One part of a rule. Part of the answer of an estimate.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Freshness {
    /// The condition, or `/universe`.
    pub pointer: String,
    pub kind: Part,
    /// Name of the label, event or universe, or id of the cohort, segment or list.
    pub name: String,
    /// Label: the day whose tags are used. Event, universe: the newest published day in the window.
    /// Cohort: the day it was made for. Segment, list: that of the cohort used. `null`: there is none.
    pub ds: Option<Ds>,
    /// First day of the window; labels, cohorts, segments, lists and an unbounded window without data have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<Ds>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub to: Option<Ds>,
    /// Days of the window that nothing is published for.
    pub missing_days: Vec<Ds>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Part {
    Universe,
    Label,
    Event,
    Cohort,
    Segment,
    List,
}

/// The days from `from` to `to` that are not in `published` (sorted).
pub(crate) fn missing(published: &[Ds], from: Ds, to: Ds) -> Vec<Ds> {
    from.through(to).filter(|day| published.binary_search(day).is_err()).collect()
}
