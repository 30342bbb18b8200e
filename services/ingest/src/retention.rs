//! How long data days are kept.

use muster_days::Ds;
use muster_profile_store::{Kept, Manifest};

/// The longest window of a predefined base crowd.
const LONGEST_WINDOW: i64 = 180;

/// Days before today that are kept; 0: all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    pub label_days: u32,
    pub event_days: u32,
}

impl Retention {
    pub fn keeps_all(self) -> bool {
        self == Retention::default()
    }

    /// The first days that are kept on `today`, the app's own day.
    pub fn on(self, today: Ds) -> Kept {
        let from = |days: u32| (days > 0).then(|| today.plus(-i64::from(days)));
        Kept { labels_from: from(self.label_days), events_from: from(self.event_days), nothing: false }
    }
}

/// What the profile of the newest day rests upon: of each label the day that counts on it, of events the
/// longest window that ends on it. A day that lies behind `today`, a slip of a pipeline, is not taken for the
/// newest: all others would go for its sake.
pub fn basics(manifest: &Manifest, today: Ds) -> Kept {
    let labels = manifest.labels.values().filter_map(|label| label.days.range(..=today).next_back());
    let events = manifest.events.values().filter_map(|event| event.days.range(..=today).next_back());
    let newest = labels.map(|(ds, _)| *ds).chain(events.map(|(ds, _)| *ds)).max();
    let events_from = newest.map(|newest| newest.plus(1 - LONGEST_WINDOW));
    Kept { labels_from: newest, events_from, nothing: false }
}

/// What both keep.
pub fn stricter(one: Kept, other: Kept) -> Kept {
    Kept {
        labels_from: one.labels_from.max(other.labels_from),
        events_from: one.events_from.max(other.events_from),
        nothing: one.nothing || other.nothing,
    }
}

#[cfg(test)]
mod tests {
    use muster_profile_store::{EventDay, EventEntry, LabelDay, LabelEntry};

    use super::*;

    fn ds(number: i64) -> Ds {
        Ds::from_number(number).unwrap()
    }

    /// The first days that are kept of labels and events published on these days.
    fn check(labels: &[i64], events: &[i64], expected: (Option<u32>, Option<u32>)) {
        let mut manifest = Manifest::new("shop", 16);
        for (id, day) in (0..).zip(labels) {
            let published = LabelDay { file: String::new(), pairs: 1, published_at: 0 };
            let days = [(ds(*day), published)].into();
            manifest.labels.insert(id, LabelEntry { name: id.to_string(), tags: [].into(), days });
        }
        let day = || EventDay { file: String::new(), users: 1, pv: 1, published_at: 0 };
        let days = events.iter().map(|number| (ds(*number), day())).collect();
        manifest.events.insert("visit".into(), EventEntry { days, ..EventEntry::default() });
        let kept = basics(&manifest, ds(20261110));
        assert_eq!((kept.labels_from.map(Ds::number), kept.events_from.map(Ds::number)), expected);
    }

    #[test]
    fn basics_are_what_the_newest_day_rests_upon() {
        check(&[], &[], (None, None));
        // 180 days, the newest one among them.
        check(&[20261101, 20251101], &[20261030], (Some(20261101), Some(20260506)));
        check(&[20251101], &[20261110], (Some(20261110), Some(20260515)));
        // Days to come.
        check(&[20261101, 20991231], &[20270101], (Some(20261101), Some(20260506)));
        check(&[20991231], &[], (None, None));
    }

    #[test]
    fn days_are_counted_back_from_today() {
        let today = ds(20261101);
        let kept = Retention { label_days: 1, event_days: 31 }.on(today);
        assert_eq!(kept.labels_from.map(Ds::number), Some(20261031));
        assert_eq!(kept.events_from.map(Ds::number), Some(20261001));
        assert_eq!(Retention::default().on(today), Kept::default());
    }
}
