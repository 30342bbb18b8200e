//! The manifest: which immutable files make up an app's data. It is replaced atomically, so that a
//! reader sees a whole publication or none of it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use muster_days::Ds;
use serde::{Deserialize, Serialize};

use crate::document;
use crate::error::{Result, StoreError};

/// 2: with week sums, whose files an older program would take for strays. 3: with users that are erased, whom an
/// older program would count; one without any is still written as 2.
pub const FORMAT: u32 = 3;
/// Hash buckets of an app that does not say otherwise.
pub const BUCKETS: u32 = 16;
/// More would only be more and smaller files and blocks.
const MOST_BUCKETS: u32 = 1 << 16;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    pub format: u32,
    pub app: String,
    /// Fixed for the life of the app: a user's bucket is hash(user) mod buckets.
    pub buckets: u32,
    /// Goes up by one with every publication; 0 before the first, when there is nothing to see yet.
    pub generation: u64,
    /// Oldest first; a bucket's ordinals run on from file to file.
    pub users: Vec<UsersEntry>,
    /// By label id.
    pub labels: BTreeMap<i64, LabelEntry>,
    /// By event name.
    pub events: BTreeMap<String, EventEntry>,
    /// Days of events before it were there and have been dropped.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_from: Option<Ds>,
    /// Users that are erased; None where nobody is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub erased: Option<ErasedEntry>,
    /// Files no longer used, with the time (epoch ms) when that began; removed after a grace.
    #[serde(default)]
    pub retired: BTreeMap<String, i64>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct UsersEntry {
    pub file: String,
    /// Per bucket: the first ordinal in this file, and how many there are.
    pub base: Vec<u32>,
    pub count: Vec<u32>,
}

impl UsersEntry {
    pub fn total(&self) -> u64 {
        self.count.iter().map(|&n| u64::from(n)).sum()
    }
}

/// Whose ordinals are nobody's any more: they are not given out again.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ErasedEntry {
    pub file: String,
    /// How many users were erased so far.
    pub users: u64,
    /// Of the publication that erased the last of them.
    pub generation: u64,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelEntry {
    pub name: String,
    /// Code → name of every tag that a day has had; the latest name wins.
    pub tags: BTreeMap<i64, String>,
    pub days: BTreeMap<Ds, LabelDay>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LabelDay {
    pub file: String,
    /// User-tag pairs.
    pub pairs: u64,
    pub published_at: i64,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EventEntry {
    /// Dimension → its dictionary.
    pub dimensions: BTreeMap<String, DictionaryEntry>,
    pub measures: Vec<String>,
    pub days: BTreeMap<Ds, EventDay>,
    /// Sums of whole weeks, by Monday.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub weeks: BTreeMap<Ds, EventWeekEntry>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventWeekEntry {
    pub file: String,
    /// The files of its days that it was made from, by day: with any other it says nothing.
    pub of: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct DictionaryEntry {
    pub file: String,
    pub values: u32,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventDay {
    pub file: String,
    pub users: u64,
    pub pv: u64,
    pub published_at: i64,
}

impl EventEntry {
    /// The files of the week's days, by day; None while one of them is missing.
    pub(crate) fn week_files(&self, first: Ds) -> Option<Vec<String>> {
        let files = week_days(first)?.map(|day| self.days.get(&day).map(|day| day.file.clone()));
        files.into_iter().collect()
    }

    /// Splits published days into the weeks whose sums are there, by Monday, and the days besides.
    pub fn weeks_and_days(&self, days: &[Ds]) -> (Vec<Ds>, Vec<Ds>) {
        let mut days: BTreeSet<Ds> = days.iter().copied().collect();
        let mut weeks = Vec::new();
        if let (Some(&from), Some(&to)) = (days.first(), days.last()) {
            for (&first, week) in self.weeks.range(from..=to) {
                let Some(own) = week_days(first) else { continue };
                let whole = own.iter().all(|day| days.contains(day));
                if whole && self.week_files(first).as_ref() == Some(&week.of) {
                    own.iter().for_each(|day| _ = days.remove(day));
                    weeks.push(first);
                }
            }
        }
        (weeks, days.into_iter().collect())
    }
}

/// None at the end of the calendar.
fn week_days(first: Ds) -> Option<[Ds; 7]> {
    let days: Vec<Ds> = first.through(first.plus(6)).collect();
    days.try_into().ok()
}

impl Manifest {
    pub fn new(app: &str, buckets: u32) -> Manifest {
        Manifest {
            format: 2,
            app: app.to_owned(),
            buckets,
            generation: 0,
            users: Vec::new(),
            labels: BTreeMap::new(),
            events: BTreeMap::new(),
            events_from: None,
            erased: None,
            retired: BTreeMap::new(),
        }
    }

    /// How many users the app has.
    pub fn user_count(&self) -> u64 {
        let given: u64 = self.users.iter().map(UsersEntry::total).sum();
        given.saturating_sub(self.erased.as_ref().map_or(0, |erased| erased.users))
    }

    /// The publication that erased users last; 0 where none did.
    pub fn erasure(&self) -> u64 {
        self.erased.as_ref().map_or(0, |erased| erased.generation)
    }

    /// Every file that the manifest needs.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        let users = self.users.iter().map(|entry| entry.file.as_str());
        let labels = self.labels.values().flat_map(|label| label.days.values()).map(|day| day.file.as_str());
        let events = self.events.values().flat_map(|event| {
            let dictionaries = event.dimensions.values().map(|entry| entry.file.as_str());
            let days = event.days.values().map(|day| day.file.as_str());
            dictionaries.chain(days).chain(event.weeks.values().map(|week| week.file.as_str()))
        });
        users.chain(labels).chain(events).chain(self.erased.iter().map(|erased| erased.file.as_str()))
    }

    /// `path` is for errors.
    pub(crate) fn parse(bytes: &[u8], path: &Path) -> Result<Manifest> {
        #[derive(Deserialize)]
        struct Version {
            format: u32,
        }
        let version: Version = document::parse(bytes, path)?;
        if version.format > FORMAT {
            return Err(StoreError::Newer { path: path.into(), found: version.format, known: FORMAT });
        }
        let manifest: Manifest = document::parse(bytes, path)?;
        if !manifest.adds_up() {
            return Err(StoreError::damaged(path, "the numbers of its users do not add up"));
        }
        Ok(manifest)
    }

    /// Whether ordinals run on from file to file in every bucket, so that no number leads out of its file.
    fn adds_up(&self) -> bool {
        if !(1..=MOST_BUCKETS).contains(&self.buckets) {
            return false;
        }
        let mut next = vec![0u32; self.buckets as usize];
        self.users.iter().all(|file| {
            let follows = file.base == next && file.count.len() == next.len();
            let mut ends = next.iter_mut().zip(&file.count);
            follows
                && ends.all(|(next, count)| {
                    let (end, too_far) = next.overflowing_add(*count);
                    *next = end;
                    !too_far
                })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a manifest of two buckets is read whose users files have these bases and counts.
    fn check(buckets: u32, users: &[(&[u32], &[u32])]) -> bool {
        let users = users.iter().map(|(base, count)| UsersEntry {
            file: "users".into(),
            base: base.to_vec(),
            count: count.to_vec(),
        });
        let manifest = Manifest { users: users.collect(), ..Manifest::new("shop", buckets) };
        let bytes = document::to_bytes(&manifest, Path::new("manifest")).unwrap();
        match Manifest::parse(&bytes, Path::new("manifest")) {
            Ok(read) => read == manifest,
            Err(error) => {
                assert!(error.to_string().contains("add up"), "{error}");
                false
            }
        }
    }

    #[test]
    fn ordinals_run_on_or_the_manifest_is_refused() {
        assert!(check(2, &[]));
        assert!(check(2, &[(&[0, 0], &[5, 0]), (&[5, 0], &[0, 2]), (&[5, 2], &[1, 1])]));
        assert!(check(1, &[(&[0], &[u32::MAX])]));
        for (buckets, users) in [
            (0, &[][..]),
            (u32::MAX, &[]),
            (2, &[(&[0][..], &[5, 0][..])]),
            (2, &[(&[0, 0], &[5])]),
            (2, &[(&[0, 0, 0], &[5, 0, 1])]),
            (2, &[(&[0, 1], &[5, 0])]),
            (2, &[(&[0, 0], &[5, 0]), (&[4, 0], &[1, 0])]),
            (1, &[(&[0], &[u32::MAX]), (&[u32::MAX], &[1])]),
        ] {
            assert!(!check(buckets, users), "{buckets} {users:?}");
        }
    }
}
