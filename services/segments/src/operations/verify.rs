//! Works a cohort out again.

use muster_evaluator::Control;

use super::prepare::{Asked, Prepared};
use super::served::snapshot;
use crate::Segments;
use crate::answers::{Cohort, Verified};
use crate::error::Error;
use crate::hash;

/// `asked` is the cohort's rule. Blocks; takes as long as making the cohort.
pub fn verify(
    segments: &Segments,
    cohort: &Cohort,
    asked: &Asked,
    control: &Control<'_>,
) -> Result<Verified, Error> {
    let hash_of_file = hash_of_file(segments, cohort)?;
    let prepared = match Prepared::open(segments, &cohort.app_id, asked, "") {
        Err(Error::Rule(_)) => None,
        prepared => Some(prepared?),
    };
    let mut found = Verified {
        cohort_id: cohort.id.clone(),
        same: false,
        data: "none",
        hash: cohort.hash.clone(),
        hash_now: None,
        hash_of_file,
    };
    if let Some(prepared) = prepared {
        let members = prepared.bound.members(control)?;
        let now = hash::of_members(prepared.bound.snapshot().directory(), &members)?;
        found.same = now == found.hash && found.hash == found.hash_of_file;
        found.data = if prepared.inputs() == cohort.inputs { "same" } else { "newer" };
        found.hash_now = Some(now);
    }
    Ok(found)
}

fn hash_of_file(segments: &Segments, cohort: &Cohort) -> Result<String, Error> {
    let members = super::members(segments, &cohort.app_id, &cohort.id)?;
    let snapshot = snapshot(segments, &cohort.app_id)?;
    hash::of_members(snapshot.directory(), &members)
}
