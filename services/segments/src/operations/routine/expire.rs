//! Daily cohorts that are too old to be kept.

use muster_days::Ds;

use crate::Segments;
use crate::error::Error;
use crate::store;

/// Removes daily cohorts of days that lie `kept_days` before the newest one, unless they are needed; their
/// days stay, with what they came to. Answers how many.
pub async fn expire(segments: &Segments, app: &str, newest: Option<Ds>) -> Result<usize, Error> {
    let (kept, Some(newest)) = (segments.routine.kept_days, newest) else { return Ok(0) };
    if kept == 0 {
        return Ok(0);
    }
    let old = store::daily_cohorts_before(&segments.db, app, newest.plus(1 - i64::from(kept))).await?;
    if old.is_empty() {
        return Ok(0);
    }
    let needed = crate::operations::cohorts_needed(segments, app).await?;
    let mut dropped = 0;
    for id in old {
        if needed.contains(&id) {
            continue;
        }
        if store::remove_cohort(&segments.db, app, &id).await? {
            crate::operations::remove_file(segments, app, id).await?;
            dropped += 1;
        }
    }
    Ok(dropped)
}
