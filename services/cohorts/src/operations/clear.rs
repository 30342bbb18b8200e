//! The numbers that are kept of experiments' groups, once users were erased.

use chrono::Utc;
use muster_http::Kind;
use serde::Serialize;

use crate::Cohorts;
use crate::answers::GroupMembers;
use crate::audiences;
use crate::deliveries;
use crate::error::Error;
use crate::store::{self, ExperimentRow};

#[derive(Debug, Default, Serialize)]
pub struct Cleared {
    pub experiments: u64,
    /// Those whose groups had erased users.
    pub changed: u64,
    /// That are kept no longer, because they may have erased users.
    pub downloads: u64,
}

/// Done again it finds the same.
pub async fn clear(cohorts: &Cohorts, app: &str) -> Result<Cleared, Error> {
    let mut cleared = Cleared::default();
    let snapshot = cohorts.audiences.refreshed(app).await?;
    if snapshot.is_none_or(|snapshot| snapshot.manifest().erasure() == 0) {
        return Ok(cleared);
    }
    cleared.downloads = deliveries::clear(cohorts, app, Utc::now()).await?;
    for row in store::with_groups(&cohorts.db, app).await? {
        cleared.experiments += 1;
        match recount(cohorts, &row).await {
            Ok(changed) => cleared.changed += u64::from(changed),
            // A file that can't be read keeps nobody else waiting; what may pass is tried again.
            Err(Error::Problem(problem)) if problem.kind == Kind::Internal => {
                tracing::warn!(experiment = row.id, %problem, "its groups can't be counted anew");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(cleared)
}

/// Now and then, for groups that were being made when users were erased.
pub async fn clear_all(cohorts: &Cohorts) {
    let apps = match store::apps_with_groups(&cohorts.db).await {
        Ok(apps) => apps,
        Err(error) => return tracing::warn!(%error, "groups are counted anew later"),
    };
    for app in apps {
        if let Err(error) = clear(cohorts, &app).await {
            tracing::warn!(app, %error, "groups are counted anew later");
        }
    }
}

/// Whether any number has changed. Another version that is made meanwhile is left to the next look.
async fn recount(cohorts: &Cohorts, row: &ExperimentRow) -> Result<bool, Error> {
    let before: Vec<GroupMembers> = serde_json::from_str(row.members.as_deref().unwrap_or("[]"))?;
    let mut now = before.clone();
    for group in &mut now {
        group.users = Some(size(cohorts, &row.app_id, &group.cohort_id).await?);
        group.ever_users = Some(size(cohorts, &row.app_id, &group.ever_cohort_id).await?);
    }
    if now == before {
        return Ok(false);
    }
    let users: Vec<u64> = now.iter().map(|group| group.ever_users.unwrap_or_default()).collect();
    let (members, users) = (serde_json::to_string(&now)?, serde_json::to_string(&users)?);
    store::put_users(&cohorts.db, (&row.app_id, &row.id), row.version, &members, &users).await?;
    Ok(true)
}

async fn size(cohorts: &Cohorts, app: &str, cohort: &str) -> Result<u64, Error> {
    Ok(audiences::size(&cohorts.audiences.members(app, cohort).await?))
}
