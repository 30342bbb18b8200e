//! Which days of which segments are to be made now.

use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, NaiveTime, Utc};
use muster_days::{Ds, Tz};

use crate::store::{DailyRow, DayRow, Outcome};

/// What a segment does with a day whose data are not all in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnMissing {
    /// The newest data of each part count, as in an estimate.
    Last,
    /// The day is made once they are in, as long as no later day is.
    Wait,
    /// The day is left out.
    Skip,
}

impl OnMissing {
    pub fn from_name(name: &str) -> Option<OnMissing> {
        [OnMissing::Last, OnMissing::Wait, OnMissing::Skip].into_iter().find(|one| one.name() == name)
    }

    /// Of a segment that may have said nothing.
    pub fn of(said: Option<&str>) -> OnMissing {
        said.and_then(OnMissing::from_name).unwrap_or(OnMissing::Last)
    }

    pub fn name(self) -> &'static str {
        match self {
            OnMissing::Last => "last",
            OnMissing::Wait => "wait",
            OnMissing::Skip => "skip",
        }
    }
}

/// A day and the segments that it is to be made of.
#[derive(Debug)]
pub struct Due {
    pub ds: Ds,
    pub segments: Vec<DailyRow>,
}

/// The newest data day whose time has come: that is `at` on the day after, in the app's zone.
pub fn newest(now: DateTime<Utc>, (at, zone): (NaiveTime, Tz)) -> Option<Ds> {
    let early = now.with_timezone(&zone).time() < at;
    Some(Ds::of(now, zone)?.plus(if early { -2 } else { -1 }))
}

/// The newest days that anything is published for and whose time has come, from old to new: one more than
/// `catch_up`.
pub fn days(published: &BTreeSet<Ds>, now: DateTime<Utc>, when: (NaiveTime, Tz), catch_up: usize) -> Vec<Ds> {
    let Some(newest) = newest(now, when) else { return Vec::new() };
    let mut days: Vec<Ds> = published.range(..=newest).rev().take(catch_up + 1).copied().collect();
    days.reverse();
    days
}

/// `known` is what the segments' days came to, from the first of `days` on; `before` names segments that
/// were made on an earlier day. A segment that was never made begins with the newest day; any other one
/// goes on behind the last day that is made of it.
pub fn due(days: &[Ds], segments: &[DailyRow], known: &[DayRow], before: &BTreeSet<String>) -> Vec<Due> {
    let mut last: HashMap<&str, u32> = HashMap::new();
    let mut skipped: BTreeSet<(&str, u32)> = BTreeSet::new();
    for day in known {
        match day.outcome {
            Outcome::Made => {
                let last = last.entry(&day.segment_id).or_default();
                *last = day.ds.max(*last);
            }
            Outcome::Skipped => _ = skipped.insert((&day.segment_id, day.ds)),
            _ => {}
        }
    }
    let is_due = |ds: &Ds, segment: &DailyRow| {
        let from = match last.get(&*segment.id) {
            Some(last) => ds.number() > *last,
            None => before.contains(&segment.id) || Some(ds) == days.last(),
        };
        from && !skipped.contains(&(&*segment.id, ds.number()))
    };
    let due = days.iter().map(|ds| Due {
        ds: *ds,
        segments: segments.iter().filter(|segment| is_due(ds, segment)).cloned().collect(),
    });
    due.filter(|due| !due.segments.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: i64) -> Ds {
        Ds::from_number(number).unwrap()
    }

    #[test]
    fn a_day_is_due_from_its_time_on() {
        let published: BTreeSet<Ds> = [20261101, 20261103, 20261104, 20261105].map(day).into();
        let at = NaiveTime::from_hms_opt(6, 0, 0).unwrap();
        let shanghai: Tz = "Asia/Shanghai".parse().unwrap();
        let on = |text: &str, catch_up| {
            let now = DateTime::parse_from_rfc3339(text).unwrap().to_utc();
            days(&published, now, (at, shanghai), catch_up).iter().map(|ds| ds.number()).collect::<Vec<_>>()
        };
        assert_eq!(on("2026-11-05T05:59:00+08:00", 0), [20261103]);
        assert_eq!(on("2026-11-05T06:00:00+08:00", 0), [20261104]);
        assert_eq!(on("2026-11-05T06:00:00+08:00", 2), [20261101, 20261103, 20261104]);
        assert_eq!(on("2026-12-05T01:00:00+08:00", 1), [20261104, 20261105]);
        assert!(on("2026-10-05T06:00:00+08:00", 9).is_empty());
    }

    #[test]
    fn segments_go_on_where_they_were() {
        let days = [20261103, 20261104, 20261105].map(day);
        let segment =
            |id: &str| DailyRow { id: id.into(), version: 1, rule: String::new(), on_missing: None };
        let known = |id: &str, ds, outcome| DayRow {
            segment_id: id.into(),
            ds,
            outcome,
            detail: String::new(),
            cohort_id: None,
            previous: None,
            entered: None,
            gone: None,
            job_id: String::new(),
            updated_at: 0,
        };
        let segments = ["new", "behind", "long ago", "waits", "skips"].map(segment);
        let known = [
            known("behind", 20261103, Outcome::Made),
            known("waits", 20261103, Outcome::Made),
            known("waits", 20261104, Outcome::Waiting),
            known("skips", 20261104, Outcome::Made),
            known("skips", 20261105, Outcome::Skipped),
        ];
        let found = due(&days, &segments, &known, &BTreeSet::from(["long ago".to_owned()]));
        let found: Vec<(u32, Vec<&str>)> = found
            .iter()
            .map(|due| (due.ds.number(), due.segments.iter().map(|segment| &*segment.id).collect()))
            .collect();
        let expected = [
            (20261103, vec!["long ago"]),
            (20261104, vec!["behind", "long ago", "waits"]),
            (20261105, vec!["new", "behind", "long ago", "waits"]),
        ];
        assert_eq!(found, expected);
    }
}
