//! What `check` asks about an app; the caller answers from its catalogue and its published data.

use std::collections::BTreeMap;

use muster_days::Ds;

use crate::crowds::Crowd;

/// One app's names and published days, as they were at one moment.
///
/// Lists of days are sorted and without repeats; name lists may be in any order that stays the same.
pub trait Catalogue {
    fn label_by_name(&self, name: &str) -> Option<LabelInfo>;
    fn label_by_id(&self, id: i64) -> Option<LabelInfo>;
    /// For suggestions.
    fn label_names(&self) -> Vec<String>;

    /// Codes of the label's tags with this name; several when the app gave one name to several codes.
    fn tag_codes(&self, label: i64, name: &str) -> Vec<i64>;
    fn has_tag(&self, label: i64, code: i64) -> bool;
    /// For suggestions.
    fn tag_names(&self, label: i64) -> Vec<String>;

    fn event(&self, name: &str) -> Option<EventInfo>;
    /// For suggestions.
    fn event_names(&self) -> Vec<String>;
    /// Whether any row of the event has ever had this value. Asked only of known dimensions.
    fn has_value(&self, event: &str, dimension: &str, value: &str) -> bool;
    /// Whether any value of the dimension matches. Answer `true` if looking would take too long: only a
    /// warning depends on it.
    fn any_value(&self, event: &str, dimension: &str, matches: &dyn Fn(&str) -> bool) -> bool;

    fn cohort(&self, id: &str) -> Option<CohortInfo>;

    /// The cohorts of a segment, from old to new, the last one of a day if there are several; None when the app
    /// has no such segment, or none can be named here.
    fn segment(&self, id: &str) -> Option<&[(Ds, String)]>;
    /// The same of a list.
    fn list(&self, id: &str) -> Option<&[(Ds, String)]>;

    /// A base crowd; `all` is never asked for. [`crate::crowds::predefined`] answers for the usual ones.
    fn crowd(&self, name: &str) -> Option<Crowd>;
    /// For suggestions, without `all`.
    fn crowd_names(&self) -> Vec<String>;

    /// The newest day the app has published anything for.
    fn newest(&self) -> Option<Ds>;
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelInfo {
    pub id: i64,
    pub name: String,
    /// Days the label is published for.
    pub published: Vec<Ds>,
    /// No longer to be used: a rule that names it is warned.
    pub retired: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventInfo {
    /// Days the event is published for.
    pub published: Vec<Ds>,
    pub dimensions: Vec<String>,
    /// Measure columns with their prefix, such as `m_amount`.
    pub measures: Vec<String>,
}

/// What was made of the segments and lists that rules name: their cohorts, from old to new, by id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Made {
    pub segments: BTreeMap<String, Vec<(Ds, String)>>,
    pub lists: BTreeMap<String, Vec<(Ds, String)>>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CohortInfo {
    /// The day the cohort was made for.
    pub ds: Ds,
}
