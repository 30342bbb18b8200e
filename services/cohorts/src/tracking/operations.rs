//! Following cohorts, and what became of them.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use muster_days::Ds;
use muster_http::Problem;
use muster_jobs::{Job, NewJob, Priority};

use super::answers::{Kind, MissingDay, Series, Tracked};
use super::compute::{DAYS, TRACKING, cohort_on, newest};
use super::shown;
use super::store::{self, TrackedRow};
use crate::Cohorts;
use crate::audiences::Claim;
use crate::definition::fault;
use crate::error::Error;
use crate::operations::day;
use crate::store::time;

/// Days of one answer, the newest ones.
const LONGEST: i64 = 400;

/// Answers whether it is new. What is followed already stays as it is.
pub async fn track(
    cohorts: &Cohorts,
    (app, id): (&str, &str),
    from: Option<Ds>,
    by: &str,
    now: DateTime<Utc>,
) -> Result<(bool, Tracked), Error> {
    if let Some(row) = store::tracked(&cohorts.db, app, id).await? {
        return Ok((false, tracked(row)?));
    }
    let known = cohorts.audiences.cohorts_of(app, id).await?;
    let from = from.or(known.first().map(|(ds, _)| *ds));
    let first = from.and_then(|from| Some((from, cohort_on(&known, kind(id), from)?)));
    let (from, first) = first.ok_or_else(|| {
        let detail = "There is no cohort of it up to then: follow it from a day that has one.".to_owned();
        Error::from(fault("/from", "no_cohort", detail))
    })?;
    // It may be shown, or it is not followed.
    let cohort = cohorts.audiences.newest(app, first).await?;
    let row = TrackedRow {
        app_id: app.to_owned(),
        subject: id.to_owned(),
        from_ds: from.number(),
        first_cohort: cohort.id,
        first_users: cohort.users as i64,
        created_by: by.to_owned(),
        created_at: now.timestamp_millis(),
    };
    let new = store::create(&cohorts.db, &row).await?;
    claim(cohorts, app, id).await?;
    let row = store::tracked(&cohorts.db, app, id).await?.unwrap_or(row);
    ask(cohorts, app, by, Priority::Interactive).await?;
    Ok((new, tracked(row)?))
}

/// Retention is taken of the first cohort, however long ago it was. Looks again: it may be followed no more.
pub async fn claim(cohorts: &Cohorts, app: &str, subject: &str) -> Result<(), Error> {
    let first = async || -> Result<Option<String>, Error> {
        Ok(store::tracked(&cohorts.db, app, subject).await?.map(|row| row.first_cohort))
    };
    let before = first().await?;
    let needed = before.as_deref().map_or(Claim::Nothing, Claim::Cohort);
    cohorts.audiences.claim(app, subject, needed).await?;
    if first().await?.is_none() {
        cohorts.audiences.claim(app, subject, Claim::Nothing).await?;
    }
    Ok(())
}

/// App and subject of everything that is followed.
pub async fn followed(cohorts: &Cohorts) -> Result<Vec<(String, String)>, Error> {
    let mut followed = Vec::new();
    for app in store::apps(&cohorts.db).await? {
        let rows = store::all_of(&cohorts.db, &app).await?;
        followed.extend(rows.into_iter().map(|row| (row.app_id, row.subject)));
    }
    Ok(followed)
}

/// A job that works out what is new, or the one that waits.
pub async fn ask(cohorts: &Cohorts, app: &str, owner: &str, priority: Priority) -> Result<Job, Error> {
    Ok(cohorts.jobs.enqueue_unless_waiting(NewJob::of_app(app, owner, TRACKING, priority)).await?)
}

pub async fn untrack(cohorts: &Cohorts, app: &str, id: &str) -> Result<(), Error> {
    let row = find(cohorts, app, id).await?;
    match store::delete(&cohorts.db, app, &row.subject).await? {
        true => claim(cohorts, app, &row.subject).await,
        false => Err(unfollowed()),
    }
}

pub async fn find(cohorts: &Cohorts, app: &str, id: &str) -> Result<TrackedRow, Error> {
    store::tracked(&cohorts.db, app, id).await?.ok_or_else(unfollowed)
}

fn unfollowed() -> Error {
    Problem::not_found("followed cohort of this id").into()
}

pub fn kind(id: &str) -> Kind {
    if id.starts_with("coh_") { Kind::Static } else { Kind::Dynamic }
}

pub fn tracked(row: TrackedRow) -> Result<Tracked, Error> {
    Ok(Tracked {
        kind: kind(&row.subject),
        from: day(row.from_ds)?,
        created_at: time(row.created_at)?,
        id: row.subject,
        app_id: row.app_id,
        first_cohort: row.first_cohort,
        created_by: row.created_by,
    })
}

/// Days of the range that are worked out, and what is the matter with the others.
pub async fn series(
    cohorts: &Cohorts,
    (app, id): (&str, &str),
    (from, to): (Option<Ds>, Option<Ds>),
) -> Result<Series, Error> {
    let row = find(cohorts, app, id).await?;
    let first_users = row.first_users as u64;
    let tracked = tracked(row)?;
    let snapshot = cohorts.audiences.snapshot(app).await?;
    let floor = snapshot.catalogue().settings.floor();
    let newest = newest(&snapshot);
    let from = from.map_or(tracked.from, |from| from.max(tracked.from));
    // Without data there is nothing to tell of any day.
    let newest = newest.unwrap_or(from);
    let to = to.map_or(newest, |to| to.min(newest));
    let from = from.max(to.plus(1 - LONGEST));
    let rows = store::days(&cohorts.db, app, id, (from, to)).await?;
    let known = match cohorts.audiences.cohorts_of(app, id).await {
        // It is deleted: the days that there are stay.
        Err(problem) if problem.kind == muster_http::Kind::NotFound => Vec::new(),
        known => known?,
    };
    let mut days = Vec::new();
    for row in &rows {
        days.push(shown::day(row, first_users, floor)?);
    }
    let mut missing_days = Vec::new();
    let there: BTreeSet<u32> = rows.iter().map(|row| row.ds).collect();
    for ds in from.through(to).filter(|ds| !there.contains(&ds.number())) {
        let published = snapshot.manifest().events.values().any(|event| event.days.contains_key(&ds));
        let why = match (published, cohort_on(&known, tracked.kind, ds)) {
            (false, _) => "no_data",
            (_, None) => "no_cohort",
            _ if ds < newest.plus(1 - DAYS) => "too_old",
            _ => "not_yet",
        };
        missing_days.push(MissingDay { ds, why });
    }
    let first_users = (!floor.is_few(first_users)).then_some(first_users);
    Ok(Series { tracked, first_users, days, missing_days, privacy_floor: floor.named() })
}
