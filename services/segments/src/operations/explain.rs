//! Says whether a user is in a cohort, and why.

use muster_evaluator::Evidence;
use muster_profile_store::Place;
use muster_rules::Universe;
use serde_json::{Value, json};

use super::prepare::{Asked, Prepared};
use super::served::snapshot;
use crate::Segments;
use crate::answers::{Cohort, ConditionHeld, InUniverse, Membership};
use crate::error::Error;

/// `member` comes from the cohort as it was made; the conditions are looked up in today's data, as of the
/// cohort's day. `asked` is the cohort's rule.
pub fn membership(
    segments: &Segments,
    cohort: &Cohort,
    asked: Result<Asked, Error>,
    user: &str,
) -> Result<Membership, Error> {
    let snapshot = snapshot(segments, &cohort.app_id)?;
    let place = snapshot.directory().find(user.as_bytes());
    let mut answer = Membership {
        user_id: user.to_owned(),
        cohort_id: cohort.id.clone(),
        member: false,
        known: place.is_some(),
        ds: cohort.ds,
        segment_id: cohort.segment_id.clone(),
        segment_version: cohort.segment_version,
        universe: None,
        conditions: Vec::new(),
        data: "none",
    };
    let Some(place) = place else { return Ok(answer) };
    let file = super::members::file(segments, &cohort.app_id, &cohort.id)?;
    answer.member = file.members(place.bucket)?.is_some_and(|members| members.contains(place.ordinal));
    match asked.and_then(|asked| why(segments, cohort, &asked, place, &mut answer)) {
        // The rule no longer fits the data: the cohort still stands, only its reasons can't be told.
        Err(Error::Rule(_)) => Ok(answer),
        result => result.map(|()| answer),
    }
}

fn why(
    segments: &Segments,
    cohort: &Cohort,
    asked: &Asked,
    place: Place,
    answer: &mut Membership,
) -> Result<(), Error> {
    let prepared = Prepared::open(segments, &cohort.app_id, asked, "")?;
    let explanation = prepared.bound.explain(place)?;
    let name = match &prepared.bound.plan().universe {
        Universe::All => "all".to_owned(),
        Universe::Crowd { name, .. } | Universe::Defined { name, .. } => name.clone(),
    };
    answer.universe = Some(InUniverse { name, holds: explanation.in_universe });
    answer.conditions = explanation
        .leaves
        .into_iter()
        .map(|leaf| ConditionHeld {
            condition: cohort.rule.pointer(&leaf.pointer).cloned().unwrap_or(Value::Null),
            pointer: leaf.pointer,
            holds: leaf.holds,
            evidence: shown(&leaf.evidence),
        })
        .collect();
    answer.data = if prepared.inputs() == cohort.inputs { "same" } else { "newer" };
    Ok(())
}

fn shown(evidence: &Evidence) -> Value {
    match evidence {
        Evidence::Tags(tags) => json!({ "tags": tags }),
        Evidence::Weights(weights) => json!({ "weights": weights }),
        Evidence::Member(member) => json!({ "member": member }),
        // Sums of 64-bit numbers may need more than a JSON number surely holds.
        Evidence::Total(total) => match i64::try_from(*total) {
            Ok(total) => json!({ "total": total }),
            Err(_) => json!({ "total": total.to_string() }),
        },
    }
}
