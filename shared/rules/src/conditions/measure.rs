//! The measure of an event condition: `pv`, `days` or `sum`, with its comparison.

use serde::ser::SerializeMap;

use crate::codes;
use crate::compare::{self, Compare};
use crate::plan::Measure;
use crate::pointer::At;
use crate::reader::{Fields, Reader};

pub(crate) const KEYS: [&str; 3] = ["pv", "days", "sum"];

/// At least one row: what an event condition asks when it names no measure.
const DEFAULT: (Measure, Compare) = (Measure::Pv, Compare::Gte(1));

pub(crate) fn read(reader: &mut Reader, fields: Fields, at: &At) -> Option<(Measure, Compare)> {
    let advice = "an event condition has one measure; write one condition for each in an `all`";
    let Some(key) = reader.one_of(fields, at, &KEYS, advice) else { return Some(DEFAULT) };
    let (json, at) = (fields.get(key)?, at.key(key));
    match key {
        "pv" => Some((Measure::Pv, compare::read(reader, json, &at)?)),
        "days" => Some((Measure::Days, compare::read(reader, json, &at)?)),
        _ => {
            let fields = reader.object(json, &at, "an object such as {\"m_amount\": {\"gt\": 100}}")?;
            sum(reader, fields, &at)
        }
    }
}

fn sum(reader: &mut Reader, fields: Fields, at: &At) -> Option<(Measure, Compare)> {
    let [(measure, json)] = fields.0 else {
        let [_, (second, _), ..] = fields.0 else {
            reader.missing(at, "name the measure to sum, such as {\"m_amount\": {\"gt\": 100}}");
            return None;
        };
        let place = reader.place(at, second);
        let detail = "one condition sums one measure: write one condition for each in an `all`";
        reader.problems.push(&place, codes::CONFLICTING_KEYS, detail);
        return None;
    };
    let place = reader.place(at, measure);
    if !reader.check_name(measure, &place) {
        return None;
    }
    let compare = compare::read(reader, json, &place)?;
    Some((Measure::Sum(measure.clone()), compare))
}

pub(crate) fn write<M: SerializeMap>(
    map: &mut M,
    measure: &Measure,
    compare: &Compare,
) -> Result<(), M::Error> {
    match measure {
        Measure::Pv => map.serialize_entry("pv", compare),
        Measure::Days => map.serialize_entry("days", compare),
        Measure::Sum(name) => {
            map.serialize_entry("sum", &std::collections::BTreeMap::from([(name, compare)]))
        }
    }
}
