//! Who was seen: whoever was exposed to what an experiment changes, and who carries which tag.

use std::cmp::Reverse;
use std::ops::RangeInclusive;
use std::sync::Arc;

use muster_days::Ds;
use muster_http::{Kind, Problem};
use muster_profile_store::{LabelPart, Snapshot};
use muster_rules::nearest;
use serde_json::{Value, json};

use crate::Cohorts;
use crate::audiences::{Stopped, Users};
use crate::error::Error;

/// Days up to the last one for which it is told how many were exposed until then.
pub const BY_DAY: i64 = 60;
/// Tags that are looked at by themselves, those that most users carry.
pub const TAGS: usize = 30;

/// Whose audiences are asked, of which app, and until when.
type Of<'a> = (&'a Cohorts, &'a str, &'a Stopped);

/// Tags of a label on a day, with their names and the users who carry them.
#[derive(Default)]
pub struct Tags {
    pub ds: Option<Ds>,
    pub users: Vec<(i64, String, Users)>,
}

/// Whoever did the event on any of the days.
pub async fn exposed(of: Of<'_>, event: &str, days: &RangeInclusive<Ds>) -> Result<Users, Error> {
    let (from, to) = (days.start(), days.end());
    find(of, &json!({ "as_of": to, "where": { "event": event, "from": from, "to": to } })).await
}

/// Of the last days: whoever did the event from the first day on until then.
pub async fn exposed_by_day(
    of: Of<'_>,
    event: &str,
    days: &RangeInclusive<Ds>,
) -> Result<Vec<(Ds, Users)>, Error> {
    let mut by_day = Vec::new();
    for ds in (*days.start()).max(days.end().plus(1 - BY_DAY)).through(*days.end()) {
        by_day.push((ds, exposed(of, event, &(*days.start()..=ds)).await?));
    }
    Ok(by_day)
}

async fn find((cohorts, app, stopped): Of<'_>, rule: &Value) -> Result<Users, Error> {
    let rule = cohorts.audiences.read(app, rule.to_string().as_bytes(), "").await?;
    Ok(cohorts.audiences.find(app, &rule, stopped.clone()).await?.users)
}

/// The tags that most users carry, on the newest day of the label before `from`: what an experiment changes must not
/// decide who is compared. Without one, on its first day.
pub async fn tags(of: Of<'_>, snapshot: &Arc<Snapshot>, label: &str, from: Ds) -> Result<Tags, Error> {
    let (id, days) = known(snapshot, label)?;
    let Some(ds) = days.iter().rfind(|ds| **ds < from).or(days.first()).copied() else {
        return Ok(Tags::default());
    };
    let read = snapshot.clone();
    let part = tokio::task::spawn_blocking(move || read.label(id, ds)).await;
    let part = part.map_err(|error| Error::Inside(error.to_string()))??;
    let mut tags = Tags { ds: Some(ds), users: Vec::new() };
    for (code, name) in most_carried(part.as_deref()) {
        let users = find(of, &json!({ "as_of": ds, "where": { "label": id, "in": [code] } })).await?;
        tags.users.push((code, name, users));
    }
    Ok(tags)
}

fn most_carried(part: Option<&LabelPart>) -> Vec<(i64, String)> {
    let mut tags: Vec<_> = part.iter().flat_map(|part| &part.meta().tags).collect();
    tags.sort_by_key(|(code, tag)| (Reverse(tag.users), **code));
    tags.into_iter().take(TAGS).map(|(code, tag)| (*code, tag.name.clone())).collect()
}

/// By id or name: the id, and its days.
fn known(snapshot: &Snapshot, label: &str) -> Result<(i64, Vec<Ds>), Error> {
    let labels = &snapshot.manifest().labels;
    let by_id = label.parse::<i64>().ok().and_then(|id| labels.get_key_value(&id));
    if let Some((id, entry)) = by_id.or_else(|| labels.iter().find(|(_, entry)| entry.name == label)) {
        return Ok((*id, entry.days.keys().copied().collect()));
    }
    let nearest = nearest(label, labels.values().map(|entry| &entry.name));
    let hint = nearest.as_ref().map(|nearest| format!(" Did you mean `{nearest}`?")).unwrap_or_default();
    let problem =
        Problem::new(Kind::NotFound, "label_not_found", format!("There is no label `{label}`.{hint}"));
    Err(problem.with_fault("label", "unknown_label", nearest).into())
}
