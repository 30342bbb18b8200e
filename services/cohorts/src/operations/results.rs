//! What an experiment came to: its groups beside control, on the days since it began.

use std::cmp::Reverse;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Instant;

use muster_catalogue::Floor;
use muster_days::Ds;
use muster_evaluator::Control;
use muster_http::{Kind, Problem};
use muster_profile_store::Snapshot;
use muster_rules::nearest;
use serde_json::json;

use super::compare::{How, compare, false_discoveries, newest, ratio};
use super::drafts::{day, definition, find, require};
use super::split::and;
use crate::Cohorts;
use crate::answers::{DaySampleRatio, GroupMembers, Results, State, TagResults};
use crate::audiences::{Stopped, Users, floor, size};
use crate::definition::Definition;
use crate::error::Error;
use crate::store::{self, ExperimentRow};

/// Days without data that are told.
const MISSING: usize = 100;
/// Days up to the last one for which it is told how many were exposed until then.
const BY_DAY: i64 = 60;
/// Tags that are looked at by themselves, those that most users carry.
const TAGS: usize = 30;

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
    snapshot: Arc<Snapshot>,
    definition: Definition,
    /// Who is compared, by group.
    groups: Vec<Users>,
    days: RangeInclusive<Ds>,
    how: How,
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
    let floor = floor(&snapshot);
    let members: Vec<GroupMembers> = serde_json::from_str(row.members.as_deref().unwrap_or("[]"))?;
    let mut groups = Vec::new();
    for group in &members {
        groups.push(cohorts.audiences.members(app, &group.ever_cohort_id).await?);
    }
    let turn = cohorts.audiences.turn(app, cost(&definition, &asked)).await?;
    let by_version = store::users_by_version(&cohorts.db, app, id).await?;
    // As many as there were when it began: an interval that holds always must not learn from what comes.
    let planned = by_version.first().filter(|_| asked.sequential);
    let planned = planned.map(|(_, users)| serde_json::from_str(users)).transpose()?;
    let by_day = by_day(cohorts, app, (&definition, floor), (&groups, &days, by_version), &stopped).await?;
    if let Some(exposure) = &definition.exposure {
        let exposed = exposed(cohorts, app, (exposure, &days), &stopped).await?;
        groups = groups.iter().map(|users| and(users, &exposed)).collect();
    }
    let tags = match &asked.label {
        Some(label) => tags(cohorts, app, (&snapshot, *days.end()), label, &stopped).await?,
        None => Vec::new(),
    };
    let before = definition.days_before(*days.start()).filter(|_| asked.cuped).map(|(from, to)| from..=to);
    let how = How { days: days.clone(), before, level: asked.level, planned, floor };
    let case = Case { snapshot, definition, groups, days, how };
    super::evaluate(turn, stopped, move |control| {
        let mut results = case.results(&row.id, &asked, tags, control)?;
        results.sample_ratio_by_day = by_day;
        results.took_ms = (began.elapsed().as_secs_f64() * 1e6).round() / 1e3;
        Ok(results)
    })
    .await
}

/// In evaluations, more or less.
fn cost(definition: &Definition, asked: &Asked) -> u64 {
    let metrics = definition.metrics.len() as u64 * if asked.label.is_some() { 1 + TAGS as u64 } else { 1 };
    1 + metrics + if definition.exposure.is_some() { BY_DAY as u64 } else { 0 }
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
    let to = asked.or(newest).map(|to| last.map_or(to, |last| to.min(last)));
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

/// Whoever did the event on any of the days.
async fn exposed(
    cohorts: &Cohorts,
    app: &str,
    (event, days): (&str, &RangeInclusive<Ds>),
    stopped: &Stopped,
) -> Result<Users, Error> {
    let (from, to) = (days.start(), days.end());
    let rule = json!({ "as_of": to, "where": { "event": event, "from": from, "to": to } });
    let rule = cohorts.audiences.read(app, rule.to_string().as_bytes(), "").await?;
    Ok(cohorts.audiences.find(app, &rule, stopped.clone()).await?.users)
}

/// Whether groups were as large as they should be: on each day those who were exposed until then, or, without an
/// exposure, whenever groups were made, those who were split until then.
async fn by_day(
    cohorts: &Cohorts,
    app: &str,
    (definition, floor): (&Definition, Floor),
    (groups, days, by_version): (&[Users], &RangeInclusive<Ds>, Vec<(u32, String)>),
    stopped: &Stopped,
) -> Result<Vec<DaySampleRatio>, Error> {
    let told = |ds: Ds, users: Vec<u64>| DaySampleRatio {
        ds,
        sample_ratio: ratio(&users, definition, floor),
        users: users.into_iter().map(|users| Some(users).filter(|users| !floor.is_few(*users))).collect(),
    };
    let mut by_day = Vec::new();
    let Some(exposure) = &definition.exposure else {
        for (ds, users) in by_version {
            by_day.push(told(day(ds)?, serde_json::from_str(&users)?));
        }
        return Ok(by_day);
    };
    for ds in (*days.start()).max(days.end().plus(1 - BY_DAY)).through(*days.end()) {
        let until = *days.start()..=ds;
        let exposed = exposed(cohorts, app, (exposure, &until), stopped).await?;
        by_day.push(told(ds, groups.iter().map(|users| size(&and(users, &exposed))).collect()));
    }
    Ok(by_day)
}

/// Who carries each tag of the label, on its newest day up to this one: the tags that most users carry.
async fn tags(
    cohorts: &Cohorts,
    app: &str,
    (snapshot, ds): (&Snapshot, Ds),
    label: &str,
    stopped: &Stopped,
) -> Result<Vec<(i64, String, Users)>, Error> {
    let labels = &snapshot.manifest().labels;
    let by_id = label.parse::<i64>().ok().and_then(|id| labels.get_key_value(&id));
    let Some((id, entry)) = by_id.or_else(|| labels.iter().find(|(_, entry)| entry.name == label)) else {
        let nearest = nearest(label, labels.values().map(|entry| &entry.name));
        let hint = nearest.as_ref().map(|nearest| format!(" Did you mean `{nearest}`?")).unwrap_or_default();
        let problem =
            Problem::new(Kind::NotFound, "label_not_found", format!("There is no label `{label}`.{hint}"));
        return Err(problem.with_fault("label", "unknown_label", nearest).into());
    };
    let day = entry.days.range(..=ds).next_back().map(|(day, _)| *day);
    let part = day.map(|day| snapshot.label(*id, day)).transpose()?.flatten();
    let mut most: Vec<(i64, u64)> =
        part.iter().flat_map(|part| &part.meta().tags).map(|(code, tag)| (*code, tag.users)).collect();
    most.sort_by_key(|(code, users)| (Reverse(*users), *code));
    let mut tags = Vec::new();
    for (code, _) in most.into_iter().take(TAGS) {
        let rule = json!({ "as_of": ds, "where": { "label": id, "in": [code] } });
        let rule = cohorts.audiences.read(app, rule.to_string().as_bytes(), "").await?;
        let users = cohorts.audiences.find(app, &rule, stopped.clone()).await?.users;
        tags.push((code, entry.tags.get(&code).cloned().unwrap_or_default(), users));
    }
    Ok(tags)
}

impl Case {
    fn results(
        &self,
        id: &str,
        asked: &Asked,
        tags: Vec<(i64, String, Users)>,
        control: &Control<'_>,
    ) -> Result<Results, Error> {
        let slices = |groups: &[Users]| groups.iter().map(|users| size(users)).collect::<Vec<u64>>();
        let mut metrics = self.compare(&self.groups, control)?;
        let mut by_tag = Vec::new();
        for (id, name, carrying) in tags {
            let groups: Vec<Users> = self.groups.iter().map(|users| and(users, &carrying)).collect();
            by_tag.push(TagResults { id, name, metrics: self.compare(&groups, control)? });
        }
        let of_tags = by_tag.iter_mut().flat_map(|tag| &mut tag.metrics);
        false_discoveries(metrics.iter_mut().chain(of_tags));
        Ok(Results {
            experiment_id: id.to_owned(),
            from: *self.days.start(),
            to: *self.days.end(),
            missing_days: self.missing_days(),
            level: asked.level,
            sequential: asked.sequential,
            cuped: asked.cuped,
            sample_ratio: ratio(&slices(&self.groups), &self.definition, self.how.floor),
            sample_ratio_by_day: Vec::new(),
            metrics,
            by_tag,
            privacy_floor: self.how.floor.named(),
            took_ms: 0.0,
        })
    }

    fn compare(
        &self,
        groups: &[Users],
        control: &Control<'_>,
    ) -> Result<Vec<crate::answers::MetricResult>, Error> {
        let groups: Vec<&[roaring::RoaringBitmap]> = groups.iter().map(|users| &users[..]).collect();
        compare(&self.snapshot, &self.definition, &groups, &self.how, control)
    }

    fn missing_days(&self) -> Vec<String> {
        let mut events: Vec<&String> = self.definition.metrics.iter().map(|metric| &metric.event).collect();
        events.extend(&self.definition.exposure);
        events.sort();
        events.dedup();
        let has = |event: &str, ds: &Ds| {
            self.snapshot.manifest().events.get(event).is_some_and(|entry| entry.days.contains_key(ds))
        };
        let missing = events.into_iter().flat_map(|event| {
            let days = self.days.start().through(*self.days.end()).filter(move |ds| !has(event, ds));
            days.map(move |ds| format!("{event} {ds}"))
        });
        missing.take(MISSING).collect()
    }
}
