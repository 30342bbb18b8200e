//! Experiments that follow their audience: their groups are made anew when the data are.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use muster_jobs::{Failure, NewJob, Priority, Run};
use serde_json::{Value, json};

use super::drafts::{definition, find};
use super::start::{Keeper, assignment, groups_of};
use crate::Cohorts;
use crate::answers::GroupMembers;
use crate::audiences::{Stopped, Users};
use crate::error::Error;
use crate::jobs::{EXPERIMENT, Payload, Step};
use crate::store::{self, ExperimentRow, NewVersion};

const LOOK_EVERY: Duration = Duration::from_secs(15);

/// Looks at once and then every few seconds, for ever. Several processes may do the same: whoever comes second
/// finds a job that waits, or nothing to make.
pub async fn follow(cohorts: Cohorts) {
    let mut asked = HashMap::new();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    loop {
        looks.tick().await;
        let rows = match store::following(&cohorts.db).await {
            Ok(rows) => rows,
            Err(error) => {
                tracing::warn!(%error, "experiments are looked at again shortly");
                continue;
            }
        };
        asked.retain(|id, _| rows.iter().any(|row| row.id == *id));
        for row in rows {
            match look_at(&cohorts, &row, asked.get(&row.id)).await {
                Ok(Some(inputs)) => _ = asked.insert(row.id, inputs),
                Ok(None) => {}
                Err(error) => tracing::warn!(experiment = row.id, %error, "it is looked at again shortly"),
            }
        }
    }
}

/// Answers the data that its groups were asked to be made of, None where these are the newest. `asked` are those
/// of the last time: a job that failed is not asked for again and again.
async fn look_at(
    cohorts: &Cohorts,
    row: &ExperimentRow,
    asked: Option<&String>,
) -> Result<Option<String>, Error> {
    let inputs = cohorts.audiences.inputs(&row.app_id, &row.rule).await?;
    if row.inputs.as_ref() == Some(&inputs) || asked == Some(&inputs) {
        return Ok(None);
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
    cohorts.jobs.enqueue(new).await?;
    Ok(Some(inputs))
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
    let (definition, assignment) = (definition(row)?, assignment(row)?);
    let watched = run.clone();
    let stopped: Stopped = Arc::new(move || watched.stopped());
    let (audience, groups) = groups_of(cohorts, row, &assignment, stopped).await?;
    if row.inputs.as_ref() == Some(&audience.inputs) {
        return Ok(row.version);
    }
    run.progress(0.5);
    let before: Vec<GroupMembers> = serde_json::from_str(row.members.as_deref().unwrap_or("[]"))?;
    let mut ever: Vec<Users> = Vec::new();
    for (group, now) in before.iter().zip(&groups) {
        let before = cohorts.audiences.members(&row.app_id, &group.ever_cohort_id).await?;
        ever.push(before.iter().zip(now).map(|(before, now)| before | now).collect());
    }
    let version = row.version + 1;
    let keeper = Keeper { cohorts, row, audience: &audience, version, run };
    let kept = keeper.keep(&definition, &groups, &ever).await?;
    if !run.still_mine().await? {
        return Err(Error::Stopped);
    }
    let (members, users) = keeper.told(&kept)?;
    let (ds, inputs) = (audience.ds, &audience.inputs);
    let new = NewVersion { experiment: &row.id, version, ds, members: &members, users: &users, inputs };
    if !store::put_version(&cohorts.db, &row.app_id, &new, now).await? {
        // Another attempt has made it, or it was stopped: what was kept goes with the next version.
        return Ok(row.version);
    }
    // Those of the version before stay for who is looking at them.
    keeper.forget_all_but(&[&before, &kept]).await?;
    Ok(version)
}
