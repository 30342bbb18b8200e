//! The start of an experiment: its part of the layer is taken at once, its groups are made by a job.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use muster_days::Ds;
use muster_http::{Caller, Kind, Problem};
use muster_jobs::{Failure, Job, NewJob, Priority, Run};
use roaring::RoaringBitmap;
use serde_json::{Value, json};
use ulid::Ulid;

use super::drafts::{definition, find, require, today};
use super::holdout::held_out;
use super::split::split;
use crate::Cohorts;
use crate::answers::{GroupMembers, State};
use crate::assignment::{Assignment, in_millionths};
use crate::audiences::{Audience, Forget, Stopped, ToKeep, Users, floor, size};
use crate::definition::{Definition, Membership};
use crate::error::Error;
use crate::jobs::{EXPERIMENT, Payload, Step};
use crate::store::{self, ExperimentRow, NewVersion, Reservation};

/// Milliseconds after which the job of a start is given up that nobody knows of.
const LOST_AFTER: i64 = 60_000;

/// `from` is the first day that counts: today's in the app's zone when not given.
pub async fn ask_to_start(
    cohorts: &Cohorts,
    (app, id): (&str, &str),
    from: Option<Ds>,
    caller: &Caller,
    now: DateTime<Utc>,
) -> Result<Job, Error> {
    let row = find(cohorts, app, id).await?;
    require(&row, &[State::Draft, State::Starting], "It was started before")?;
    if let Some(job) = &row.job_id
        && row.state == "starting"
        && let Some(job) = cohorts.jobs.get(job).await?.filter(|job| !job.state.is_final())
    {
        return Ok(job);
    }
    let definition = definition(&row)?;
    let from = match from {
        Some(from) => from,
        None => today(cohorts, app, now).await?,
    };
    let job = format!("job_{}", Ulid::generate());
    let reservation = Reservation {
        traffic: in_millionths(definition.traffic).unwrap_or_default(),
        shares: definition.shares(),
        holdout: held_out(cohorts, app).await?,
        from,
        job: &job,
        instead_of: row.job_id.as_deref(),
        experiment: &row,
    };
    if !store::reserve(&cohorts.db, &reservation, now).await? {
        return Err(Error::Moved);
    }
    let payload = Payload { experiment_id: id.to_owned(), step: Step::Start };
    let new = NewJob {
        id: Some(job),
        app_id: Some(app.to_owned()),
        owner: caller.id.clone(),
        kind: EXPERIMENT,
        payload: serde_json::to_value(payload)?,
        priority: Priority::Interactive,
    };
    Ok(cohorts.jobs.enqueue(new).await?)
}

/// What the job does. A second attempt begins anew, with cohorts of its own.
pub async fn start(
    cohorts: &Cohorts,
    app: &str,
    id: &str,
    run: &Run,
    now: DateTime<Utc>,
) -> Result<serde_json::Value, Failure> {
    let row = find(cohorts, app, id).await?;
    let mine = row.job_id.as_deref() == Some(&run.job.id);
    if row.state != "starting" || !mine {
        return match mine && row.state != "draft" {
            true => Ok(json!({ "experiment_id": id, "version": row.version })),
            false => Err(Failure::new("superseded", "the experiment is not started by this job any more")),
        };
    }
    let done = make_first(cohorts, &row, run, now).await.map_err(Failure::from);
    if let Err(failure) = &done
        && !failure.retry
    {
        let told = json!({ "code": failure.code, "detail": failure.detail }).to_string();
        store::give_up(&cohorts.db, (app, id, &run.job.id), &told, now).await?;
    }
    done
}

/// A start whose job has ended without it: its attempts are used up, or it was cancelled. True when it is a draft
/// again.
pub async fn give_up_lost(cohorts: &Cohorts, row: &ExperimentRow, now: DateTime<Utc>) -> Result<bool, Error> {
    let Some(id) = &row.job_id else { return Ok(false) };
    let job = cohorts.jobs.get(id).await?;
    let told = match &job {
        Some(job) if !job.state.is_final() => return Ok(false),
        // It may be on its way from the row into the queue.
        None if now.timestamp_millis() - row.updated_at < LOST_AFTER => return Ok(false),
        Some(job) => serde_json::to_value(&job.error)?,
        None => Value::Null,
    };
    let told = match told.is_object() {
        true => told,
        false => json!({ "code": "cancelled", "detail": "the job that was to start it was cancelled" }),
    };
    store::give_up(&cohorts.db, (&row.app_id, &row.id, id), &told.to_string(), now).await
}

async fn make_first(
    cohorts: &Cohorts,
    row: &ExperimentRow,
    run: &Run,
    now: DateTime<Utc>,
) -> Result<serde_json::Value, Error> {
    let (definition, assignment) = (definition(row)?, assignment(row)?);
    let watched = run.clone();
    let stopped: Stopped = Arc::new(move || watched.stopped());
    let (audience, groups) = groups_of(cohorts, row, &assignment, (stopped, run)).await?;
    run.progress(0.5);
    let floor = floor(&audience.snapshot);
    if let Some(group) = groups.iter().position(|users| size(users) == 0 || floor.is_few(size(users))) {
        let detail = format!(
            "the group `{}` would have fewer users than the app's privacy floor, or none at all",
            definition.groups[group].name
        );
        return Err(Problem::new(Kind::Forbidden, "below_floor", detail).into());
    }
    let keeper = Keeper::new(cohorts, (row, 1), &audience, run);
    let Some(kept) = keeper.keep(&definition, &groups, &groups).await? else { return Err(Error::Stopped) };
    let (members, users) = keeper.told(&kept)?;
    let new = NewVersion {
        experiment: &row.id,
        version: 1,
        ds: audience.ds,
        members: &members,
        users: &users,
        inputs: &audience.inputs,
    };
    if !store::finish_start(&cohorts.db, (&row.app_id, &run.job.id), &new, now).await? {
        keeper.forget_own().await?;
        return Err(Error::Stopped);
    }
    keeper.forget_all_but(&[&kept]).await?;
    let users: Vec<u64> = groups.iter().map(|users| size(users)).collect();
    Ok(json!({ "experiment_id": row.id, "version": 1, "ds": audience.ds, "users": users }))
}

pub fn assignment(row: &ExperimentRow) -> Result<Assignment, Error> {
    let text = row.assignment.as_deref();
    Ok(serde_json::from_str(text.ok_or_else(|| Error::Inside(format!("{} has no assignment", row.id)))?)?)
}

/// Who is in the audience now, by group.
pub async fn groups_of(
    cohorts: &Cohorts,
    row: &ExperimentRow,
    assignment: &Assignment,
    (stopped, run): (Stopped, &Run),
) -> Result<(Audience, Vec<Users>), Error> {
    let turn = tokio::select! {
        turn = cohorts.audiences.turn_patiently(&row.app_id, 1) => turn,
        () = run.until_stopped() => return Err(Error::Stopped),
    };
    let audience = cohorts.audiences.find(&row.app_id, &row.rule, stopped.clone()).await?;
    let assignment = assignment.clone();
    super::evaluate(turn, stopped, move |_| {
        let groups = split(&audience.snapshot, &audience.users, &assignment)?;
        Ok((audience, groups))
    })
    .await
}

/// Has the users of groups kept as cohorts.
pub struct Keeper<'a> {
    cohorts: &'a Cohorts,
    row: &'a ExperimentRow,
    version: u32,
    audience: &'a Audience,
    run: &'a Run,
    /// Begins the ids of its cohorts. Another attempt has another one: a worker that was given up, and is not dead,
    /// writes over nobody's.
    stamp: String,
}

impl<'a> Keeper<'a> {
    pub fn new(
        cohorts: &'a Cohorts,
        (row, version): (&'a ExperimentRow, u32),
        audience: &'a Audience,
        run: &'a Run,
    ) -> Keeper<'a> {
        Keeper { cohorts, row, version, audience, run, stamp: format!("coh_{}", Ulid::generate()) }
    }

    /// `now` and `ever` are the users of each group who are in it now, and whoever was. None, and nothing is left of
    /// them, when the job is not this attempt's any more.
    pub async fn keep(
        &self,
        definition: &Definition,
        now: &[Users],
        ever: &[Users],
    ) -> Result<Option<Vec<GroupMembers>>, Error> {
        let kept = self.keep_all(definition, now, ever).await?;
        if self.run.still_mine().await? {
            return Ok(Some(kept));
        }
        self.forget_own().await?;
        Ok(None)
    }

    async fn keep_all(
        &self,
        definition: &Definition,
        now: &[Users],
        ever: &[Users],
    ) -> Result<Vec<GroupMembers>, Error> {
        let following = definition.membership == Membership::Following;
        let mut members = Vec::new();
        for (number, (group, (now, ever))) in definition.groups.iter().zip(now.iter().zip(ever)).enumerate() {
            let cohort_id = self.keep_one(&format!("g{number}"), now).await?;
            let ever_cohort_id = match following {
                true => self.keep_one(&format!("e{number}"), ever).await?,
                false => cohort_id.clone(),
            };
            members.push(GroupMembers {
                name: group.name.clone(),
                cohort_id,
                users: Some(size(now)),
                ever_cohort_id,
                ever_users: Some(size(ever)),
            });
        }
        Ok(members)
    }

    async fn keep_one(&self, suffix: &str, users: &[RoaringBitmap]) -> Result<String, Error> {
        if self.run.stopped() {
            self.forget_own().await?;
            return Err(Error::Stopped);
        }
        let id = format!("{}_{suffix}", self.stamp);
        let cohort = ToKeep {
            app: self.row.app_id.clone(),
            id: id.clone(),
            owner: self.row.id.clone(),
            version: self.version,
            ds: self.audience.ds,
            universe: self.audience.snapshot.directory().users(),
            users: users.to_vec(),
        };
        self.cohorts.audiences.keep(cohort).await?;
        Ok(id)
    }

    /// Cohorts of versions before, and of attempts that came to nothing.
    pub async fn forget_all_but(&self, kept: &[&[GroupMembers]]) -> Result<(), Error> {
        let ids = kept.iter().flat_map(|groups| groups.iter());
        let ids = ids.flat_map(|group| [group.cohort_id.clone(), group.ever_cohort_id.clone()]);
        let which = Forget::AllBut(ids.collect());
        Ok(self.cohorts.audiences.forget(&self.row.app_id, &self.row.id, which).await?)
    }

    /// What this attempt has kept, for nothing.
    pub async fn forget_own(&self) -> Result<(), Error> {
        let which = Forget::Beginning(self.stamp.clone());
        Ok(self.cohorts.audiences.forget(&self.row.app_id, &self.row.id, which).await?)
    }

    /// The groups, and everybody who was ever in them, as JSON.
    pub fn told(&self, members: &[GroupMembers]) -> Result<(String, String), Error> {
        let users: Vec<u64> = members.iter().map(|group| group.ever_users.unwrap_or_default()).collect();
        Ok((serde_json::to_string(members)?, serde_json::to_string(&users)?))
    }
}
