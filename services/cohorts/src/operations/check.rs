//! Whether groups differ before there is anything to tell them apart, and a salt with which they do less.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use muster_evaluator::Control;
use muster_http::{Kind, Problem};
use muster_jobs::{Failure, Run};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::compare::{How, Set, compare, false_discoveries, newest, ratio};
use super::drafts::{definition, find, require};
use super::holdout::held_out;
use super::split::split;
use crate::Cohorts;
use crate::answers::{Check, MetricResult, State};
use crate::assignment::{Assignment, in_millionths};
use crate::audiences::{Audience, Stopped, floor, size};
use crate::definition::Definition;
use crate::error::Error;
use crate::store::{self, ExperimentRow};

/// Salts that one check may try.
pub const SALTS: u32 = 100;
/// A difference is one at this false discovery rate.
const RATE: f64 = 0.05;
const LEVEL: f64 = 0.95;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Search {
    /// Further salts to try; the draft gets the one with which the groups differ least.
    pub salts: u32,
}

/// A salt, and what groups come to with it.
struct Tried {
    salt: String,
    metrics: Vec<MetricResult>,
    users: Vec<u64>,
    /// The smallest p-value of any comparison: the greater, the better.
    p_value: f64,
}

/// What the job does. Blocks nobody else: it holds a turn.
pub async fn check(
    cohorts: &Cohorts,
    app: &str,
    id: &str,
    search: Search,
    run: &Run,
    now: DateTime<Utc>,
) -> Result<Value, Failure> {
    let row = find(cohorts, app, id).await?;
    require(&row, &[State::Draft], "Only a draft is checked")?;
    let definition = definition(&row)?;
    let traffic = in_millionths(definition.traffic).unwrap_or_default();
    let assignment = Assignment {
        holdout: held_out(cohorts, app).await?,
        traffic: store::would_take(&cohorts.db, &row, traffic).await?,
        salt: row.salt.clone(),
        shares: definition.shares(),
    };
    let (watched, told) = (run.clone(), run.clone());
    let stopped: Stopped = Arc::new(move || watched.stopped());
    let turn = tokio::select! {
        turn = cohorts.audiences.turn_patiently(app, 1 + u64::from(search.salts)) => turn,
        () = run.until_stopped() => return Err(Failure::stopped()),
    };
    let audience = cohorts.audiences.find(app, &row.rule, stopped.clone()).await.map_err(Error::from)?;
    let of = row.clone();
    let done = super::evaluate(turn, stopped, move |control| {
        let progress = |done: f64| told.progress(done);
        find_salt(&of, (&definition, assignment), &audience, search, (control, &progress))
    });
    let checked = done.await?;
    let (text, salt) = (serde_json::to_string(&checked).map_err(Failure::internal)?, checked.salt.clone());
    if !run.still_mine().await.map_err(Failure::internal)? {
        return Err(Failure::stopped());
    }
    if !store::put_checked(&cohorts.db, &row, (&text, &salt), now).await? {
        return Err(Error::from(Problem::from(Error::Moved)).into());
    }
    serde_json::to_value(checked).map_err(Failure::internal)
}

fn find_salt(
    row: &ExperimentRow,
    (definition, mut assignment): (&Definition, Assignment),
    audience: &Audience,
    search: Search,
    (control, progress): (&Control<'_>, &dyn Fn(f64)),
) -> Result<Check, Error> {
    let snapshot = &audience.snapshot;
    let before = newest(definition, snapshot).and_then(|newest| definition.days_before(newest.plus(1)));
    let Some(before) = before.filter(|_| !definition.metrics.is_empty()) else {
        let detail = "A check needs metrics, and days to look back at: see `metrics` and `pre_days`.";
        return Err(Problem::new(Kind::Conflict, "nothing_to_check", detail).into());
    };
    let floor = floor(snapshot);
    let days = before.0..=before.1;
    let how = How { days, before: None, level: LEVEL, planned: None, floor };
    let mut best: Option<Tried> = None;
    for number in 0..=search.salts {
        if number > 0 {
            // Another check tries others.
            assignment.salt = format!("{}/{}.{number}", row.id, row.revision);
        }
        let tried = try_salt(definition, &assignment, audience, &how, control)?;
        if best.as_ref().is_none_or(|best| tried.p_value > best.p_value) {
            best = Some(tried);
        }
        progress(f64::from(number + 1) / f64::from(search.salts + 1));
    }
    let best = best.ok_or_else(|| Error::Inside("no salt was tried".to_owned()))?;
    let comparisons = best.metrics.iter().flat_map(|metric| &metric.groups);
    let rates: Vec<f64> = comparisons.filter_map(|group| group.against_control.as_ref()?.q).collect();
    Ok(Check {
        balanced: (!rates.is_empty()).then(|| rates.iter().all(|q| *q > RATE)),
        from: before.0,
        to: before.1,
        population_ds: audience.ds,
        sample_ratio: ratio(&best.users, definition, floor),
        users: best
            .users
            .into_iter()
            .map(|users| Some(users).filter(|users| !floor.is_few(*users)))
            .collect(),
        salt: best.salt,
        salts: search.salts + 1,
        metrics: best.metrics,
        privacy_floor: floor.named(),
    })
}

fn try_salt(
    definition: &Definition,
    assignment: &Assignment,
    audience: &Audience,
    how: &How,
    control: &Control<'_>,
) -> Result<Tried, Error> {
    let groups = split(&audience.snapshot, &audience.users, assignment)?;
    let users: Vec<u64> = groups.iter().map(|users| size(users)).collect();
    let sets = [Set { groups, within: users.clone() }];
    let mut metrics = compare(&audience.snapshot, definition, &sets, how, control)?.remove(0);
    let p_value = false_discoveries(&mut metrics).unwrap_or(0.0);
    Ok(Tried { salt: assignment.salt.clone(), metrics, users, p_value })
}
