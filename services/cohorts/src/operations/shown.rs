//! An experiment as the API shows it.

use muster_catalogue::Floor;

use super::drafts::{day, definition};
use crate::answers::{Check, Experiment, GroupMembers, State};
use crate::error::Error;
use crate::store::{self, ExperimentRow};

pub fn shown(row: ExperimentRow, floor: Floor) -> Result<Experiment, Error> {
    let mut definition = definition(&row)?;
    definition.salt = Some(row.salt);
    let text = |text: &Option<String>| text.as_deref().map(serde_json::from_str).transpose();
    let mut members: Vec<GroupMembers> = match &row.members {
        Some(members) => serde_json::from_str(members)?,
        None => Vec::new(),
    };
    for group in &mut members {
        let told = |users: Option<u64>| users.filter(|users| !floor.is_few(*users));
        // The two tell how many have left.
        let gone = group.ever_users.unwrap_or_default().saturating_sub(group.users.unwrap_or_default());
        (group.users, group.ever_users) = (told(group.users), told(group.ever_users));
        group.ever_users = group.ever_users.filter(|_| !floor.is_few(gone));
    }
    let check: Option<Check> = row.checked.as_deref().map(serde_json::from_str).transpose()?;
    let assignment = row.assignment.as_deref().map(serde_json::from_str).transpose()?;
    Ok(Experiment {
        state: State::from_name(&row.state).ok_or_else(|| Error::Inside(format!("state {}", row.state)))?,
        definition,
        assignment,
        version: row.version,
        members,
        population_ds: row.population_ds.map(day).transpose()?,
        from: row.from_ds.map(day).transpose()?,
        to: row.to_ds.map(day).transpose()?,
        // Under another floor than now it may tell too much.
        check: check.filter(|check| check.privacy_floor == floor.named()),
        job_id: row.job_id,
        failure: text(&row.failure)?,
        created_by: row.created_by,
        created_at: store::time(row.created_at)?,
        updated_at: store::time(row.updated_at)?,
        started_at: row.started_at.map(store::time).transpose()?,
        stopped_at: row.stopped_at.map(store::time).transpose()?,
        id: row.id,
        app_id: row.app_id,
    })
}
