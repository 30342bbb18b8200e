//! A catalogue held in memory: for tests, and for the generator of random rules.

use std::collections::{BTreeMap, BTreeSet};

use muster_days::Ds;

use crate::catalogue::{Catalogue, CohortInfo, EventInfo, LabelInfo, Made};
use crate::crowds::{self, Counted, Crowd};

/// An app's names and published days, written down.
#[derive(Debug, Clone, Default)]
pub struct Vocabulary {
    pub labels: Vec<LabelWords>,
    pub events: Vec<EventWords>,
    /// Id → the day it was made for.
    pub cohorts: BTreeMap<String, Ds>,
    pub made: Made,
    /// Base crowds of the app's own, by name.
    pub crowds: BTreeMap<String, Crowd>,
}

#[derive(Debug, Clone)]
pub struct LabelWords {
    pub id: i64,
    pub name: String,
    /// Code and name.
    pub tags: Vec<(i64, String)>,
    /// Sorted.
    pub published: Vec<Ds>,
}

#[derive(Debug, Clone)]
pub struct EventWords {
    pub name: String,
    /// Dimension → every value it has ever had.
    pub dimensions: BTreeMap<String, BTreeSet<String>>,
    pub measures: Vec<String>,
    /// Sorted.
    pub published: Vec<Ds>,
}

impl Vocabulary {
    fn label(&self, id: i64) -> Option<&LabelWords> {
        self.labels.iter().find(|label| label.id == id)
    }

    fn values(&self, event: &str, dimension: &str) -> Option<&BTreeSet<String>> {
        self.events.iter().find(|words| words.name == event)?.dimensions.get(dimension)
    }
}

impl LabelWords {
    fn info(&self) -> LabelInfo {
        let (name, published) = (self.name.clone(), self.published.clone());
        LabelInfo { id: self.id, name, published, retired: false }
    }
}

impl Catalogue for Vocabulary {
    fn label_by_name(&self, name: &str) -> Option<LabelInfo> {
        self.labels.iter().find(|label| label.name == name).map(LabelWords::info)
    }

    fn label_by_id(&self, id: i64) -> Option<LabelInfo> {
        self.label(id).map(LabelWords::info)
    }

    fn label_names(&self) -> Vec<String> {
        self.labels.iter().map(|label| label.name.clone()).collect()
    }

    fn tag_codes(&self, label: i64, name: &str) -> Vec<i64> {
        let tags = self.label(label).map_or(&[][..], |label| &label.tags);
        tags.iter().filter(|(_, known)| known == name).map(|(code, _)| *code).collect()
    }

    fn has_tag(&self, label: i64, code: i64) -> bool {
        self.label(label).is_some_and(|label| label.tags.iter().any(|(known, _)| *known == code))
    }

    fn tag_names(&self, label: i64) -> Vec<String> {
        let tags = self.label(label).map_or(&[][..], |label| &label.tags);
        tags.iter().map(|(_, name)| name.clone()).collect()
    }

    fn event(&self, name: &str) -> Option<EventInfo> {
        let words = self.events.iter().find(|event| event.name == name)?;
        Some(EventInfo {
            published: words.published.clone(),
            dimensions: words.dimensions.keys().cloned().collect(),
            measures: words.measures.clone(),
        })
    }

    fn event_names(&self) -> Vec<String> {
        self.events.iter().map(|event| event.name.clone()).collect()
    }

    fn has_value(&self, event: &str, dimension: &str, value: &str) -> bool {
        self.values(event, dimension).is_some_and(|values| values.contains(value))
    }

    fn any_value(&self, event: &str, dimension: &str, matches: &dyn Fn(&str) -> bool) -> bool {
        self.values(event, dimension).is_some_and(|values| values.iter().any(|value| matches(value)))
    }

    fn cohort(&self, id: &str) -> Option<CohortInfo> {
        self.cohorts.get(id).map(|ds| CohortInfo { ds: *ds })
    }

    fn segment(&self, id: &str) -> Option<&[(Ds, String)]> {
        self.made.segments.get(id).map(Vec::as_slice)
    }

    fn list(&self, id: &str) -> Option<&[(Ds, String)]> {
        self.made.lists.get(id).map(Vec::as_slice)
    }

    fn crowd(&self, name: &str) -> Option<Crowd> {
        let events = self.events.iter().map(|event| Counted::new(&event.name, None, None));
        crowds::predefined(name, events).or_else(|| self.crowds.get(name).cloned())
    }

    fn crowd_names(&self) -> Vec<String> {
        let predefined = crowds::PREDEFINED.iter().map(|(name, _)| (*name).to_owned());
        predefined.chain(self.crowds.keys().cloned()).collect()
    }

    fn newest(&self) -> Option<Ds> {
        let labels = self.labels.iter().map(|label| &label.published);
        let events = self.events.iter().map(|event| &event.published);
        labels.chain(events).filter_map(|days| days.last().copied()).max()
    }
}
