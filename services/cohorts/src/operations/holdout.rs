//! Users of an app who are in no experiment.

use chrono::{DateTime, Utc};

use crate::Cohorts;
use crate::answers::Holdout;
use crate::assignment::{Range, Slice, WHOLE, in_millionths};
use crate::definition::fault;
use crate::error::Error;
use crate::store;

/// The most that may be held out: with everybody there is no experiment.
const MOST: u32 = WHOLE / 2;

pub async fn holdout(cohorts: &Cohorts, app: &str) -> Result<Holdout, Error> {
    let found = store::holdout(&cohorts.db, app).await?;
    Ok(Holdout { share: found.map_or(0.0, |share| f64::from(share) / f64::from(WHOLE)) })
}

pub async fn put_holdout(
    cohorts: &Cohorts,
    app: &str,
    share: f64,
    by: &str,
    now: DateTime<Utc>,
) -> Result<Holdout, Error> {
    cohorts.audiences.snapshot(app).await?;
    let parts = in_millionths(share).filter(|parts| *parts <= MOST);
    let parts = parts.ok_or_else(|| fault("/share", "share", "The share is from 0 to 0.5.".to_owned()))?;
    store::put_holdout(&cohorts.db, app, parts, by, now).await?;
    holdout(cohorts, app).await
}

/// For an experiment that begins.
pub async fn held_out(cohorts: &Cohorts, app: &str) -> Result<Option<Slice>, Error> {
    let found = store::holdout(&cohorts.db, app).await?.filter(|share| *share > 0);
    // With a greater share, who was held out stays so.
    let slice = |share| Slice { salt: format!("{app}/holdout"), ranges: vec![Range { from: 0, to: share }] };
    Ok(found.map(slice))
}
