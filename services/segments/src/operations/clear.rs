//! Clears the cohorts of an app, its lists among them, of users that were erased.
//!
//! Whoever reads a cohort through a snapshot sees no erased user, whatever its file says: so what is counted is right
//! from the erasure on. Here the files are written anew, and the numbers that are kept of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use muster_profile_store::{CohortFile, Snapshot};
use roaring::RoaringBitmap;
use serde::Serialize;

use super::members::members_of;
use crate::Segments;
use crate::error::Error;
use crate::hash;
use crate::store::{self, Behind, Compared};

/// Cohorts that are looked at in one go.
const AT_ONCE: u32 = 200;

#[derive(Debug, Default, Serialize)]
pub struct Cleared {
    /// Cohorts that were looked at.
    pub cohorts: u64,
    /// Those that had erased users.
    pub changed: u64,
}

/// A cohort as it is without them.
struct Changed {
    id: String,
    size: u64,
    hash: String,
    members: Vec<RoaringBitmap>,
}

/// Done again it goes on where it was; `stopped` is asked between cohorts.
pub async fn clear(segments: &Segments, app: &str, stopped: impl Fn() -> bool) -> Result<Cleared, Error> {
    let snapshot = refreshed(segments, app).await?;
    let erasure = snapshot.as_ref().map_or(0, |snapshot| snapshot.manifest().erasure());
    let (Some(snapshot), true) = (snapshot, erasure > 0) else { return Ok(Cleared::default()) };
    store::put_universes(&segments.db, app, snapshot.directory().users()).await?;
    let mut cleared = Cleared::default();
    let mut after = String::new();
    loop {
        let behind = store::cohorts_behind(&segments.db, app, erasure, &after, AT_ONCE).await?;
        let Some(last) = behind.last() else { return Ok(cleared) };
        after = last.id.clone();
        if stopped() {
            return Err(Error::Stopped);
        }
        cleared.cohorts += behind.len() as u64;
        let ids: Vec<String> = behind.iter().map(|cohort| cohort.id.clone()).collect();
        let (changed, unreadable) = changed(&snapshot, behind).await?;
        cleared.changed += changed.len() as u64;
        // Before the cohorts are noted as clear: an attempt that ends here is made good by the next. Also of those that
        // have not changed: they may have been compared with one that has.
        recount(segments, app, &snapshot, &ids).await?;
        for id in ids.into_iter().filter(|id| !unreadable.contains(id)) {
            let now = changed.iter().find(|changed| changed.id == id);
            if let Some(changed) = now {
                rewrite(segments, app, &snapshot, changed).await?;
            }
            let now = now.map(|changed| (changed.size, &*changed.hash));
            store::put_clear(&segments.db, (app, &id), erasure, now).await?;
        }
    }
}

/// The app's data as published by now; also of one that is disabled.
pub async fn refreshed(segments: &Segments, app: &str) -> Result<Option<Arc<Snapshot>>, Error> {
    let (profiles, app) = (segments.profiles.clone(), app.to_owned());
    blocking(move || {
        profiles.refresh(&app)?;
        Ok(profiles.snapshot(&app)?)
    })
    .await
}

/// And those whose files can't be read: they keep nobody else waiting.
async fn changed(
    snapshot: &Arc<Snapshot>,
    behind: Vec<Behind>,
) -> Result<(Vec<Changed>, BTreeSet<String>), Error> {
    let snapshot = snapshot.clone();
    blocking(move || {
        let (mut changed, mut unreadable) = (Vec::new(), BTreeSet::new());
        for cohort in behind {
            let file = match snapshot.cohort(&cohort.id) {
                Err(error) if error.is_unreadable() => {
                    tracing::warn!(%error, "a cohort can't be cleared of erased users");
                    unreadable.insert(cohort.id);
                    continue;
                }
                file => file?,
            };
            let Some(file) = file else { continue };
            let size = file.size()?;
            // A file that an attempt before has written, with the row as it was.
            if !file.is_masked() && size == cohort.size as u64 {
                continue;
            }
            let members = members_of(&file)?;
            let hash = hash::of_members(snapshot.directory(), &members)?;
            changed.push(Changed { id: cohort.id, size, hash, members });
        }
        Ok((changed, unreadable))
    })
    .await
}

async fn rewrite(
    segments: &Segments,
    app: &str,
    snapshot: &Arc<Snapshot>,
    changed: &Changed,
) -> Result<(), Error> {
    let (profiles, snapshot, name) = (segments.profiles.clone(), snapshot.clone(), app.to_owned());
    let (id, members) = (changed.id.clone(), changed.members.clone());
    blocking(move || {
        // It may have been removed meanwhile.
        if let Some(file) = snapshot.cohort(&id)? {
            profiles.write_cohort(&name, &id, file.meta().ds, &members)?;
        }
        Ok(())
    })
    .await?;
    segments.open.forget(app, &changed.id);
    Ok(())
}

/// Who entered and left, of the days and versions that any of the cohorts was compared in.
async fn recount(
    segments: &Segments,
    app: &str,
    snapshot: &Arc<Snapshot>,
    ids: &[String],
) -> Result<(), Error> {
    for day in store::days_comparing(&segments.db, app, ids).await? {
        if let (day, Some((_, Some(changes)))) = compare(snapshot, day).await? {
            store::put_day_changes(&segments.db, &day, changes).await?;
        }
    }
    for version in store::versions_comparing(&segments.db, app, ids).await? {
        if let (version, Some((users, changes))) = compare(snapshot, version).await? {
            store::put_version_users(&segments.db, &version, users, changes).await?;
        }
    }
    Ok(())
}

/// Its users, and who entered and who is gone. None where its cohort is no longer kept; no changes where the one
/// before is not.
type Numbers = Option<(u64, Option<(u64, u64)>)>;

async fn compare(snapshot: &Arc<Snapshot>, of: Compared) -> Result<(Compared, Numbers), Error> {
    let snapshot = snapshot.clone();
    blocking(move || {
        let Some(file) = readable(&snapshot, &of.cohort_id)? else { return Ok((of, None)) };
        let own = members_of(&file)?;
        let size = |members: &[RoaringBitmap]| members.iter().map(RoaringBitmap::len).sum::<u64>();
        let before = match &of.previous {
            None => Some(Vec::new()),
            Some(previous) => readable(&snapshot, previous)?.map(|file| members_of(&file)).transpose()?,
        };
        let changes = before.map(|before| {
            let stayed: u64 = own.iter().zip(&before).map(|(own, before)| own.intersection_len(before)).sum();
            (size(&own) - stayed, size(&before) - stayed)
        });
        Ok((of, Some((size(&own), changes))))
    })
    .await
}

/// None where it is not there, or can't be read.
fn readable(snapshot: &Snapshot, id: &str) -> Result<Option<CohortFile>, Error> {
    match snapshot.cohort(id) {
        Err(error) if error.is_unreadable() => Ok(None),
        file => Ok(file?),
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Inside(error.to_string()))?
}
