//! The start of an experiment: its part of the layer is taken at once, its groups are made by a job.

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use muster_days::Ds;
use muster_http::{Caller, Kind, Problem};
use muster_jobs::{Failure, Job, NewJob, Priority, Run};
use roaring::RoaringBitmap;
use serde_json::json;
use ulid::Ulid;

use super::drafts::{definition, find, require, today};
use super::holdout::held_out;
use super::split::split;
use crate::Cohorts;
use crate::answers::{GroupMembers, State};
use crate::assignment::{Assignment, in_millionths};
use crate::audiences::{Audience, Stopped, ToKeep, Users, floor, size};
use crate::definition::{Definition, Membership};
use crate::error::Error;
use crate::jobs::{EXPERIMENT, Payload, Step};
use crate::store::{self, ExperimentRow, NewVersion, Reservation};

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

/// What the job does. A second attempt does the same, with the same cohorts.
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
        // Before anybody may start it anew, and keep cohorts of it.
        cohorts.audiences.forget(app, id, BTreeSet::new()).await.map_err(Error::from)?;
        let told = json!({ "code": failure.code, "detail": failure.detail }).to_string();
        store::give_up(&cohorts.db, (app, id, &run.job.id), &told, now).await?;
    }
    done
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
    let (audience, groups) = groups_of(cohorts, row, &assignment, stopped).await?;
    run.progress(0.5);
    let floor = floor(&audience.snapshot);
    if let Some(group) = groups.iter().position(|users| size(users) == 0 || floor.is_few(size(users))) {
        let detail = format!(
            "the group `{}` would have fewer users than the app's privacy floor, or none at all",
            definition.groups[group].name
        );
        return Err(Problem::new(Kind::Forbidden, "below_floor", detail).into());
    }
    let keeper = Keeper { cohorts, row, audience: &audience, version: 1, run };
    let kept = keeper.keep(&definition, &groups, &groups).await?;
    if !run.still_mine().await? {
        return Err(Error::Stopped);
    }
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
        // It was stopped in this very moment; what was kept goes with the next start, or with the experiment.
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
    stopped: Stopped,
) -> Result<(Audience, Vec<Users>), Error> {
    let turn = cohorts.audiences.turn(&row.app_id, 1).await?;
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
    pub cohorts: &'a Cohorts,
    pub row: &'a ExperimentRow,
    pub audience: &'a Audience,
    pub version: u32,
    /// The ids of the cohorts follow from job and attempt: a worker that was given up, and is not dead, writes over
    /// nobody's.
    pub run: &'a Run,
}

impl Keeper<'_> {
    /// `now` and `ever` are the users of each group who are in it now, and whoever was.
    pub async fn keep(
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
        let job = self.run.job.id.replacen("job_", "coh_", 1);
        let id = format!("{job}_a{}_{suffix}", self.run.job.attempt);
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
        Ok(self.cohorts.audiences.forget(&self.row.app_id, &self.row.id, ids.collect()).await?)
    }

    /// The groups, and everybody who was ever in them, as JSON.
    pub fn told(&self, members: &[GroupMembers]) -> Result<(String, String), Error> {
        let users: Vec<u64> = members.iter().map(|group| group.ever_users.unwrap_or_default()).collect();
        Ok((serde_json::to_string(members)?, serde_json::to_string(&users)?))
    }
}
