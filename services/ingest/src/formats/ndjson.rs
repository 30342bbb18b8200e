//! NDJSON: an object per line, either flat with the column names of the other formats, or a custom
//! event, which is folded into a behaviour row of its app's calendar day.

use std::borrow::Cow;
use std::collections::HashMap;
use std::ops::Range;

use chrono::{DateTime, Utc};
use muster_days::{Ds, Tz};
use serde_json::value::RawValue;

use super::checks::{self, Reason};
use super::csv::too_long;
use super::json::{Object, Scalar, whole};
use super::source::open;
use super::target::{Record, Target};
use super::text::{LineEnd, Text, trim_end};
use super::{Intake, ReadError, Source};

/// How an object names what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Layout {
    /// `{"ds": …, "app_id": …, …}`, a field per column.
    Flat,
    /// `{"time": …, "app_id": …, "user_id": …, "event": …, "properties": {…}}`.
    Event,
}

/// Reads the file and hands each object to the target.
pub(super) fn read<T: Target>(
    source: &Source<'_>,
    intake: &Intake<'_>,
    layout: Layout,
    target: &mut T,
) -> Result<(), ReadError> {
    let mut text = Text::new(open(source, intake)?, intake)?;
    target.header(&T::COLUMNS.iter().map(|&name| name.to_owned()).collect::<Vec<_>>())?;
    let mut row = Row::new(T::COLUMNS);
    loop {
        let line = text.line();
        let len = match text.line_end(0)? {
            LineEnd::At(len) => len,
            LineEnd::NoLine => return Ok(()),
            LineEnd::TooLong => {
                target.refuse(line, "", too_long().into(), "")?;
                text.skip_line()?;
                continue;
            }
        };
        let bytes = trim_end(text.bytes(len));
        if !bytes.is_empty() {
            match row.fill(bytes, layout, intake, target) {
                Ok(()) => target.record(line, &row)?,
                Err(bad) => target.refuse(line, &bad.column, bad.reason, &bad.value)?,
            }
        }
        text.advance(len, 1);
    }
}

/// Why an object is no record.
struct Bad {
    column: String,
    reason: Reason,
    value: String,
}

fn bad(column: &str, reason: impl Into<Reason>) -> Bad {
    Bad { column: column.to_owned(), reason: reason.into(), value: String::new() }
}

/// One object's cells, as places in one text; both are used again for the next object.
struct Row {
    /// Columns that the target expects in every row come first, in its order.
    fixed: &'static [&'static str],
    extra: HashMap<String, usize>,
    text: String,
    cells: Vec<Option<Range<usize>>>,
}

impl Record for Row {
    fn cell(&self, column: usize) -> &str {
        self.cells[column].as_ref().map_or("", |place| &self.text[place.clone()])
    }
}

impl Row {
    fn new(fixed: &'static [&'static str]) -> Row {
        Row { fixed, extra: HashMap::new(), text: String::new(), cells: vec![None; fixed.len()] }
    }

    fn fill(
        &mut self,
        line: &[u8],
        layout: Layout,
        intake: &Intake<'_>,
        target: &mut impl Target,
    ) -> Result<(), Bad> {
        self.text.clear();
        self.cells.fill(None);
        let line = std::str::from_utf8(line).map_err(|_| bad("", "not UTF-8"))?;
        let Object(fields) = Object::parse(line).map_err(|reason| bad("", reason))?;
        match layout {
            Layout::Flat => self.fill_flat(&fields, target),
            Layout::Event => self.fill_event(&fields, intake, target),
        }
    }

    fn fill_flat(
        &mut self,
        fields: &[(Cow<'_, str>, &RawValue)],
        target: &mut impl Target,
    ) -> Result<(), Bad> {
        for (key, value) in fields {
            match self.fixed.iter().position(|name| name == key) {
                Some(column) => self.set_fixed(column, value)?,
                None => self.set_extra(key, key, value, target)?,
            }
        }
        Ok(())
    }

    fn fill_event(
        &mut self,
        fields: &[(Cow<'_, str>, &RawValue)],
        intake: &Intake<'_>,
        target: &mut impl Target,
    ) -> Result<(), Bad> {
        let [mut time, mut properties] = [None, None];
        for (key, value) in fields {
            let twice = match key.as_ref() {
                "time" => time.replace(*value).is_some(),
                "properties" => properties.replace(*value).is_some(),
                name @ ("app_id" | "user_id" | "event") => {
                    self.set_fixed(self.column(name), value)?;
                    false
                }
                other => return Err(bad(shown(other), "not a field of an event")),
            };
            if twice {
                return Err(bad(key, TWICE));
            }
        }
        let app = self.cell(self.column("app_id"));
        target.check_app(app).map_err(|reason| Bad { value: app.to_owned(), ..bad("app_id", reason) })?;
        let ds = day(time, (intake.zone_of)(app))?;
        let late = |reason| Bad { value: time.map_or("", RawValue::get).to_owned(), ..bad("time", reason) };
        checks::ahead(ds, (intake.last_day)(app)).map_err(late)?;
        self.set(self.column("ds"), "ds", &ds.to_string())?;
        self.set(self.column("pv"), "pv", "1")?;
        match properties.map(RawValue::get) {
            None | Some("null") => Ok(()),
            Some(object) => self.fill_properties(object, target),
        }
    }

    fn fill_properties(&mut self, object: &str, target: &mut impl Target) -> Result<(), Bad> {
        let Object(fields) = Object::parse(object).map_err(|reason| bad("properties", reason))?;
        for (key, value) in &fields {
            self.set_extra(key, &format!("properties.{key}"), value, target)?;
        }
        Ok(())
    }

    /// A value of a column that every row has; a number there is a whole one of at most 64 bits.
    fn set_fixed(&mut self, column: usize, value: &RawValue) -> Result<(), Bad> {
        let name = self.fixed[column];
        let refused = |reason: Reason| Bad { value: value.get().to_owned(), ..bad(name, reason) };
        match Scalar::of(value).map_err(refused)? {
            Scalar::Null => self.set(column, name, ""),
            Scalar::Boolean(_) => Err(refused("a boolean".into())),
            Scalar::Number(raw) => self.set(column, name, whole(raw).map_err(refused)?),
            Scalar::Text(text) => self.set(column, name, &text),
        }
    }

    /// A value of a dimension or measure. `path` is where it stands in the object.
    fn set_extra(
        &mut self,
        key: &str,
        path: &str,
        value: &RawValue,
        target: &mut impl Target,
    ) -> Result<(), Bad> {
        let refused = |reason: Reason| Bad { value: value.get().to_owned(), ..bad(shown(path), reason) };
        let scalar = Scalar::of(value).map_err(refused)?;
        let column = match self.extra.get(key) {
            Some(&column) => column,
            None => {
                let column = target.add_column(key).map_err(|reason| bad(shown(path), reason))?;
                self.extra.insert(key.to_owned(), column);
                self.cells.resize(column + 1, None);
                column
            }
        };
        match scalar {
            Scalar::Null => self.set(column, path, ""),
            Scalar::Boolean(text) => self.set(column, path, text),
            Scalar::Number(raw) if key.starts_with("m_") => {
                self.set(column, path, whole(raw).map_err(refused)?)
            }
            Scalar::Number(raw) => self.set(column, path, raw),
            Scalar::Text(text) => self.set(column, path, &text),
        }
    }

    fn set(&mut self, column: usize, name: &str, text: &str) -> Result<(), Bad> {
        let begin = self.text.len();
        self.text.push_str(text);
        match self.cells[column].replace(begin..self.text.len()) {
            Some(_) => Err(bad(shown(name), TWICE)),
            None => Ok(()),
        }
    }

    fn column(&self, name: &str) -> usize {
        self.fixed.iter().position(|&has| has == name).expect("events are read into behaviour columns")
    }
}

const TWICE: &str = "appears twice in the object";

/// The beginning of a name that may be of any length.
fn shown(name: &str) -> &str {
    let end = name.char_indices().nth(checks::SHOWN).map_or(name.len(), |(at, _)| at);
    &name[..end]
}

/// The calendar day, in the app's zone, of RFC 3339 text or of an integer of milliseconds since 1970.
fn day(time: Option<&RawValue>, zone: Tz) -> Result<Ds, Bad> {
    let raw = time.map_or("null", RawValue::get);
    let refused = |reason: &'static str| Bad { value: raw.to_owned(), ..bad("time", reason) };
    let scalar = time.map_or(Ok(Scalar::Null), Scalar::of).map_err(|_| refused(NOT_A_TIME))?;
    let instant = match scalar {
        Scalar::Null => return Err(refused("empty")),
        Scalar::Text(text) => DateTime::parse_from_rfc3339(&text).ok().map(|time| time.to_utc()),
        Scalar::Number(raw) => match raw.parse::<i64>() {
            Ok(millis) if LIKELY_SECONDS.contains(&millis) => return Err(refused(SECONDS)),
            millis => millis.ok().and_then(DateTime::<Utc>::from_timestamp_millis),
        },
        Scalar::Boolean(_) => None,
    };
    let instant = instant.ok_or_else(|| refused(NOT_A_TIME))?;
    // Far from the ends of the calendar, where shifting into the zone would overflow.
    let years = EARLIEST..=LATEST;
    let ds = years.contains(&instant.timestamp()).then(|| Ds::of(instant, zone)).flatten();
    ds.ok_or_else(|| refused("not between the years 1970 and 9999"))
}

const NOT_A_TIME: &str = "neither RFC 3339 with an offset nor an integer of milliseconds since 1970";
const SECONDS: &str = "looks like seconds since 1970: write milliseconds, or RFC 3339 with an offset";
/// As seconds the years 2001 to 2286, as milliseconds three months of 1970 that nobody means.
const LIKELY_SECONDS: std::ops::Range<i64> = 1_000_000_000..10_000_000_000;
/// 1969-12-31 and 10000-01-02, in seconds: a day on either side of what a data day may be.
const EARLIEST: i64 = -86_400;
const LATEST: i64 = 253_402_387_200;
