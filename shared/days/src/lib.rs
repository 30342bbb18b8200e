//! Data days: the calendar day (`ds`) that every row, label and window is counted in.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Datelike, NaiveDate, NaiveTime, TimeZone, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// The time zone an app counts its days in.
pub use chrono_tz::Tz;

/// `06:30`.
pub fn time_of_day(text: &str) -> Option<NaiveTime> {
    NaiveTime::parse_from_str(text, "%H:%M").ok()
}

/// A data day, written `YYYYMMDD` as text and as the same number in JSON.
///
/// Days between the years 1970 and 9999 are accepted, so that every `Ds` has eight digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ds(NaiveDate);

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a day: write YYYYMMDD, a day of the calendar between 19700101 and 99991231")]
pub struct NotADay(pub String);

impl Ds {
    /// From the number `YYYYMMDD`.
    pub fn from_number(number: i64) -> Result<Ds, NotADay> {
        let refused = || NotADay(number.to_string());
        if !(19_700_101..=99_991_231).contains(&number) {
            return Err(refused());
        }
        let (year, month, day) = (number / 10_000, number / 100 % 100, number % 100);
        NaiveDate::from_ymd_opt(year as i32, month as u32, day as u32).map(Ds).ok_or_else(refused)
    }

    /// As the number `YYYYMMDD`.
    pub fn number(self) -> u32 {
        self.0.year() as u32 * 10_000 + self.0.month() * 100 + self.0.day()
    }

    /// `days` later, or earlier when negative; stops at the ends of the accepted range.
    pub fn plus(self, days: i64) -> Ds {
        let (low, high) = (first(), last());
        match self.0.checked_add_signed(chrono::TimeDelta::days(days.clamp(-4_000_000, 4_000_000))) {
            Some(date) => Ds(date.clamp(low, high)),
            None if days < 0 => Ds(low),
            None => Ds(high),
        }
    }

    /// Whole days from `earlier` to `self`; negative when `earlier` is the later one.
    pub fn days_since(self, earlier: Ds) -> i64 {
        (self.0 - earlier.0).num_days()
    }

    /// The calendar day that the instant falls on in the app's time zone.
    pub fn of(instant: DateTime<Utc>, zone: Tz) -> Option<Ds> {
        let date = zone.from_utc_datetime(&instant.naive_utc()).date_naive();
        (first()..=last()).contains(&date).then_some(Ds(date))
    }

    /// The Monday of its week.
    pub fn monday(self) -> Ds {
        self.plus(-i64::from(self.0.weekday().num_days_from_monday()))
    }

    /// Every day from `self` to `to`, both included; nothing when `to` lies before.
    pub fn through(self, to: Ds) -> impl Iterator<Item = Ds> {
        (0..=to.days_since(self)).map(move |n| self.plus(n))
    }
}

fn first() -> NaiveDate {
    NaiveDate::from_ymd_opt(1970, 1, 1).expect("a day of the calendar")
}

fn last() -> NaiveDate {
    NaiveDate::from_ymd_opt(9999, 12, 31).expect("a day of the calendar")
}

impl FromStr for Ds {
    type Err = NotADay;

    /// Exactly eight digits.
    fn from_str(text: &str) -> Result<Ds, NotADay> {
        let refused = || NotADay(text.chars().take(32).collect());
        if text.len() != 8 || !text.bytes().all(|b| b.is_ascii_digit()) {
            return Err(refused());
        }
        Ds::from_number(text.parse().map_err(|_| refused())?).map_err(|_| refused())
    }
}

impl fmt::Display for Ds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}", self.number())
    }
}

impl fmt::Debug for Ds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Ds {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u32(self.number())
    }
}

impl<'de> Deserialize<'de> for Ds {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Ds, D::Error> {
        let number = i64::deserialize(deserializer)?;
        Ds::from_number(number).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ds(number: i64) -> Ds {
        Ds::from_number(number).unwrap()
    }

    #[test]
    fn text_and_number_are_the_same_day() {
        assert_eq!("20240229".parse::<Ds>().unwrap(), ds(20240229));
        assert_eq!(ds(20240229).to_string(), "20240229");
        for bad in ["20230229", "2024-02-29", "2024022", "202402290", "00000101", "+2024022"] {
            assert!(bad.parse::<Ds>().is_err(), "{bad}");
        }
    }

    #[test]
    fn windows_cross_months_and_leap_days() {
        let days: Vec<u32> = ds(20240227).through(ds(20240302)).map(Ds::number).collect();
        assert_eq!(days, [20240227, 20240228, 20240229, 20240301, 20240302]);
        assert_eq!(ds(20240301).days_since(ds(20240227)), 3);
        assert_eq!(ds(20240101).through(ds(20231231)).count(), 0);
        assert_eq!(ds(19700102).plus(-10), ds(19700101));
        assert_eq!([ds(20261123).monday(), ds(20261129).monday()], [ds(20261123); 2]);
    }

    #[test]
    fn a_day_is_the_apps_own() {
        let at = |text: &str, zone: &str| {
            let instant = DateTime::parse_from_rfc3339(text).unwrap().to_utc();
            Ds::of(instant, zone.parse().unwrap()).unwrap().number()
        };
        assert_eq!(at("2026-11-01T23:30:00Z", "UTC"), 20261101);
        assert_eq!(at("2026-11-01T23:30:00Z", "Asia/Shanghai"), 20261102);
        assert_eq!(at("2026-11-01T23:30:00Z", "Asia/Kolkata"), 20261102);
        assert_eq!(at("2026-11-02T07:30:00Z", "America/Los_Angeles"), 20261101);
        // Clocks went back at 2026-11-01 02:00 in Los Angeles: the day has 25 hours.
        assert_eq!(at("2026-11-01T07:00:00Z", "America/Los_Angeles"), 20261101);
        assert_eq!(at("2026-11-02T07:59:59Z", "America/Los_Angeles"), 20261101);
        assert_eq!(at("2026-11-02T08:00:00Z", "America/Los_Angeles"), 20261102);
    }
}
