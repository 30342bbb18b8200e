//! Computes a segment version's members and writes them down, once per job.

use std::time::Instant;

use chrono::{DateTime, Utc};
use muster_evaluator::Control;
use roaring::RoaringBitmap;

use super::prepare::{Asked, Prepared};
use crate::Segments;
use crate::error::Error;
use crate::hash;
use crate::instruments;
use crate::store::NewCohort;

/// What to compute, and for which job.
pub struct CohortOrder {
    pub app: String,
    pub segment: String,
    pub version: u32,
    pub asked: Asked,
    pub job: String,
}

/// Writes the cohort's file and returns the row that makes it visible. Done again for the same job it
/// writes the same file anew.
pub fn make_cohort(
    segments: &Segments,
    order: &CohortOrder,
    control: &Control<'_>,
    now: DateTime<Utc>,
) -> Result<NewCohort, Error> {
    let began = Instant::now();
    let prepared = Prepared::open(segments, &order.app, &order.asked, "")?;
    let span = tracing::info_span!("evaluate", conditions = prepared.bound.plan().leaves.len());
    let (universe, members) = span.in_scope(|| -> Result<_, Error> {
        Ok((prepared.bound.universe_size(control)?, prepared.bound.members(control)?))
    })?;
    let size: u64 = members.iter().map(RoaringBitmap::len).sum();
    let floor = prepared.floor();
    if floor.shown(size, universe).is_none() {
        return Err(Error::BelowFloor(floor));
    }
    // The day is fixed from here on: asked later why a user is in, the rule looks from the same day.
    let mut rule = order.asked.rule.clone();
    rule.as_of = Some(prepared.as_of());
    let id = order.job.replacen("job_", "coh_", 1);
    let hash = hash::of_members(prepared.bound.snapshot().directory(), &members)?;
    tracing::info_span!("write cohort")
        .in_scope(|| segments.profiles.write_cohort(&order.app, &id, prepared.as_of(), &members))?;
    instruments::cohort_made(began.elapsed(), size);
    Ok(NewCohort {
        id,
        app_id: order.app.clone(),
        segment_id: order.segment.clone(),
        segment_version: order.version,
        job_id: order.job.clone(),
        ds: prepared.as_of().number(),
        size: size as i64,
        universe_size: universe as i64,
        hash,
        rule: rule.to_json(),
        freshness: serde_json::to_string(&prepared.freshness)?,
        inputs: prepared.inputs(),
        created_at: now.timestamp_millis(),
    })
}
