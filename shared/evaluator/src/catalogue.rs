//! What rules are checked against: the names and days that a snapshot publishes.

use std::collections::BTreeSet;

use muster_days::Ds;
use muster_profile_store::Snapshot;
use muster_rules::crowds::{self, Counted, Crowd};
use muster_rules::{Caps, Catalogue, CohortInfo, EventInfo, LabelInfo, Made};

/// Beyond this many values a dictionary is not searched for the sake of a warning.
const SEARCHED_VALUES: u32 = 200_000;

pub struct SnapshotCatalogue<'a> {
    snapshot: &'a Snapshot,
    made: Option<&'a Made>,
}

impl<'a> SnapshotCatalogue<'a> {
    /// Without segments and lists: rules can't name any.
    pub fn new(snapshot: &'a Snapshot) -> SnapshotCatalogue<'a> {
        SnapshotCatalogue { snapshot, made: None }
    }

    pub fn with_made(snapshot: &'a Snapshot, made: &'a Made) -> SnapshotCatalogue<'a> {
        SnapshotCatalogue { snapshot, made: Some(made) }
    }

    pub fn snapshot(&self) -> &'a Snapshot {
        self.snapshot
    }
}

impl SnapshotCatalogue<'_> {
    /// A label that the app has declared is known before anything is published of it.
    fn label(&self, id: i64) -> Option<LabelInfo> {
        let (entry, card) =
            (self.snapshot.manifest().labels.get(&id), self.snapshot.catalogue().labels.get(&id));
        let declared = || card.and_then(|card| card.name.as_ref());
        let name = entry.map(|entry| &entry.name).or_else(declared)?.clone();
        let published = entry.map(|entry| entry.days.keys().copied().collect()).unwrap_or_default();
        Some(LabelInfo { id, name, published, retired: card.is_some_and(|card| card.retired) })
    }

    /// Code and name of the label's tags, those first that are published.
    fn tags(&self, label: i64) -> impl Iterator<Item = (i64, &str)> {
        let published = self.snapshot.manifest().labels.get(&label).map(|entry| &entry.tags);
        let declared = self.snapshot.catalogue().labels.get(&label).into_iter().flat_map(|card| &card.tags);
        let declared =
            declared.filter(move |(code, _)| !published.is_some_and(|tags| tags.contains_key(code)));
        let declared = declared.filter_map(|(code, card)| Some((*code, card.name.as_deref()?)));
        published.into_iter().flatten().map(|(code, name)| (*code, name.as_str())).chain(declared)
    }
}

impl Catalogue for SnapshotCatalogue<'_> {
    fn label_by_name(&self, name: &str) -> Option<LabelInfo> {
        let published = self.snapshot.manifest().labels.iter().find(|(_, entry)| entry.name == name);
        let declared = || {
            let mut labels = self.snapshot.catalogue().labels.iter();
            labels.find(|(_, card)| card.name.as_deref() == Some(name)).map(|(id, _)| *id)
        };
        // A published label may have another name than the one it was declared with.
        let found = self.label(published.map(|(id, _)| *id).or_else(declared)?)?;
        (found.name == name).then_some(found)
    }

    fn label_by_id(&self, id: i64) -> Option<LabelInfo> {
        self.label(id)
    }

    fn label_names(&self) -> Vec<String> {
        let ids: BTreeSet<i64> = self
            .snapshot
            .manifest()
            .labels
            .keys()
            .chain(self.snapshot.catalogue().labels.keys())
            .copied()
            .collect();
        ids.into_iter().filter_map(|id| Some(self.label(id)?.name)).collect()
    }

    fn tag_codes(&self, label: i64, name: &str) -> Vec<i64> {
        self.tags(label).filter(|(_, known)| *known == name).map(|(code, _)| code).collect()
    }

    fn has_tag(&self, label: i64, code: i64) -> bool {
        let published = self.snapshot.manifest().labels.get(&label);
        let declared = self.snapshot.catalogue().labels.get(&label);
        published.is_some_and(|entry| entry.tags.contains_key(&code))
            || declared.is_some_and(|card| card.tags.contains_key(&code))
    }

    fn tag_names(&self, label: i64) -> Vec<String> {
        self.tags(label).map(|(_, name)| name.to_owned()).collect()
    }

    fn event(&self, name: &str) -> Option<EventInfo> {
        let entry = self.snapshot.manifest().events.get(name)?;
        Some(EventInfo {
            published: entry.days.keys().copied().collect(),
            dimensions: entry.dimensions.keys().cloned().collect(),
            measures: entry.measures.clone(),
        })
    }

    fn event_names(&self) -> Vec<String> {
        self.snapshot.manifest().events.keys().cloned().collect()
    }

    fn has_value(&self, event: &str, dimension: &str, value: &str) -> bool {
        // A dictionary that can't be read fails the evaluation by name; here it only costs a warning.
        match self.snapshot.dictionary(event, dimension) {
            Ok(dictionary) => dictionary.is_some_and(|dictionary| dictionary.id(value).is_some()),
            Err(_) => true,
        }
    }

    fn any_value(&self, event: &str, dimension: &str, matches: &dyn Fn(&str) -> bool) -> bool {
        match self.snapshot.dictionary(event, dimension) {
            Ok(Some(dictionary)) => dictionary.len() > SEARCHED_VALUES || dictionary.values().any(matches),
            Ok(None) => false,
            Err(_) => true,
        }
    }

    fn cohort(&self, id: &str) -> Option<CohortInfo> {
        match self.snapshot.cohort(id) {
            Ok(file) => Some(CohortInfo { ds: file?.meta().ds }),
            // It is there, so the rule is in order: the evaluation fails by the file's name, on any day.
            Err(_) => Some(CohortInfo { ds: self.newest()? }),
        }
    }

    fn segment(&self, id: &str) -> Option<&[(Ds, String)]> {
        self.made?.segments.get(id).map(Vec::as_slice)
    }

    fn list(&self, id: &str) -> Option<&[(Ds, String)]> {
        self.made?.lists.get(id).map(Vec::as_slice)
    }

    fn crowd(&self, name: &str) -> Option<Crowd> {
        let events = self.snapshot.manifest().events.keys().map(|event| {
            let card = self.snapshot.catalogue().events.get(event);
            Counted::new(event, card.and_then(|card| card.active), card.and_then(|card| card.trade))
        });
        let defined = || {
            let card = self.snapshot.catalogue().base_crowds.get(name)?;
            // It was read when it was kept, with the same caps or narrower ones.
            let rule = muster_rules::from_value(&card.rule, &Caps::default()).ok()?;
            Some(Crowd::Defined { rule, retired: card.retired })
        };
        crowds::predefined(name, events).or_else(defined)
    }

    fn crowd_names(&self) -> Vec<String> {
        let predefined = crowds::PREDEFINED.iter().map(|(name, _)| (*name).to_owned());
        predefined.chain(self.snapshot.catalogue().base_crowds.keys().cloned()).collect()
    }

    fn newest(&self) -> Option<Ds> {
        let manifest = self.snapshot.manifest();
        let labels = manifest.labels.values().filter_map(|entry| entry.days.keys().next_back());
        let events = manifest.events.values().filter_map(|entry| entry.days.keys().next_back());
        labels.chain(events).max().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use muster_profile_store::Store;
    use muster_rules::{Caps, check, parse};
    use roaring::RoaringBitmap;

    use super::*;
    use crate::Bound;

    #[test]
    fn a_damaged_cohort_is_not_an_unknown_one() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        let ds = Ds::from_number(20261101).unwrap();
        let mut publication = store.publish("shop").unwrap();
        publication.start_label(1, "gender", ds).unwrap();
        publication.label_row(b"ann", 1, "female", None).unwrap();
        publication.finish_part(0).unwrap();
        publication.commit(0).unwrap();
        store.write_cohort("shop", "coh_1", ds, &[RoaringBitmap::from([0])]).unwrap();
        let path = dir.path().join("apps/shop/cohorts/coh_1.mst");
        fs::write(&path, &fs::read(&path).unwrap()[1..]).unwrap();

        let snapshot = store.snapshot("shop").unwrap().unwrap();
        let rule = |id: &str| {
            let text = format!(r#"{{"where": {{"cohort": "{id}"}}}}"#);
            let rule = parse(text.as_bytes(), &Caps::default()).unwrap();
            check(&rule, &SnapshotCatalogue::new(&snapshot), &Caps::default())
        };
        let error = Bound::new(rule("coh_1").unwrap().plan, snapshot.clone()).err().unwrap().to_string();
        assert!(error.contains("coh_1.mst"), "{error}");
        assert_eq!(rule("coh_2").unwrap_err()[0].code, "unknown_cohort");
    }
}
