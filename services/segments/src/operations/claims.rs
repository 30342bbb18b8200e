//! What must stay because something else needs it: rules, experiments, and what is followed.

use std::collections::BTreeSet;

use muster_http::{Kind, Problem};

use crate::Segments;
use crate::error::Error;
use crate::store;

/// Refuses to delete the `segment`, `list` or `cohort` of this id while rules or experiments need it.
pub async fn require_unused(segments: &Segments, app: &str, (kind, id): (&str, &str)) -> Result<(), Problem> {
    let in_use = |detail: String| Problem::new(Kind::Conflict, &format!("{kind}_in_use"), detail);
    let naming = store::segments_naming(&segments.db, app, (kind, id)).await?;
    if !naming.is_empty() {
        let detail = format!("Segments use this {kind} in their rules; change or delete these first.");
        return Err(in_use(detail).with("segments", naming));
    }
    let experiments = store::experiments_on(&segments.db, app, id).await?;
    if !experiments.is_empty() {
        let detail = format!("Experiments take their users from this {kind}; stop or change these first.");
        return Err(in_use(detail).with("experiments", experiments));
    }
    Ok(())
}

/// Cohorts that do not go by themselves, however old they are.
pub async fn cohorts_needed(segments: &Segments, app: &str) -> Result<BTreeSet<String>, Error> {
    let mut needed = store::cohorts_in_rules(&segments.db, app).await?;
    needed.append(&mut store::claimed(&segments.db, app).await?);
    Ok(needed)
}

/// What the rule names: segments, lists and cohorts.
pub fn named_in(rule: &str) -> BTreeSet<String> {
    let kinds = ["segment", "list", "cohort"].into_iter();
    kinds.flat_map(|kind| store::named(rule, kind)).map(str::to_owned).collect()
}
