//! What an experiment came to: its groups beside control, on the days since it began.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Instant;

use muster_catalogue::Floor;
use muster_days::Ds;
use muster_evaluator::Control;
use muster_http::{Kind, Problem};
use muster_profile_store::Snapshot;

use super::compare::{How, Set, compare, false_discoveries, newest, ratio};
use super::drafts::{day, definition, find, require};
use super::observed::{Tags, exposed, exposed_by_day, tags};
use super::split::and;
use crate::Cohorts;
use crate::answers::{DaySampleRatio, GroupMembers, Results, State, TagResults};
use crate::audiences::{Stopped, Users, floor, size};
use crate::definition::Definition;
use crate::error::Error;
use crate::store::{self, ExperimentRow};

/// Days without data that are told.
const MISSING: usize = 100;

/// How results are asked for.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The last day that counts: the newest that a metric has data of when not given.
    pub to: Option<Ds>,
    pub level: f64,
    pub sequential: bool,
    pub cuped: bool,
    /// By id or name: each of its tags by itself, too.
    pub label: Option<String>,
}

/// What one answer rests on.
struct Case {
    row: ExperimentRow,
    asked: Asked,
    snapshot: Arc<Snapshot>,
    definition: Definition,
    /// Everybody who was ever split, by group.
    split: Vec<Users>,
    /// Whoever is compared; None: all of these.
    exposed: Option<Users>,
    /// Users who were exposed until then.
    exposed_by_day: Vec<(Ds, Users)>,
    /// Day, and users by group, of each version of the groups.
    by_version: Vec<(Ds, Vec<u64>)>,
    tags: Tags,
    days: RangeInclusive<Ds>,
}

pub async fn results(
    cohorts: &Cohorts,
    (app, id): (&str, &str),
    asked: Asked,
    (stopped, began): (Stopped, Instant),
) -> Result<Results, Error> {
    let row = find(cohorts, app, id).await?;
    require(&row, &[State::Running, State::Stopped], "There are results once an experiment runs")?;
    let definition = definition(&row)?;
    let snapshot = cohorts.audiences.snapshot(app).await?;
    let days = days(&row, &definition, &snapshot, asked.to)?;
    let turn = cohorts.audiences.turn(app, cost(&definition, &asked)).await?;
    let members: Vec<GroupMembers> = serde_json::from_str(row.members.as_deref().unwrap_or("[]"))?;
    let mut split = Vec::new();
    for group in &members {
        split.push(cohorts.audiences.members(app, &group.ever_cohort_id).await?);
    }
    let mut by_version = Vec::new();
    for (ds, users) in store::users_by_version(&cohorts.db, app, id).await? {
        by_version.push((day(ds)?, serde_json::from_str(&users)?));
    }
    let event = definition.exposure.as_deref();
    let of = (cohorts, app, &stopped);
    let case = Case {
        exposed: match event {
            Some(event) => Some(exposed(of, event, &days).await?),
            None => None,
        },
        exposed_by_day: match event {
            Some(event) => exposed_by_day(of, event, &days).await?,
            None => Vec::new(),
        },
        tags: match &asked.label {
            Some(label) => tags(of, &snapshot, label, *days.start()).await?,
            None => Tags::default(),
        },
        row,
        asked,
        snapshot,
        definition,
        split,
        by_version,
        days,
    };
    super::evaluate(turn, stopped, move |control| {
        let mut results = case.results(control)?;
        results.took_ms = (began.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        Ok(results)
    })
    .await
}

fn sizes(groups: &[Users]) -> Vec<u64> {
    groups.iter().map(|users| size(users)).collect()
}

fn all_and(groups: &[Users], with: &Users) -> Vec<Users> {
    groups.iter().map(|users| and(users, with)).collect()
}

/// In evaluations, more or less.
fn cost(definition: &Definition, asked: &Asked) -> u64 {
    let metrics = definition.metrics.len() as u64;
    let tags = if asked.label.is_some() { super::observed::TAGS as u64 } else { 0 };
    let exposures = if definition.exposure.is_some() { super::observed::BY_DAY as u64 } else { 0 };
    1 + metrics * (1 + tags) + exposures
}

/// From the first day that counts to the one that is asked for, or the newest that any metric has data of.
fn days(
    row: &ExperimentRow,
    definition: &Definition,
    snapshot: &Snapshot,
    asked: Option<Ds>,
) -> Result<RangeInclusive<Ds>, Error> {
    let from =
        row.from_ds.map(day).transpose()?.ok_or_else(|| Error::Inside(format!("{} has no day", row.id)))?;
    let newest = newest(definition, snapshot);
    let last = row.to_ds.map(day).transpose()?;
    // What is asked for beyond the newest day says nothing that the newest does not.
    let to = newest.map(|newest| asked.map_or(newest, |to| to.min(newest)));
    let to = to.map(|to| last.map_or(to, |last| to.min(last)));
    match to.filter(|to| *to >= from) {
        Some(to) => Ok(from..=to),
        None => {
            let newest =
                newest.map_or("none at all".to_owned(), |newest| format!("{newest} is the newest day"));
            let detail = format!("Days count from {from} on, and there are no data of them yet: {newest}.");
            Err(Problem::new(Kind::Conflict, "no_data_yet", detail).into())
        }
    }
}

impl Case {
    fn results(&self, control: &Control<'_>) -> Result<Results, Error> {
        let floor = floor(&self.snapshot);
        let groups = match &self.exposed {
            Some(exposed) => all_and(&self.split, exposed),
            None => self.split.clone(),
        };
        let (of_split, of_groups) = (sizes(&self.split), sizes(&groups));
        let of_tag = |(_, _, carrying): &(i64, String, Users)| Set {
            groups: all_and(&groups, carrying),
            within: of_groups.clone(),
        };
        let mut sets: Vec<Set> = self.tags.users.iter().map(of_tag).collect();
        sets.insert(0, Set { groups, within: of_split.clone() });
        let how = self.how(floor);
        let mut results = compare(&self.snapshot, &self.definition, &sets, &how, control)?;
        false_discoveries(results.iter_mut().flatten());
        let metrics = results.remove(0);
        let by_tag = self.tags.users.iter().zip(results);
        Ok(Results {
            experiment_id: self.row.id.clone(),
            from: *self.days.start(),
            to: *self.days.end(),
            missing_days: self.missing_days(how.before.as_ref()),
            level: self.asked.level,
            sequential: self.asked.sequential,
            cuped: self.asked.cuped,
            sample_ratio: self.ratio(*self.days.end(), of_groups, &of_split, floor).sample_ratio,
            sample_ratio_by_day: self.by_day(&of_split, floor),
            metrics,
            label_ds: self.tags.ds,
            by_tag: by_tag
                .map(|((id, name, _), metrics)| TagResults { id: *id, name: name.clone(), metrics })
                .collect(),
            privacy_floor: floor.named(),
            took_ms: 0.0,
        })
    }

    fn how(&self, floor: Floor) -> How {
        let before = self.definition.days_before(*self.days.start()).filter(|_| self.asked.cuped);
        // As many as there were when it began: an interval that holds always must not learn from what comes.
        let planned = self.by_version.first().map(|(_, users)| users.clone());
        How {
            days: self.days.clone(),
            before: before.map(|(from, to)| from..=to),
            level: self.asked.level,
            planned: planned.filter(|_| self.asked.sequential),
            floor,
        }
    }

    /// Whether groups were as large as they should be: on each day those who were exposed until then, or, without an
    /// exposure, whenever groups were made, those who were split until then.
    fn by_day(&self, of_split: &[u64], floor: Floor) -> Vec<DaySampleRatio> {
        if self.definition.exposure.is_none() {
            let until = self.by_version.iter().filter(|(ds, _)| ds <= self.days.end());
            return until.map(|(ds, users)| self.ratio(*ds, users.clone(), users, floor)).collect();
        }
        let exposed = self.exposed_by_day.iter();
        exposed
            .map(|(ds, users)| self.ratio(*ds, sizes(&all_and(&self.split, users)), of_split, floor))
            .collect()
    }

    /// Nothing is told of groups one of which may not be.
    fn ratio(&self, ds: Ds, users: Vec<u64>, within: &[u64], floor: Floor) -> DaySampleRatio {
        let shown = users.iter().zip(within).map(|(users, of)| floor.shown(*users, *of));
        let shown: Vec<Option<u64>> = shown.collect();
        let all = shown.iter().all(Option::is_some);
        let sample_ratio = if all { ratio(&users, &self.definition, floor) } else { None };
        DaySampleRatio { ds, sample_ratio, users: shown }
    }

    fn missing_days(&self, before: Option<&RangeInclusive<Ds>>) -> Vec<String> {
        let mut events: Vec<&String> = self.definition.metrics.iter().map(|metric| &metric.event).collect();
        events.extend(&self.definition.exposure);
        events.sort();
        events.dedup();
        let has = |event: &str, ds: &Ds| {
            self.snapshot.manifest().events.get(event).is_some_and(|entry| entry.days.contains_key(ds))
        };
        let first = before.map_or(*self.days.start(), |before| *before.start());
        let missing = events.into_iter().flat_map(|event| {
            let days = first.through(*self.days.end()).filter(move |ds| !has(event, ds));
            days.map(move |ds| format!("{event} {ds}"))
        });
        missing.take(MISSING).collect()
    }
}
