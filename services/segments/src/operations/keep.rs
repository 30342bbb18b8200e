//! Creates, changes and shows segments. A rule is checked before it is kept.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::iter::successors;

use chrono::{DateTime, Utc};
use muster_evaluator::SnapshotCatalogue;
use muster_rules::{Problem, Rule, check, codes};
use ulid::Ulid;

use super::floor::floor;
use super::name::check_name;
use super::prepare::Asked;
use super::routine::OnMissing;
use super::served::snapshot;
use crate::Segments;
use crate::answers::Segment;
use crate::error::Error;
use crate::store::{self, Change, SegmentRow};

/// What a segment is made of.
pub struct SegmentChange {
    pub name: String,
    /// JSON text.
    pub rule: String,
    pub refresh: String,
    /// `last`, `wait` or `skip`.
    pub on_missing: Option<String>,
}

impl SegmentChange {
    fn check_words(&self) -> Result<(), Error> {
        check_name(&self.name)?;
        if !["manual", "daily"].contains(&&*self.refresh) {
            let detail = "The refresh is `manual` or `daily`.".to_owned();
            return Err(Error::Body { pointer: "/refresh", code: "unknown_refresh", detail });
        }
        if self.on_missing.as_ref().is_some_and(|on| OnMissing::from_name(on).is_none()) {
            let detail = "`on_missing` is `last`, `wait` or `skip`.".to_owned();
            return Err(Error::Body { pointer: "/on_missing", code: "unknown_on_missing", detail });
        }
        Ok(())
    }
}

/// Whether the rule, which stands under `prefix` of the body, fits the data. A segment or list that it names may have nothing made of it yet.
pub fn check_rule(segments: &Segments, app: &str, asked: &Asked, prefix: &str) -> Result<(), Error> {
    let snapshot = snapshot(segments, app)?;
    let catalogue = SnapshotCatalogue::with_made(&snapshot, &asked.made);
    let checked = check(&asked.rule, &catalogue, &segments.caps);
    let mut problems = checked.err().unwrap_or_default();
    problems.retain(|problem| ![codes::SEGMENT_NOT_MADE, codes::LIST_NOT_FILLED].contains(&problem.code));
    if problems.is_empty() {
        return Ok(());
    }
    Err(Error::Rule(problems.into_iter().map(|problem| problem.under(prefix)).collect()))
}

pub async fn create(
    segments: &Segments,
    app: &str,
    new: SegmentChange,
    by: &str,
    now: DateTime<Utc>,
) -> Result<Segment, Error> {
    let rule = checked(segments, (app, None), &new).await?;
    let now = now.timestamp_millis();
    let row = SegmentRow {
        id: format!("seg_{}", Ulid::generate()),
        app_id: app.into(),
        name: new.name,
        refresh: new.refresh,
        on_missing: new.on_missing,
        version: 1,
        rule,
        created_at: now,
        updated_at: now,
    };
    store::create(&segments.db, &row, by).await?;
    shown(segments, row).await
}

pub async fn change(
    segments: &Segments,
    (app, id): (&str, &str),
    new: SegmentChange,
    by: &str,
    now: DateTime<Utc>,
) -> Result<Segment, Error> {
    // Its own id: a database may take one that only resembles it.
    let id = &get(segments, app, id).await?.id;
    let rule = checked(segments, (app, Some(id)), &new).await?;
    let to =
        Change { name: &new.name, refresh: &new.refresh, on_missing: new.on_missing.as_deref(), rule: &rule };
    store::change(&segments.db, (app, id), to, by, now).await?;
    get(segments, app, id).await
}

pub async fn get(segments: &Segments, app: &str, id: &str) -> Result<Segment, Error> {
    let row = store::segment(&segments.db, app, id).await?.ok_or(Error::NotFound("such segment"))?;
    shown(segments, row).await
}

/// The canonical rule, once everything is in order. `id` is the segment that is to have it, if there is one.
async fn checked(
    segments: &Segments,
    (app, id): (&str, Option<&str>),
    new: &SegmentChange,
) -> Result<String, Error> {
    new.check_words()?;
    let asked = Asked::read(segments, app, new.rule.as_bytes(), "/rule").await?;
    let text = asked.rule.to_json();
    let rules = match id {
        Some(_) if !asked.made.segments.is_empty() => store::rules_with_segments(&segments.db, app).await?,
        _ => HashMap::new(),
    };
    // This reads the store, and all rules that name segments.
    let (segments, app, id) = (segments.clone(), app.to_owned(), id.map(str::to_owned));
    let check = tokio::task::spawn_blocking(move || {
        if let Some(id) = id {
            refuse_cycle(&rules, &id, &asked.rule)?;
        }
        check_rule(&segments, &app, &asked, "/rule")
    });
    check.await.map_err(|error| Error::Inside(error.to_string()))??;
    Ok(text)
}

/// Refuses a rule that leads back to its own segment.
fn refuse_cycle(rules: &HashMap<String, String>, id: &str, rule: &Rule) -> Result<(), Error> {
    let named = rule.named().segments;
    let Some(way) = way(rules, named.keys().copied(), id) else { return Ok(()) };
    let detail = format!("the segment would name itself: {id} → {}", way.join(" → "));
    let pointer = way.first().and_then(|first| named.get(first)).map(String::as_str).unwrap_or_default();
    let pointer = format!("/rule{pointer}/segment");
    Err(Error::Rule(vec![Problem { pointer, code: codes::SEGMENT_CYCLE, detail, nearest: None }]))
}

/// The segments from one of `begin` to `last`, each of which names the next.
fn way<'r>(
    rules: &'r HashMap<String, String>,
    begin: impl Iterator<Item = &'r str>,
    last: &str,
) -> Option<Vec<&'r str>> {
    let mut left: Vec<&str> = begin.collect();
    let mut named_by: HashMap<&str, Option<&str>> = left.iter().map(|first| (*first, None)).collect();
    while let Some(end) = left.pop() {
        if end == last {
            let mut way: Vec<&str> = successors(Some(end), |end| named_by[end]).collect();
            way.reverse();
            return Some(way);
        }
        for next in rules.get(end).map(|rule| store::named(rule, "segment")).into_iter().flatten() {
            if let Entry::Vacant(unseen) = named_by.entry(next) {
                unseen.insert(Some(end));
                left.push(next);
            }
        }
    }
    None
}

/// The row as the API shows it.
pub async fn shown(segments: &Segments, row: SegmentRow) -> Result<Segment, Error> {
    let last_cohort = store::last_cohort(&segments.db, &row.app_id, &row.id).await?;
    let last_cohort = match last_cohort {
        Some(cohort) => Some(cohort.under(floor(segments, &row.app_id).await?)),
        None => None,
    };
    Ok(Segment {
        rule: serde_json::from_str(&row.rule)?,
        created_at: store::time(row.created_at)?,
        updated_at: store::time(row.updated_at)?,
        id: row.id,
        app_id: row.app_id,
        name: row.name,
        refresh: row.refresh,
        on_missing: OnMissing::of(row.on_missing.as_deref()).name(),
        version: row.version,
        last_cohort,
    })
}
