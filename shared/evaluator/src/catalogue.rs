//! What rules are checked against: the names and days that a snapshot publishes.

use muster_days::Ds;
use muster_profile_store::Snapshot;
use muster_rules::crowds::{self, Crowd};
use muster_rules::{Catalogue, CohortInfo, EventInfo, LabelInfo};

/// Beyond this many values a dictionary is not searched for the sake of a warning.
const SEARCHED_VALUES: u32 = 200_000;

pub struct SnapshotCatalogue<'a>(pub &'a Snapshot);

impl SnapshotCatalogue<'_> {
    fn label(&self, id: i64) -> Option<LabelInfo> {
        let entry = self.0.manifest().labels.get(&id)?;
        Some(LabelInfo { id, name: entry.name.clone(), published: entry.days.keys().copied().collect() })
    }
}

impl Catalogue for SnapshotCatalogue<'_> {
    fn label_by_name(&self, name: &str) -> Option<LabelInfo> {
        let labels = &self.0.manifest().labels;
        self.label(*labels.iter().find(|(_, entry)| entry.name == name)?.0)
    }

    fn label_by_id(&self, id: i64) -> Option<LabelInfo> {
        self.label(id)
    }

    fn label_names(&self) -> Vec<String> {
        self.0.manifest().labels.values().map(|entry| entry.name.clone()).collect()
    }

    fn tag_codes(&self, label: i64, name: &str) -> Vec<i64> {
        let tags = self.0.manifest().labels.get(&label).into_iter().flat_map(|entry| &entry.tags);
        tags.filter(|(_, known)| *known == name).map(|(code, _)| *code).collect()
    }

    fn has_tag(&self, label: i64, code: i64) -> bool {
        self.0.manifest().labels.get(&label).is_some_and(|entry| entry.tags.contains_key(&code))
    }

    fn tag_names(&self, label: i64) -> Vec<String> {
        let entry = self.0.manifest().labels.get(&label);
        entry.map(|entry| entry.tags.values().cloned().collect()).unwrap_or_default()
    }

    fn event(&self, name: &str) -> Option<EventInfo> {
        let entry = self.0.manifest().events.get(name)?;
        Some(EventInfo {
            published: entry.days.keys().copied().collect(),
            dimensions: entry.dimensions.keys().cloned().collect(),
            measures: entry.measures.clone(),
        })
    }

    fn event_names(&self) -> Vec<String> {
        self.0.manifest().events.keys().cloned().collect()
    }

    fn has_value(&self, event: &str, dimension: &str, value: &str) -> bool {
        // A dictionary that can't be read fails the evaluation by name; here it only costs a warning.
        match self.0.dictionary(event, dimension) {
            Ok(dictionary) => dictionary.is_some_and(|dictionary| dictionary.id(value).is_some()),
            Err(_) => true,
        }
    }

    fn any_value(&self, event: &str, dimension: &str, matches: &dyn Fn(&str) -> bool) -> bool {
        match self.0.dictionary(event, dimension) {
            Ok(Some(dictionary)) => dictionary.len() > SEARCHED_VALUES || dictionary.values().any(matches),
            Ok(None) => false,
            Err(_) => true,
        }
    }

    fn cohort(&self, id: &str) -> Option<CohortInfo> {
        let file = self.0.cohort(id).ok()??;
        Some(CohortInfo { ds: file.meta().ds })
    }

    fn crowd(&self, name: &str) -> Option<Crowd> {
        crowds::predefined(name, &self.event_names())
    }

    fn crowd_names(&self) -> Vec<String> {
        crowds::PREDEFINED.iter().map(|(name, _)| (*name).to_owned()).collect()
    }

    fn newest(&self) -> Option<Ds> {
        let manifest = self.0.manifest();
        let labels = manifest.labels.values().filter_map(|entry| entry.days.keys().next_back());
        let events = manifest.events.values().filter_map(|entry| entry.days.keys().next_back());
        labels.chain(events).max().copied()
    }
}
