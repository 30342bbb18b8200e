//! What somebody who died has left: cohort files whose row was not written, and cohorts of lists that are deleted.

use std::collections::BTreeSet;

use crate::Segments;
use crate::error::Error;
use crate::store;

/// Ids of one query.
const IDS: usize = 500;

/// Removes them; files once they are an hour old: a row follows its file within moments. Answers how many files.
pub async fn sweep(segments: &Segments, app: &str) -> Result<usize, Error> {
    super::forget_deleted(segments, app).await?;
    let (profiles, name) = (segments.profiles.clone(), app.to_owned());
    let old = tokio::task::spawn_blocking(move || profiles.old_cohorts(&name)).await;
    let old: Vec<String> = old.map_err(|error| Error::Inside(error.to_string()))??.into_iter().collect();
    let mut strays = Vec::new();
    for ids in old.chunks(IDS) {
        let ids: BTreeSet<&str> = ids.iter().map(String::as_str).collect();
        let there = store::shown_of(&segments.db, app, &ids).await?;
        strays.extend(ids.into_iter().filter(|id| !there.contains(*id)).map(str::to_owned));
    }
    let (profiles, app) = (segments.profiles.clone(), app.to_owned());
    let swept = tokio::task::spawn_blocking(move || {
        strays.iter().try_for_each(|id| profiles.sweep_cohort(&app, id))?;
        Ok::<usize, Error>(strays.len())
    });
    swept.await.map_err(|error| Error::Inside(error.to_string()))?
}
