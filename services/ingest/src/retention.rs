//! How long data days are kept.

use muster_days::Ds;
use muster_profile_store::Kept;

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_counted_back_from_today() {
        let today = Ds::from_number(20261101).unwrap();
        let kept = Retention { label_days: 1, event_days: 31 }.on(today);
        assert_eq!(kept.labels_from.map(Ds::number), Some(20261031));
        assert_eq!(kept.events_from.map(Ds::number), Some(20261001));
        assert_eq!(Retention::default().on(today), Kept::default());
    }
}
