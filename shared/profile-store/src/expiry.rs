//! What a manifest leaves out once its days are too old to be kept.

use muster_days::Ds;

use crate::manifest::{EventEntry, LabelEntry, Manifest};

/// The first days that are kept; None keeps all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept {
    pub labels_from: Option<Ds>,
    pub events_from: Option<Ds>,
    /// No day is kept, whatever the others say.
    pub nothing: bool,
}

/// How many days were left out: one for each label or event that had it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Expired {
    pub label_days: usize,
    pub event_days: usize,
    /// Sums of weeks that lost a day.
    pub weeks: usize,
}

impl Expired {
    pub fn is_empty(&self) -> bool {
        *self == Expired::default()
    }
}

impl Manifest {
    /// Leaves out what lies before the days that are kept, and answers the files nobody needs any more.
    /// Names stay: labels, tags, events and dimensions that rules know go on being known.
    pub(crate) fn expire(&mut self, kept: Kept) -> (Expired, Vec<String>) {
        let (mut expired, mut files) = (Expired::default(), Vec::new());
        if kept.nothing {
            for label in self.labels.values_mut() {
                expired.label_days += label.days.len();
                files.extend(std::mem::take(&mut label.days).into_values().map(|day| day.file));
            }
            for event in self.events.values_mut() {
                expired.event_days += event.days.len();
                expired.weeks += event.weeks.len();
                files.extend(std::mem::take(&mut event.days).into_values().map(|day| day.file));
                files.extend(std::mem::take(&mut event.weeks).into_values().map(|week| week.file));
            }
            return (expired, files);
        }
        if let Some(from) = kept.labels_from {
            for label in self.labels.values_mut() {
                expired.label_days += label.expire(from, &mut files);
            }
        }
        if let Some(from) = kept.events_from {
            for event in self.events.values_mut() {
                let (days, weeks) = event.expire(from, &mut files);
                expired.event_days += days;
                expired.weeks += weeks;
            }
            if expired.event_days > 0 {
                self.events_from = self.events_from.max(Some(from));
            }
        }
        (expired, files)
    }
}

impl LabelEntry {
    /// The newest day at or before `from` stays however old it is: it is the one that counts on `from`, and
    /// on the days after it until the label is published again.
    fn expire(&mut self, from: Ds, files: &mut Vec<String>) -> usize {
        let Some(&counts) = self.days.range(..=from).next_back().map(|(ds, _)| ds) else { return 0 };
        let kept = self.days.split_off(&counts);
        let gone = std::mem::replace(&mut self.days, kept);
        let days = gone.len();
        files.extend(gone.into_values().map(|day| day.file));
        days
    }
}

impl EventEntry {
    /// Days and weeks that went.
    fn expire(&mut self, from: Ds, files: &mut Vec<String>) -> (usize, usize) {
        let kept = self.days.split_off(&from);
        let days = std::mem::replace(&mut self.days, kept);
        // A week from a Monday before `from` on had a day that went.
        let kept = self.weeks.split_off(&from);
        let weeks = std::mem::replace(&mut self.weeks, kept);
        let gone = (days.len(), weeks.len());
        files.extend(days.into_values().map(|day| day.file));
        files.extend(weeks.into_values().map(|week| week.file));
        gone
    }
}
