//! Where a user stands in an experiment, and why.

use muster_http::{Kind, Problem};

use super::drafts::{definition, find, require};
use super::start::assignment;
use crate::Cohorts;
use crate::answers::{GroupMembers, State, UserPlace};
use crate::assignment::Place;
use crate::audiences::floor;
use crate::error::Error;

/// Of an experiment that runs or is stopped.
pub async fn place(cohorts: &Cohorts, (app, id): (&str, &str), user: String) -> Result<UserPlace, Error> {
    let row = find(cohorts, app, id).await?;
    require(&row, &[State::Running, State::Stopped], "Users have a group once an experiment runs")?;
    let (definition, assignment) = (definition(&row)?, assignment(&row)?);
    let name = |group: usize| definition.groups.get(group).map(|group| group.name.clone());
    let place = assignment.assigner().place(user.as_bytes());
    let told = |group: Option<String>, why| {
        let would_be = if let Place::Group(group) = place { name(group) } else { None };
        UserPlace { user_id: user.clone(), group, why, would_be }
    };
    let snapshot = cohorts.audiences.snapshot(app).await?;
    let Some(place_of) = snapshot.directory().find(user.as_bytes()) else {
        return Ok(told(None, "unknown"));
    };
    let members: Vec<GroupMembers> = serde_json::from_str(row.members.as_deref().unwrap_or("[]"))?;
    Ok(match place {
        Place::HeldOut => told(None, "held_out"),
        Place::NoTraffic => told(None, "no_traffic"),
        Place::Group(group) => {
            let members = members.get(group).ok_or_else(|| Error::Inside(format!("{id} lacks a group")))?;
            let floor = floor(&snapshot);
            if members.users.is_some_and(|users| floor.shown(users, snapshot.directory().users()).is_none()) {
                let detail = "The group has fewer users than the app lets be shown.";
                return Err(Problem::new(Kind::Forbidden, "below_floor", detail).into());
            }
            let in_it = cohorts.audiences.is_member(app, &members.cohort_id, place_of).await?;
            if in_it { told(name(group), "group") } else { told(None, "not_in_population") }
        }
    })
}
