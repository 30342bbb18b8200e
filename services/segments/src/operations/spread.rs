//! How a number spreads over the members of a cohort: the weight of a tag, or what they come to of an event.

use std::ops::RangeInclusive;
use std::time::Instant;

use muster_catalogue::Floor;
use muster_days::Ds;
use muster_evaluator::{Control, Quantiles, QuantilesOf, Spread, rank};
use muster_profile_store::Snapshot;
use muster_rules::{Universe, nearest};
use serde_json::json;

use super::behaviour::known_event;
use super::profile::{Scope, members_of};
use super::served::snapshot;
use crate::Segments;
use crate::answers::Cohort;
use crate::behaviour_answers::{CohortSpread, Numbers, Quantile};
use crate::error::Error;

/// The number that each user has.
pub enum NumberOf {
    /// By id or name; on the label's newest day at or before `ds`.
    Weight { label: String, tag: String, ds: Ds },
    /// pv without a measure.
    Total { event: String, measure: Option<String>, days: RangeInclusive<Ds> },
}

/// `cohort` may be shown; `shares` are from 0 to 1. Blocks.
pub fn spread(
    segments: &Segments,
    cohort: &Cohort,
    (of, shares): (&NumberOf, &[f64]),
    (control, began): (&Control<'_>, Instant),
) -> Result<CohortSpread, Error> {
    super::on_newest_data(|| {
        let snapshot = snapshot(segments, &cohort.app_id)?;
        let (of, said) = found(&snapshot, of)?;
        let count = |universe: &Universe| -> Result<Spread, Error> {
            Ok(Quantiles::new(universe, &of, snapshot.clone())?.spread(shares, control)?)
        };
        let (members, everybody) = (count(&members_of(&cohort.id, cohort.ds))?, count(&Universe::All)?);
        let floor = snapshot.catalogue().settings.floor();
        let size = cohort.size.unwrap_or_default();
        let app = snapshot.directory().users();
        // Of those in the app who have the number, all but a few may be members: then these few would be told.
        let told = floor.shown(members.users, size).is_some()
            && (members.users == 0 || floor.shown(members.users, everybody.users).is_some());
        let app_told = floor.shown(everybody.users, app).is_some();
        Ok(CohortSpread {
            cohort_id: cohort.id.clone(),
            of: said,
            cohort: numbers(floor, told, shares, &members),
            app: numbers(floor, app_told, shares, &everybody),
            privacy_floor: floor.named(),
            took_ms: super::millis(began),
        })
    })
}

fn found<'n>(
    snapshot: &std::sync::Arc<Snapshot>,
    of: &'n NumberOf,
) -> Result<(QuantilesOf<'n>, serde_json::Value), Error> {
    match of {
        NumberOf::Weight { label, tag, ds } => {
            let scope = Scope { labels: vec![label.clone()], ds: None, top: 0 };
            let asked = scope.parts(snapshot, *ds)?.pop().ok_or(Error::NotFound("such label"))?;
            let tags = &snapshot.manifest().labels[&asked.id].tags;
            let by_id = tag.parse::<i64>().ok().filter(|id| tags.contains_key(id));
            let by_name = || tags.iter().find(|(_, name)| *name == tag).map(|(id, _)| *id);
            let tag = by_id.or_else(by_name).ok_or_else(|| Error::Unknown {
                what: "tag",
                given: tag.clone(),
                nearest: nearest(tag, tags.values()),
            })?;
            let day = asked.part.map(|part| part.meta().ds);
            let said = json!({ "label": asked.name, "tag": tag, "ds": day });
            // Nobody carries anything of a label that has no day yet.
            Ok((QuantilesOf::Weight { label: asked.id, tag, ds: day.unwrap_or(*ds) }, said))
        }
        NumberOf::Total { event, measure, days } => {
            known_event(snapshot, event)?;
            let known = &snapshot.manifest().events[event].measures;
            if let Some(measure) = measure.as_ref().filter(|measure| !known.contains(measure)) {
                let nearest = nearest(measure, known);
                return Err(Error::Unknown { what: "measure", given: measure.clone(), nearest });
            }
            let said = json!({
                "event": event, "measure": measure, "from": days.start(), "to": days.end()
            });
            Ok((QuantilesOf::Total { event, days: days.clone(), measure: measure.as_deref() }, said))
        }
    }
}

fn numbers(floor: Floor, told: bool, shares: &[f64], spread: &Spread) -> Numbers {
    let users = spread.users;
    if !told {
        let quantiles = shares.iter().map(|q| Quantile { q: *q, value: None });
        return Numbers { quantiles: quantiles.collect(), ..Numbers::default() };
    }
    let quantiles = shares.iter().enumerate().map(|(place, &q)| {
        // Among so few at either end, it is the number of one of them.
        let rank = rank(q, users);
        let crowded = rank.min((users + 1).saturating_sub(rank)) >= floor.users();
        let value = spread.quantiles.get(place).filter(|_| crowded);
        Quantile { q, value: value.and_then(|value| i64::try_from(*value).ok()) }
    });
    Numbers {
        users: Some(users),
        sum: i64::try_from(spread.sum).ok(),
        mean: (users > 0).then(|| spread.sum as f64 / users as f64),
        quantiles: quantiles.collect(),
    }
}
