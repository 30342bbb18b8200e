//! Which of many users are members of which of many cohorts.

use std::sync::Arc;
use std::time::Instant;

use muster_bitmaps::Block;
use muster_profile_store::{CohortFile, Place};
use quick_cache::sync::Cache;
use rayon::prelude::*;
use roaring::RoaringBitmap;

use super::served::snapshot;
use crate::Segments;
use crate::error::Error;
use crate::member_answers::{AskedCohort, Memberships, UserMemberships};
use crate::store::Brief;

/// Cohort files that stay open, of all apps together.
const OPEN: usize = 1_000;

/// Cohort files that were asked for lately: a file never changes, and to open one all of it is read.
pub struct OpenCohorts(Cache<(String, String), Arc<CohortFile>>);

impl Default for OpenCohorts {
    fn default() -> OpenCohorts {
        OpenCohorts(Cache::new(OPEN))
    }
}

impl OpenCohorts {
    /// For a cohort that is gone.
    pub fn forget(&self, app: &str, id: &str) {
        self.0.remove(&(app.to_owned(), id.to_owned()));
    }

    /// The members of a cohort whose row is there.
    fn open(&self, segments: &Segments, app: &str, id: &str) -> Result<Arc<CohortFile>, Error> {
        let key = (app.to_owned(), id.to_owned());
        if let Some(file) = self.0.get(&key) {
            return Ok(file);
        }
        let file = Arc::new(file(segments, app, id)?);
        self.0.insert(key, file.clone());
        Ok(file)
    }
}

/// The file of a cohort whose row is there.
pub fn file(segments: &Segments, app: &str, id: &str) -> Result<CohortFile, Error> {
    let file = match segments.profiles.snapshot(app)? {
        Some(snapshot) => snapshot.cohort(id)?,
        None => None,
    };
    file.ok_or_else(|| Error::Inside(format!("the file of {id} is missing")))
}

/// Whether one user is a member of a cohort whose row is there.
pub fn is_member(segments: &Segments, (app, id): (&str, &str), place: Place) -> Result<bool, Error> {
    let file = segments.open.open(segments, app, id)?;
    Ok(file.members(place.bucket)?.is_some_and(|members| members.contains(place.ordinal)))
}

/// All members of a cohort whose row is there: ordinals per bucket.
pub fn members(segments: &Segments, app: &str, id: &str) -> Result<Vec<RoaringBitmap>, Error> {
    members_of(&file(segments, app, id)?)
}

/// Ordinals per bucket.
pub fn members_of(file: &CohortFile) -> Result<Vec<RoaringBitmap>, Error> {
    (0..file.meta().buckets)
        .map(|bucket| match file.members(bucket)? {
            Some(members) => members.to_roaring().map_err(|error| Error::Inside(error.to_string())),
            None => Ok(RoaringBitmap::new()),
        })
        .collect()
}

/// `cohorts` are of the app and may be shown, each with the id that was asked for. Blocks.
pub fn memberships(
    segments: &Segments,
    app: &str,
    cohorts: Vec<(String, Brief)>,
    users: Vec<String>,
    began: Instant,
) -> Result<Memberships, Error> {
    let snapshot = snapshot(segments, app)?;
    let place = |user: &String| snapshot.directory().find(user.as_bytes());
    let places: Vec<Option<Place>> = users.iter().map(place).collect();
    let mut order: Vec<(Place, usize)> =
        places.iter().enumerate().filter_map(|(user, place)| Some(((*place)?, user))).collect();
    order.sort_by_key(|(place, _)| (place.bucket, place.ordinal));
    let mut within: Vec<Vec<String>> = vec![Vec::new(); users.len()];
    // Of one block, so that its container is looked for once.
    let blocks: Vec<&[(Place, usize)]> =
        order.chunk_by(|(a, _), (b, _)| (a.bucket, a.ordinal >> 16) == (b.bucket, b.ordinal >> 16)).collect();
    let members = cohorts.par_iter().map(|(_, cohort)| -> Result<Vec<usize>, Error> {
        let file = segments.open.open(segments, app, &cohort.id)?;
        members_among(&file, &blocks)
    });
    let members = members.collect::<Result<Vec<_>, _>>()?;
    for ((asked, _), members) in cohorts.iter().zip(members) {
        members.into_iter().for_each(|user| within[user].push(asked.clone()));
    }
    let user = |((user_id, place), cohorts): ((String, &Option<Place>), Vec<String>)| UserMemberships {
        user_id,
        known: place.is_some(),
        cohorts,
    };
    Ok(Memberships {
        users: users.into_iter().zip(&places).zip(within).map(user).collect(),
        cohorts: cohorts
            .into_iter()
            .map(|(asked, cohort)| AskedCohort { asked, id: cohort.id, ds: cohort.ds })
            .collect(),
        took_ms: super::millis(began),
    })
}

/// Which of the users are members, by their numbers. Each of `blocks` is of one block, which is taken out whole: a bit
/// is found at once, a member of a list only by searching.
fn members_among(file: &CohortFile, blocks: &[&[(Place, usize)]]) -> Result<Vec<usize>, Error> {
    let (mut found, mut block) = (Vec::new(), Block::boxed());
    for users in blocks {
        let first = users[0].0;
        let Some(members) = file.members(first.bucket)? else { continue };
        let Some(members) = members.container((first.ordinal >> 16) as u16) else { continue };
        block.set_container(&members);
        let here = users.iter().filter(|(place, _)| block.contains(place.ordinal as u16));
        found.extend(here.map(|(_, user)| *user));
    }
    Ok(found)
}
