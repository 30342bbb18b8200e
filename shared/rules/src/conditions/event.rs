//! `{"event": …}`: users by what they did, how much, and when.

use std::collections::BTreeMap;

use muster_days::Ds;
use serde::ser::{Serialize, SerializeMap, Serializer};

use crate::catalogue::EventInfo;
use crate::check::{Dating, Names};
use crate::codes;
use crate::compare::Compare;
use crate::conditions::filter::{self, Filters, Tests, ValueTest};
use crate::conditions::measure;
use crate::conditions::window::{self, Window};
use crate::freshness::{Freshness, Part, missing};
use crate::plan::{Measure, Test};
use crate::pointer::At;
use crate::problem::shown;
use crate::reader::{Fields, Reader};

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventCondition {
    pub event: String,
    /// Dimension → its tests, at most one of each kind, in the order of [`ValueTest`].
    pub filters: BTreeMap<String, Vec<ValueTest>>,
    pub window: Window,
    pub measure: Measure,
    pub compare: Compare,
}

pub(crate) fn read(reader: &mut Reader, fields: Fields, at: &At) -> Option<EventCondition> {
    let known = [&["event", "where"][..], &window::KEYS, &measure::KEYS].concat();
    reader.only(fields, at, &known);
    let event = reader.name(fields.get("event")?, &at.key("event"));
    let filters = match fields.get("where") {
        None => Some(Filters::new()),
        Some(json) => filter::read(reader, json, &at.key("where")),
    };
    let window = window::read(reader, fields, at);
    let (measure, compare) = measure::read(reader, fields, at)?;
    Some(EventCondition { event: event?, filters: filters?, window: window?, measure, compare })
}

impl Serialize for EventCondition {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("event", &self.event)?;
        if !self.filters.is_empty() {
            let filters: BTreeMap<_, _> =
                self.filters.iter().map(|(name, tests)| (name, Tests(tests))).collect();
            map.serialize_entry("where", &filters)?;
        }
        self.window.write(&mut map)?;
        measure::write(&mut map, &self.measure, &self.compare)?;
        map.end()
    }
}

/// An event condition whose event, dimensions and measure are known.
pub(crate) struct Resolved<'r> {
    pub info: EventInfo,
    condition: &'r EventCondition,
}

pub(crate) fn resolve<'r>(names: &mut Names, condition: &'r EventCondition, at: &At) -> Option<Resolved<'r>> {
    let event = &condition.event;
    let Some(info) = names.catalogue.event(event) else {
        let detail = format!("the app has no event `{}`", shown(event));
        let known = names.catalogue.event_names();
        names.unknown(&at.key("event"), codes::UNKNOWN_EVENT, detail, event, known);
        return None;
    };
    let filters = at.key("where");
    for dimension in condition.filters.keys().filter(|name| !info.dimensions.contains(name)) {
        let detail = format!("event `{}` has no dimension `{}`", shown(event), shown(dimension));
        let known = info.dimensions.clone();
        names.unknown(&filters.key(dimension), codes::UNKNOWN_DIMENSION, detail, dimension, known);
    }
    if let Measure::Sum(measure) = &condition.measure
        && !info.measures.contains(measure)
    {
        let detail = format!("event `{}` has no measure `{}`", shown(event), shown(measure));
        let known = info.measures.clone();
        names.unknown(&at.key("sum").key(measure), codes::UNKNOWN_MEASURE, detail, measure, known);
    }
    Some(Resolved { info, condition })
}

impl Resolved<'_> {
    pub fn date(self, pointer: &str, dating: &mut Dating) -> Test {
        let EventCondition { event, filters, measure, compare, .. } = self.condition;
        let bounds = self.bounds(pointer, dating);
        let mut days = self.info.published;
        match bounds {
            Some((from, to)) => days.retain(|day| (from..=to).contains(day)),
            None => days.clear(),
        }
        if days.is_empty() {
            let detail = format!(
                "everyone has a total of 0: `{}` is not published for any day of the window",
                shown(event)
            );
            dating.warn(pointer, codes::NOTHING_PUBLISHED, detail);
        }
        filter::warn(dating, event, filters, pointer);
        // An open window may begin with a stray day of decades ago; others are within the cap already.
        let horizon = |to: Ds| to.plus(1 - i64::from(dating.caps.window_days));
        dating.freshness.push(Freshness {
            pointer: pointer.to_owned(),
            kind: Part::Event,
            name: event.clone(),
            ds: days.last().copied(),
            from: bounds.map(|(from, _)| from),
            to: bounds.map(|(_, to)| to),
            missing_days: bounds
                .map(|(from, to)| missing(&days, from.max(horizon(to)), to))
                .unwrap_or_default(),
        });
        let filters =
            filters.iter().flat_map(|(name, tests)| tests.iter().map(|test| test.plan(name))).collect();
        Test::Event { event: event.clone(), days, filters, measure: measure.clone(), compare: *compare }
    }

    /// First and last day to look at; an open window reaches from the first to the last published day.
    fn bounds(&self, pointer: &str, dating: &mut Dating) -> Option<(Ds, Ds)> {
        let as_of = dating.as_of;
        match self.condition.window {
            Window::Open => {
                let mut days = self.info.published.iter().filter(|day| **day <= as_of);
                let first = *days.next()?;
                return Some((first, *days.next_back().unwrap_or(&first)));
            }
            Window::Calendar { from, to } if to.unwrap_or(from) > as_of => {
                let detail = format!("days after as_of {as_of} are not looked at");
                dating.warn(pointer, codes::WINDOW_AFTER_AS_OF, detail);
            }
            _ => {}
        }
        let bounds = self.condition.window.bounds(as_of);
        let limit = dating.caps.window_days;
        if let Some((from, to)) = bounds
            && to.days_since(from) >= i64::from(limit)
        {
            let detail = window::too_long(limit, to.days_since(from) + 1);
            dating.problems.push_at(format!("{pointer}/from"), codes::WINDOW_TOO_LONG, detail, None);
            return None;
        }
        bounds
    }
}
