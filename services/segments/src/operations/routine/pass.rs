//! One pass: some segments on one day, each distinct condition worked out once.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use muster_bitmaps::Block;
use muster_catalogue::Floor;
use muster_days::Ds;
use muster_evaluator::{Batch, Control, SnapshotCatalogue};
use muster_profile_store::{CohortFile, Snapshot};
use muster_rules::{Freshness, Made, Node, Part, Plan, Problem, Rule, Warning, check, codes};
use rayon::prelude::*;
use roaring::RoaringBitmap;
use serde_json::{Value, json};
use ulid::Ulid;
use xxhash_rust::xxh3::{xxh3_64, xxh3_128};

use super::due::OnMissing;
use crate::Segments;
use crate::error::{Error, fields};
use crate::hash;
use crate::operations::prepare::{inputs, parse};
use crate::store::{DailyRow, DayRow, NewCohort, Outcome};

/// Where days are counted from.
const FIRST: i64 = 20_200_101;

/// What is the same for all segments of a pass.
pub struct Pass<'a> {
    pub segments: &'a Segments,
    pub app: &'a str,
    pub ds: Ds,
    pub snapshot: Arc<Snapshot>,
    /// By segment: the cohort of the day that was made before.
    pub before: &'a HashMap<String, (u32, String)>,
    /// Of the segments and lists that rules name.
    pub made: &'a Made,
    /// Segments that are refreshed daily.
    pub daily: &'a BTreeSet<String>,
    /// What the day came to of those that are seen to already.
    pub outcomes: &'a HashMap<String, Outcome>,
    pub job: &'a str,
    pub now: DateTime<Utc>,
}

/// What a pass came to; files of cohorts are written, nothing shows them yet.
#[derive(Default)]
pub struct Passed {
    pub days: Vec<DayRow>,
    pub cohorts: Vec<NewCohort>,
}

/// A segment whose rule fits the data.
struct Fit<'r> {
    segment: &'r DailyRow,
    rule: Rule,
    plan: Plan,
    freshness: Vec<Freshness>,
    warnings: Vec<Warning>,
}

impl Pass<'_> {
    pub fn work(&self, segments: &[DailyRow], control: &Control<'_>) -> Result<Passed, Error> {
        let mut passed = Passed::default();
        let mut fits = Vec::new();
        for segment in segments {
            match self.fit(segment) {
                Ok(fit) => fits.push(fit),
                Err((outcome, detail)) => passed.days.push(self.day(segment, outcome, detail)),
            }
        }
        let plans: Vec<Plan> = fits.iter().map(|fit| fit.plan.clone()).collect();
        let members = Batch::new(&plans, self.snapshot.clone())?.members(control)?;
        let sizes = self.universes(&plans, control)?;
        let hashes = hash::of_many(self.snapshot.directory(), &members);
        let floor = self.snapshot.catalogue().settings.floor();
        let all = fits.into_par_iter().zip(members).zip(sizes).zip(hashes);
        let kept = all.map(|(((fit, members), universe), hash)| {
            let made = (members, universe, hash);
            self.keep(fit, made, floor)
        });
        for (day, cohort) in kept.collect::<Result<Vec<_>, Error>>()? {
            passed.days.push(day);
            passed.cohorts.extend(cohort);
        }
        Ok(passed)
    }

    /// Else the outcome of the day, and why.
    fn fit<'r>(&self, segment: &'r DailyRow) -> Result<Fit<'r>, (Outcome, Value)> {
        let refused = |error| match error {
            Error::Rule(problems) => (Outcome::Refused, json!({ "errors": fields(problems) })),
            error => (Outcome::Refused, json!({ "detail": error.to_string() })),
        };
        let mut rule = parse(self.segments, segment.rule.as_bytes(), "").map_err(refused)?;
        rule.as_of = Some(self.ds);
        let catalogue = SnapshotCatalogue::with_made(&self.snapshot, self.made);
        let checked = check(&rule, &catalogue, &self.segments.caps);
        let checked = checked.map_err(|problems| refused(Error::Rule(problems)))?;
        let missing: Vec<&Freshness> = checked.freshness.iter().filter(|part| !self.is_in(part)).collect();
        let outcome = match OnMissing::of(segment.on_missing.as_deref()) {
            OnMissing::Wait => Some(Outcome::Waiting),
            OnMissing::Skip => Some(Outcome::Skipped),
            OnMissing::Last => None,
        };
        if let Some(outcome) = outcome.filter(|_| !missing.is_empty()) {
            let in_vain: Vec<Problem> = missing.iter().filter_map(|part| self.in_vain(part)).collect();
            return Err(match in_vain.is_empty() {
                true => (outcome, json!({ "missing": missing })),
                false => refused(Error::Rule(in_vain)),
            });
        }
        let muster_rules::Checked { plan, freshness, warnings } = checked;
        Ok(Fit { segment, rule, plan, freshness, warnings })
    }

    /// Why nobody has to wait for the part: a segment that nothing is made of on this day, data or not.
    fn in_vain(&self, part: &Freshness) -> Option<Problem> {
        let outcome = self.outcomes.get(&part.name).filter(|_| part.kind == Part::Segment)?;
        if matches!(outcome, Outcome::Made | Outcome::Waiting) {
            return None;
        }
        let detail = format!("of the segment `{}`, {} is `{}`", part.name, self.ds, outcome.name());
        let pointer = format!("{}/segment", part.pointer);
        Some(Problem { pointer, code: codes::SEGMENT_NOT_MADE, detail, nearest: None })
    }

    /// Whether the part is there as far as it is looked at: up to the day itself, or to the end of a window that
    /// ends before it. Of a segment that is not made daily no other day is to be expected.
    fn is_in(&self, part: &Freshness) -> bool {
        match part.kind {
            Part::Cohort | Part::List => part.ds.is_some(),
            Part::Segment => !self.daily.contains(&part.name) || part.ds == Some(self.ds),
            Part::Label => part.ds == Some(self.ds),
            Part::Event | Part::Universe => {
                let last = part.to.unwrap_or(self.ds).min(self.ds);
                !part.missing_days.contains(&last) && part.ds.is_some()
            }
        }
    }

    /// The size of each plan's universe, every distinct one counted once.
    fn universes(&self, plans: &[Plan], control: &Control<'_>) -> Result<Vec<u64>, Error> {
        let mut distinct: Vec<Plan> = Vec::new();
        let mut places = HashMap::new();
        for plan in plans {
            places.entry(&plan.universe).or_insert_with(|| {
                let (universe, root) = (plan.universe.clone(), Node::All(Vec::new()));
                distinct.push(Plan { universe, as_of: plan.as_of, root, leaves: Vec::new() });
                distinct.len() - 1
            });
        }
        let sizes = Batch::new(&distinct, self.snapshot.clone())?.counts(control)?;
        Ok(plans.iter().map(|plan| sizes[places[&plan.universe]]).collect())
    }

    fn keep(
        &self,
        fit: Fit<'_>,
        (members, universe, hash): (Vec<RoaringBitmap>, u64, String),
        floor: Floor,
    ) -> Result<(DayRow, Option<NewCohort>), Error> {
        let size: u64 = members.iter().map(RoaringBitmap::len).sum();
        if floor.shown(size, universe).is_none() {
            let detail = json!({ "privacy_floor": floor.users() });
            return Ok((self.day(fit.segment, Outcome::BelowFloor, detail), None));
        }
        let id = self.cohort_id(fit.segment);
        self.segments.profiles.write_cohort(self.app, &id, self.ds, &members)?;
        let detail = match &fit.warnings[..] {
            [] => json!({}),
            warnings => json!({ "warnings": warnings }),
        };
        let mut day = self.day(fit.segment, Outcome::Made, detail);
        if let Some((_, before)) = self.before.get(&fit.segment.id)
            && let Some(file) = self.snapshot.cohort(before)?
        {
            let common = common(&file, &members)?;
            day.previous = Some(before.clone());
            day.entered = Some((size - common) as i64);
            day.gone = Some((file.size()? - common) as i64);
        }
        day.cohort_id = Some(id.clone());
        let cohort = NewCohort {
            id,
            app_id: self.app.to_owned(),
            segment_id: fit.segment.id.clone(),
            segment_version: fit.segment.version,
            job_id: format!("{}.{}.{:016x}", self.job, self.ds, xxh3_64(fit.segment.id.as_bytes())),
            ds: self.ds.number(),
            size: size as i64,
            universe_size: universe as i64,
            hash,
            rule: fit.rule.to_json(),
            freshness: serde_json::to_string(&fit.freshness)?,
            inputs: inputs(&fit.plan, self.snapshot.manifest()),
            created_at: self.now.timestamp_millis(),
        };
        Ok((day, Some(cohort)))
    }

    /// The same for each attempt of the job, so that one that died leaves no file behind that the next does
    /// not write again; later days behind earlier ones.
    fn cohort_id(&self, segment: &DailyRow) -> String {
        let job = self.job.strip_prefix("job_").and_then(|id| Ulid::from_string(id).ok()).unwrap_or_default();
        // A millisecond for each day: they count as made one after the other.
        let days = self.ds.days_since(Ds::from_number(FIRST).unwrap_or(self.ds)).max(0) as u64;
        let random = xxh3_128(format!("{} {} {}", self.job, segment.id, self.ds).as_bytes());
        format!("coh_{}", Ulid::from_parts(job.timestamp_ms() + days, random))
    }

    fn day(&self, segment: &DailyRow, outcome: Outcome, detail: Value) -> DayRow {
        DayRow {
            segment_id: segment.id.clone(),
            ds: self.ds.number(),
            outcome,
            detail: detail.to_string(),
            cohort_id: None,
            previous: None,
            entered: None,
            gone: None,
            job_id: self.job.to_owned(),
            updated_at: self.now.timestamp_millis(),
        }
    }
}

/// How many of the members are in the file, too.
fn common(file: &CohortFile, members: &[RoaringBitmap]) -> Result<u64, Error> {
    let mut common = 0;
    let mut block = Block::boxed();
    for (bucket, members) in (0..).zip(members) {
        let Some(before) = file.members(bucket)? else { continue };
        for (key, container) in before.containers() {
            block.clear();
            block.or_container(&container);
            let first = u32::from(key) << 16;
            let here = members.range(first..=first | 0xffff);
            common += here.filter(|ordinal| block.contains(*ordinal as u16)).count() as u64;
        }
    }
    Ok(common)
}
