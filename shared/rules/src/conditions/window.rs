//! The days an event condition looks at.

use muster_days::Ds;
use serde::ser::SerializeMap;

use crate::codes;
use crate::json::Json;
use crate::pointer::At;
use crate::problem::over;
use crate::reader::{Fields, Reader};

pub(crate) const KEYS: [&str; 4] = ["last_days", "from", "to", "days_ago"];

const SHORTER: &str = "choose a shorter window, or none for every published day";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// Every published day up to as_of.
    Open,
    /// That many days, the last one being as_of; at least 1.
    LastDays(u32),
    /// Days of the calendar, both included; without `to`, up to as_of.
    Calendar { from: Ds, to: Option<Ds> },
    /// From `far` days before as_of to `near` days before it, both included; `far` is not below `near`.
    DaysAgo { far: u32, near: u32 },
}

pub(crate) fn read(reader: &mut Reader, fields: Fields, at: &At) -> Option<Window> {
    let advice = "an event condition has one window; write two conditions in an `all`";
    if fields.get("from").is_some() {
        reader.one_of(fields, at, &["from", "last_days", "days_ago"], advice);
        return calendar(reader, fields, at);
    }
    let key = reader.one_of(fields, at, &["last_days", "days_ago", "to"], advice);
    match key {
        None => Some(Window::Open),
        Some("last_days") => last_days(reader, fields.get("last_days")?, &at.key("last_days")),
        Some("days_ago") => days_ago(reader, fields.get("days_ago")?, &at.key("days_ago")),
        Some(_) => {
            let detail = "`to` alone is no window: add `from`, or give the rule an `as_of` in its place";
            reader.problems.push(&at.key("to"), codes::BAD_WINDOW, detail);
            None
        }
    }
}

fn last_days(reader: &mut Reader, json: &Json, at: &At) -> Option<Window> {
    let days = reader.integer(json, at)?;
    if days < 1 {
        let detail = "a window has at least one day: 1 is the day of as_of alone";
        reader.problems.push(at, codes::BAD_WINDOW, detail);
        return None;
    }
    Some(Window::LastDays(within(reader, days, at)?))
}

fn days_ago(reader: &mut Reader, json: &Json, at: &At) -> Option<Window> {
    let (far, near) = reader.pair(json, at, "[far, near], such as [90, 30]")?;
    if near < 0 || far < near {
        let detail = "write [far, near], days before as_of: far is not below near, near not below 0";
        reader.problems.push(at, codes::BAD_WINDOW, detail);
        return None;
    }
    let far = within(reader, far, &at.index(0))?;
    Some(Window::DaysAgo { far, near: u32::try_from(near).ok()? })
}

fn calendar(reader: &mut Reader, fields: Fields, at: &At) -> Option<Window> {
    let from = reader.day(fields.get("from")?, &at.key("from"));
    let to = match fields.get("to") {
        None => None,
        Some(json) => Some(reader.day(json, &at.key("to"))?),
    };
    let from = from?;
    if let Some(to) = to {
        let place = at.key("to");
        if to < from {
            reader.problems.push(
                &place,
                codes::BAD_WINDOW,
                format!("the window ends before it begins on {from}"),
            );
            return None;
        }
        within(reader, to.days_since(from) + 1, &place)?;
    }
    Some(Window::Calendar { from, to })
}

/// The number of days, unless it is over the cap.
fn within(reader: &mut Reader, days: i64, at: &At) -> Option<u32> {
    let limit = reader.caps.window_days;
    match u32::try_from(days) {
        Ok(fits) if fits <= limit => Some(fits),
        _ => {
            reader.problems.push(at, codes::WINDOW_TOO_LONG, over("window_days", limit, days, SHORTER));
            None
        }
    }
}

impl Window {
    /// First and last day as seen from `as_of`, neither after it; `None` for [`Window::Open`] and for a
    /// window that has no such day.
    pub(crate) fn bounds(self, as_of: Ds) -> Option<(Ds, Ds)> {
        let (from, to) = match self {
            Window::Open => return None,
            Window::LastDays(days) => (as_of.plus(1 - i64::from(days)), as_of),
            Window::Calendar { from, to } => (from, to.map_or(as_of, |to| to.min(as_of))),
            Window::DaysAgo { far, near } => {
                let to = as_of.plus(-i64::from(near));
                // The calendar stops in 1970: a day that would lie before it does not exist.
                if as_of.days_since(to) < i64::from(near) {
                    return None;
                }
                (as_of.plus(-i64::from(far)), to)
            }
        };
        (from <= to).then_some((from, to))
    }

    pub(crate) fn write<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        match self {
            Window::Open => Ok(()),
            Window::LastDays(days) => map.serialize_entry("last_days", days),
            Window::DaysAgo { far, near } => map.serialize_entry("days_ago", &[far, near]),
            Window::Calendar { from, to } => {
                map.serialize_entry("from", from)?;
                match to {
                    Some(to) => map.serialize_entry("to", to),
                    None => Ok(()),
                }
            }
        }
    }
}

/// What a window over the cap is told; also when only as_of decides its length.
pub(crate) fn too_long(limit: u32, days: i64) -> String {
    over("window_days", limit, days, SHORTER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ds(number: i64) -> Ds {
        Ds::from_number(number).unwrap()
    }

    fn check(window: Window, as_of: i64, expected: Option<(i64, i64)>) {
        let bounds = window.bounds(ds(as_of));
        assert_eq!(bounds, expected.map(|(from, to)| (ds(from), ds(to))), "{window:?} as of {as_of}");
    }

    #[test]
    fn windows_end_on_as_of_at_the_latest() {
        check(Window::LastDays(1), 20240301, Some((20240301, 20240301)));
        check(Window::LastDays(7), 20240301, Some((20240224, 20240301)));
        check(Window::DaysAgo { far: 90, near: 30 }, 20240601, Some((20240303, 20240502)));
        check(Window::DaysAgo { far: 0, near: 0 }, 20240601, Some((20240601, 20240601)));
        check(Window::DaysAgo { far: 90, near: 30 }, 19700110, None);
        check(Window::DaysAgo { far: 90, near: 3 }, 19700110, Some((19700101, 19700107)));
        let calendar = |from, to: Option<i64>| Window::Calendar { from: ds(from), to: to.map(ds) };
        check(calendar(20240101, None), 20240601, Some((20240101, 20240601)));
        check(calendar(20240101, Some(20240131)), 20240601, Some((20240101, 20240131)));
        check(calendar(20240101, Some(20241231)), 20240601, Some((20240101, 20240601)));
        check(calendar(20240602, None), 20240601, None);
    }
}
