//! Who a delivery is about: a cohort, what has changed since another one, or the groups of an experiment.

use muster_days::Ds;
use muster_http::{Kind, Problem};

use super::answers::{DeliveryBody, GroupDelivered, Manifest, Mode, What};
use super::store::{self, DeliveryRow};
use crate::Cohorts;
use crate::answers::{GroupMembers, State};
use crate::audiences::{InGroup, Users, floor, size};
use crate::error::Error;
use crate::operations;

/// What one attempt delivers, which is what every attempt delivers.
pub struct Load {
    pub asked: DeliveryBody,
    pub who: Who,
    pub since: Option<String>,
    pub parts: Vec<(What, Vec<InGroup>)>,
    /// The erasure of the app's users that was the last one when their ids were read; see [`erasure`].
    pub erasure: u64,
}

/// A cohort, or the groups of an experiment.
pub struct Who {
    /// Stands for exactly these users: the cohort's id, or experiment and version.
    pub name: String,
    pub ds: Ds,
    pub version: u32,
    pub users: u64,
    /// Of a cohort.
    pub hash: Option<String>,
    pub groups: Vec<GroupDelivered>,
}

impl DeliveryBody {
    pub fn is_of_groups(&self) -> bool {
        self.of.starts_with("exp_")
    }
}

/// The newest there is of what is asked for, if it may be shown.
pub async fn newest(cohorts: &Cohorts, app: &str, asked: &DeliveryBody) -> Result<Who, Error> {
    if asked.is_of_groups() {
        return groups(cohorts, app, &asked.of).await;
    }
    cohort(cohorts, app, &asked.of).await
}

async fn cohort(cohorts: &Cohorts, app: &str, id: &str) -> Result<Who, Error> {
    let cohort = cohorts.audiences.newest(app, id).await?;
    Ok(Who {
        name: cohort.id,
        ds: cohort.ds,
        version: cohort.version,
        users: cohort.users,
        hash: Some(cohort.hash),
        groups: Vec::new(),
    })
}

async fn groups(cohorts: &Cohorts, app: &str, id: &str) -> Result<Who, Error> {
    let row = operations::find(cohorts, app, id).await?;
    let states = [State::Running, State::Stopped];
    operations::require(&row, &states, "Only an experiment that has begun has groups")?;
    let members: Vec<GroupMembers> = serde_json::from_str(row.members.as_deref().unwrap_or("[]"))?;
    let ds = row.population_ds.ok_or_else(|| Error::Inside(format!("{id} has no day")))?;
    let (mut groups, mut users) = (Vec::new(), 0);
    for group in members {
        let cohort = cohorts.audiences.newest(app, &group.cohort_id).await?;
        users += cohort.users;
        groups.push(GroupDelivered {
            name: group.name,
            cohort_id: cohort.id,
            users: cohort.users,
            hash: cohort.hash,
        });
    }
    let name = format!("{id}-v{}", row.version);
    Ok(Who { name, ds: operations::day(ds)?, version: row.version, users, hash: None, groups })
}

/// Which users it is about is settled once.
pub async fn load(cohorts: &Cohorts, app: &str, row: &DeliveryRow) -> Result<Load, Error> {
    let asked: DeliveryBody = serde_json::from_str(&row.asked)?;
    // Before any id is read: an erasure after it is told by the number having grown.
    let erasure = erasure(cohorts, app).await?;
    let (name, since) = match &row.cohort_id {
        Some(name) => (name.clone(), row.since.clone()),
        None => settle(cohorts, app, row, &asked).await?,
    };
    if asked.is_of_groups() {
        let who = groups(cohorts, app, &asked.of).await?;
        if who.name != name {
            let detail = "The experiment's groups were made anew meanwhile. Deliver it again.";
            return Err(Problem::new(Kind::Conflict, "groups_changed", detail).into());
        }
        let mut users = Vec::new();
        for group in &who.groups {
            let members = cohorts.audiences.members(app, &group.cohort_id).await?;
            agree(&members, group.users)?;
            users.push((Some(group.name.clone()), members));
        }
        return Ok(Load { asked, who, since, parts: vec![(What::Full, users)], erasure });
    }
    let who = cohort(cohorts, app, &name).await?;
    let users = cohorts.audiences.members(app, &name).await?;
    agree(&users, who.users)?;
    let parts = match &since {
        None => vec![(What::Full, vec![(None, users)])],
        Some(since) => {
            let before = cohorts.audiences.members(app, since).await?;
            changes(cohorts, app, &users, &before).await?
        }
    };
    Ok(Load { asked, who, since, parts, erasure })
}

/// Until its numbers are corrected after an erasure, a cohort has fewer members than they and its hash say.
fn agree(members: &Users, told: u64) -> Result<(), Error> {
    match size(members) == told {
        true => Ok(()),
        false => {
            let detail = "Users were erased, and the cohort's numbers are not corrected yet.";
            Err(Problem::new(Kind::Unavailable, "users_erased", detail).retry_after(1).into())
        }
    }
}

/// The publication that erased users of the app last, 0 where none did: it goes up with every erasure.
pub async fn erasure(cohorts: &Cohorts, app: &str) -> Result<u64, Error> {
    let snapshot = cohorts.audiences.refreshed(app).await?;
    Ok(snapshot.map_or(0, |snapshot| snapshot.manifest().erasure()))
}

async fn changes(
    cohorts: &Cohorts,
    app: &str,
    now: &Users,
    before: &Users,
) -> Result<Vec<(What, Vec<InGroup>)>, Error> {
    let less = |of: &Users, without: &Users| -> Users {
        let none = roaring::RoaringBitmap::new();
        of.iter().enumerate().map(|(bucket, of)| of - without.get(bucket).unwrap_or(&none)).collect()
    };
    let (entered, left) = (less(now, before), less(before, now));
    let floor = floor(&*cohorts.audiences.snapshot(app).await?);
    if floor.is_few(size(&entered)) || floor.is_few(size(&left)) {
        let detail = "Fewer users than the app's privacy floor have entered or left since then. Deliver the whole \
                      cohort, or wait for more.";
        return Err(Problem::new(Kind::Forbidden, "below_floor", detail).into());
    }
    Ok(vec![(What::Add, vec![(None, entered)]), (What::Remove, vec![(None, left)])])
}

/// Whom, and since which cohort. Of two attempts at once both take what the first has settled.
async fn settle(
    cohorts: &Cohorts,
    app: &str,
    row: &DeliveryRow,
    asked: &DeliveryBody,
) -> Result<(String, Option<String>), Error> {
    let name = newest(cohorts, app, asked).await?.name;
    let since = match asked.mode {
        Mode::Full => None,
        Mode::Changes => since(cohorts, app, asked).await?,
    };
    store::settle(&cohorts.db, app, &row.id, (&name, since.as_deref())).await?;
    let settled = store::delivery(&cohorts.db, app, &row.id).await?;
    Ok(settled.and_then(|row| Some((row.cohort_id?, row.since))).unwrap_or((name, since)))
}

/// None where nothing was delivered before, or what was is gone, or something else may have been delivered in part
/// since then: then everything is.
async fn since(cohorts: &Cohorts, app: &str, asked: &DeliveryBody) -> Result<Option<String>, Error> {
    if let Some(since) = &asked.since {
        return Ok(Some(cohorts.audiences.newest(app, since).await?.id));
    }
    let last = store::last_delivered(&cohorts.db, app, (&asked.destination, &asked.of)).await?;
    let Some((last, id)) = last else { return Ok(None) };
    if store::any_in_part(&cohorts.db, app, (&asked.destination, &asked.of), &id).await? {
        return Ok(None);
    }
    match cohorts.audiences.newest(app, &last).await {
        Ok(cohort) => Ok(Some(cohort.id)),
        Err(problem) if problem.kind == Kind::NotFound => Ok(None),
        Err(problem) => Err(problem.into()),
    }
}

impl Load {
    /// What it says before anything is delivered.
    pub fn manifest(&self, app: &str) -> Manifest {
        let Who { name, ds, version, users, hash, groups } = &self.who;
        Manifest {
            app_id: app.to_owned(),
            of: self.asked.of.clone(),
            cohort_id: hash.as_ref().map(|_| name.clone()),
            ds: *ds,
            version: *version,
            hash: hash.clone(),
            users: *users,
            groups: groups.clone(),
            mode: if self.since.is_some() { Mode::Changes } else { Mode::Full },
            since: self.since.clone(),
            format: self.asked.format.clone(),
            label_days: Vec::new(),
            parts: Vec::new(),
        }
    }
}

/// How many users.
pub fn count(users: &[InGroup]) -> u64 {
    users.iter().map(|(_, users)| size(users)).sum()
}
