//! Experiments that follow their audience: their groups are made anew when the data are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, Utc};
use muster_jobs::{Failure, NewJob, Priority, Run};
use serde_json::{Value, json};

use super::drafts::{definition, find, finish_delete};
use super::start::{Keeper, assignment, give_up_lost, groups_of};
use crate::Cohorts;
use crate::answers::GroupMembers;
use crate::audiences::{Stopped, Users};
use crate::error::Error;
use crate::jobs::{EXPERIMENT, Payload, Step};
use crate::store::{self, ExperimentRow, NewVersion};

const LOOK_EVERY: Duration = Duration::from_secs(15);
/// A job that has failed is asked for again after so long.
const AGAIN_AFTER: Duration = Duration::from_secs(300);

/// The job that was asked for last, and the data it is to make groups of.
struct Asked {
    inputs: String,
    job: String,
    at: Instant,
}

/// Looks at once and then every few seconds, for ever: at experiments that follow their audience, and at starts and
/// deletions that nobody finishes. Several processes may do the same: whoever comes second finds nothing to make.
pub async fn follow(cohorts: Cohorts) {
    let mut asked: HashMap<String, Asked> = HashMap::new();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        let rows = match store::unsettled(&cohorts.db).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(%error, "experiments are looked at again shortly");
                continue;
            }
        };
        asked.retain(|id, _| rows.iter().any(|row| row.id == *id));
        for row in rows {
            let looked = match &*row.state {
                "starting" => give_up_lost(&cohorts, &row, Utc::now()).await.map(|_| None),
                "deleted" => finish_delete(&cohorts, &row.app_id, &row.id).await.map(|()| None),
                _ => look_at(&cohorts, &row, asked.get(&row.id)).await,
            };
            match looked {
                Ok(Some(new)) => _ = asked.insert(row.id, new),
                Ok(None) => {}
                Err(error) => tracing::warn!(experiment = row.id, %error, "it is looked at again shortly"),
            }
        }
    }
}

/// Asks for its groups to be made of newer data; None where they are of the newest, or a job is on its way.
async fn look_at(
    cohorts: &Cohorts,
    row: &ExperimentRow,
    asked: Option<&Asked>,
) -> Result<Option<Asked>, Error> {
    let inputs = cohorts.audiences.inputs(&row.app_id, &row.rule).await?;
    if row.inputs.as_ref() == Some(&inputs) {
        return Ok(None);
    }
    if let Some(asked) = asked.filter(|asked| asked.inputs == inputs) {
        let job = cohorts.jobs.get(&asked.job).await?;
        if job.is_some_and(|job| !job.state.is_final()) || asked.at.elapsed() < AGAIN_AFTER {
            return Ok(None);
        }
    }
    let payload = Payload { experiment_id: row.id.clone(), step: Step::Follow };
    let new = NewJob {
        id: None,
        app_id: Some(row.app_id.clone()),
        owner: "local".to_owned(),
        kind: EXPERIMENT,
        payload: serde_json::to_value(payload)?,
        priority: Priority::Routine,
    };
    let job = cohorts.jobs.enqueue(new).await?.id;
    Ok(Some(Asked { inputs, job, at: Instant::now() }))
}

/// What the job does: who is in the audience now is split by the same hashes, so that nobody changes the group;
/// and whoever was ever in a group stays among those who are compared.
pub async fn refresh(
    cohorts: &Cohorts,
    app: &str,
    id: &str,
    run: &Run,
    now: DateTime<Utc>,
) -> Result<Value, Failure> {
    let row = find(cohorts, app, id).await?;
    let told = |version: u32| json!({ "experiment_id": id, "version": version });
    if row.state != "running" {
        return Ok(told(row.version));
    }
    Ok(told(next(cohorts, &row, run, now).await?))
}

async fn next(cohorts: &Cohorts, row: &ExperimentRow, run: &Run, now: DateTime<Utc>) -> Result<u32, Error> {
    // Another job may have been quicker.
    let inputs = cohorts.audiences.inputs(&row.app_id, &row.rule).await?;
    if row.inputs.as_ref() == Some(&inputs) {
        return Ok(row.version);
    }
    let (definition, assignment) = (definition(row)?, assignment(row)?);
    let watched = run.clone();
    let stopped: Stopped = Arc::new(move || watched.stopped());
    let (audience, groups) = groups_of(cohorts, row, &assignment, (stopped, run)).await?;
    run.progress(0.5);
    let before: Vec<GroupMembers> = serde_json::from_str(row.members.as_deref().unwrap_or("[]"))?;
    let mut ever: Vec<Users> = Vec::new();
    for (group, now) in before.iter().zip(&groups) {
        let before = cohorts.audiences.members(&row.app_id, &group.ever_cohort_id).await?;
        ever.push(before.iter().zip(now).map(|(before, now)| before | now).collect());
    }
    let version = row.version + 1;
    let keeper = Keeper::new(cohorts, (row, version), &audience, run);
    let Some(kept) = keeper.keep(&definition, &groups, &ever).await? else { return Err(Error::Stopped) };
    let (members, users) = keeper.told(&kept)?;
    let (ds, inputs) = (audience.ds, &audience.inputs);
    let new = NewVersion { experiment: &row.id, version, ds, members: &members, users: &users, inputs };
    if !store::put_version(&cohorts.db, &row.app_id, &new, now).await? {
        // Another attempt has made it, or it was stopped.
        keeper.forget_own().await?;
        return Ok(row.version);
    }
    // Those of the version before stay for who is looking at them.
    keeper.forget_all_but(&[&before, &kept]).await?;
    Ok(version)
}
