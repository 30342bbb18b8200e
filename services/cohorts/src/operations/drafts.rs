//! Experiments before they begin and after they end.

use chrono::{DateTime, Utc};
use muster_days::{Ds, Tz};
use muster_http::{Kind, Problem};
use ulid::Ulid;

use super::claim::claim;
use crate::Cohorts;
use crate::answers::State;
use crate::audiences::Forget;
use crate::definition::{Definition, fault};
use crate::error::Error;
use crate::store::{self, ExperimentRow};

pub async fn create(
    cohorts: &Cohorts,
    app: &str,
    definition: Definition,
    by: &str,
    now: DateTime<Utc>,
) -> Result<ExperimentRow, Error> {
    let rule = checked_rule(cohorts, app, &definition).await?;
    let now = now.timestamp_millis();
    let id = format!("exp_{}", Ulid::generate());
    free_salt(cohorts, app, &definition, &id).await?;
    let row = ExperimentRow {
        app_id: app.to_owned(),
        state: "draft".to_owned(),
        revision: 0,
        salt: definition.salt.clone().unwrap_or_else(|| id.clone()),
        layer: definition.layer.clone().unwrap_or_default(),
        definition: serde_json::to_string(&definition)?,
        rule,
        assignment: None,
        job_id: None,
        failure: None,
        version: 0,
        members: None,
        population_ds: None,
        inputs: None,
        from_ds: None,
        to_ds: None,
        checked: None,
        created_by: by.to_owned(),
        created_at: now,
        updated_at: now,
        started_at: None,
        stopped_at: None,
        id,
    };
    store::create(&cohorts.db, &row).await?;
    claim(cohorts, app, &row.id).await?;
    Ok(row)
}

/// Replaces what a draft says.
pub async fn change(
    cohorts: &Cohorts,
    (app, id): (&str, &str),
    definition: Definition,
    now: DateTime<Utc>,
) -> Result<ExperimentRow, Error> {
    let mut row = find(cohorts, app, id).await?;
    require(&row, &[State::Draft], "Only a draft can be changed")?;
    row.rule = checked_rule(cohorts, app, &definition).await?;
    // A salt that a check has found stays, until another is named.
    row.salt = definition.salt.clone().unwrap_or(row.salt);
    free_salt(cohorts, app, &definition, &row.id).await?;
    row.layer = definition.layer.clone().unwrap_or_default();
    row.definition = serde_json::to_string(&definition)?;
    if !store::change(&cohorts.db, &row, now).await? {
        return Err(Error::Moved);
    }
    claim(cohorts, app, id).await?;
    find(cohorts, app, id).await
}

/// Experiments with one salt, or with that of a layer or holdout, would know of each other.
async fn free_salt(cohorts: &Cohorts, app: &str, definition: &Definition, id: &str) -> Result<(), Error> {
    let Some(salt) = &definition.salt else { return Ok(()) };
    let own = salt == id || salt.strip_prefix(id).is_some_and(|rest| rest.starts_with('/'));
    if !own && (salt.contains('/') || salt.starts_with("exp_")) {
        let detail =
            "A salt has no `/`, and does not begin with `exp_`: those are of layers and experiments.";
        return Err(fault("/salt", "reserved_salt", detail.to_owned()).into());
    }
    if store::salted(&cohorts.db, app, (salt, id)).await? {
        let detail = "Another experiment of the app has this salt: users would be in like groups of both.";
        return Err(fault("/salt", "repeated", detail.to_owned()).into());
    }
    Ok(())
}

async fn checked_rule(cohorts: &Cohorts, app: &str, definition: &Definition) -> Result<String, Error> {
    definition.check()?;
    let rule = serde_json::to_vec(&definition.population)?;
    let rule = cohorts.audiences.read(app, &rule, "/population").await?;
    let snapshot = cohorts.audiences.snapshot(app).await?;
    super::compare::known(&snapshot, definition)?;
    Ok(rule)
}

pub async fn find(cohorts: &Cohorts, app: &str, id: &str) -> Result<ExperimentRow, Error> {
    let row = store::experiment(&cohorts.db, app, id).await?;
    row.ok_or_else(|| Problem::not_found("such experiment").into())
}

/// Ends an experiment that runs; its last day is today, or `to`. One that is being started is a draft again.
pub async fn stop(
    cohorts: &Cohorts,
    (app, id): (&str, &str),
    to: Option<Ds>,
    now: DateTime<Utc>,
) -> Result<ExperimentRow, Error> {
    let row = find(cohorts, app, id).await?;
    require(&row, &[State::Starting, State::Running], "Only an experiment that runs can be stopped")?;
    if let Some(job) = row.job_id.as_ref().filter(|_| row.state == "starting") {
        cohorts.jobs.cancel(job).await?;
        let told = serde_json::json!({ "code": "stopped", "detail": "it was stopped before it ran" });
        if store::give_up(&cohorts.db, (app, id, job), &told.to_string(), now).await? {
            return find(cohorts, app, id).await;
        }
        // It has begun in this very moment.
    }
    let from = row.from_ds.map(day).transpose()?;
    let today = today(cohorts, app, now).await?;
    let last = match to {
        Some(to) if from.is_some_and(|from| to < from) => {
            let detail = "It can't end before its first day.".to_owned();
            return Err(fault("/to", "before_from", detail).into());
        }
        Some(to) => to,
        None => from.map_or(today, |from| today.max(from)),
    };
    if !store::stop(&cohorts.db, (app, id), last, now).await? {
        return Err(Error::Moved);
    }
    claim(cohorts, app, id).await?;
    find(cohorts, app, id).await
}

/// With its groups' cohorts; not when a rule names any of them.
pub async fn delete(cohorts: &Cohorts, app: &str, id: &str) -> Result<(), Error> {
    let row = find(cohorts, app, id).await?;
    require(&row, &[State::Draft, State::Stopped], "Stop the experiment first")?;
    if !store::hide(&cohorts.db, app, id).await? {
        return Err(Error::Moved);
    }
    finish_delete(cohorts, app, id).await
}

/// Of one that is gone for everybody already.
pub async fn finish_delete(cohorts: &Cohorts, app: &str, id: &str) -> Result<(), Error> {
    match cohorts.audiences.forget(app, id, Forget::All).await {
        Err(problem) if problem.kind == Kind::Conflict => {
            store::bring_back(&cohorts.db, app, id).await?;
            return Err(problem.into());
        }
        forgotten => forgotten?,
    }
    store::delete(&cohorts.db, app, id).await?;
    claim(cohorts, app, id).await
}

/// Whether it takes users from its audience, or will.
pub fn is_open(state: &str) -> bool {
    !matches!(state, "stopped" | "deleted")
}

pub fn require(row: &ExperimentRow, states: &[State], detail: &str) -> Result<(), Error> {
    if State::from_name(&row.state).is_some_and(|state| states.contains(&state)) {
        return Ok(());
    }
    let detail = format!("{detail}; this one's state is `{}`.", row.state);
    Err(Problem::new(Kind::Conflict, "experiment_state", detail).with("state", row.state.clone()).into())
}

pub fn definition(row: &ExperimentRow) -> Result<Definition, Error> {
    Ok(serde_json::from_str(&row.definition)?)
}

pub fn day(number: u32) -> Result<Ds, Error> {
    Ds::from_number(number.into()).map_err(|error| Error::Inside(error.to_string()))
}

/// In the app's zone.
pub async fn today(cohorts: &Cohorts, app: &str, now: DateTime<Utc>) -> Result<Ds, Error> {
    let settings = cohorts.audiences.settings(app).await?;
    let own = settings.time_zone.and_then(|zone| zone.parse::<Tz>().ok());
    let zone = own.or_else(|| cohorts.zones.get(app).copied()).unwrap_or(cohorts.zone);
    Ds::of(now, zone).ok_or_else(|| Error::Inside(format!("{now} is on no day")))
}
