//! Up to six crowds side by side, on one day that is worked out for all of them.

use std::collections::BTreeMap;

use muster_days::Ds;

use super::completeness::completeness;
use super::distribution::{Order, measure};
use super::names::Asked;
use crate::Metrics;
use crate::answers::{ComparedCrowd, ComparedTag, Comparison, LabelName, Measured, TagShare};
use crate::error::Error;
use crate::store;

/// The newest day that every crowd has, or the newest one up to `ds`; the first `top` tags by what is
/// greatest in any of the crowds. `asked` are of one label, and at least one.
pub async fn compare(
    metrics: &Metrics,
    asked: &[Asked<'_>],
    ds: Option<Ds>,
    (order, top): (Order, usize),
) -> Result<Comparison, Error> {
    let Some(one) = asked.first() else { return Err(Error::Inside("no crowd".to_owned())) };
    let crowds: Vec<&str> = asked.iter().map(|one| one.crowd).collect();
    let of = (one.label, &crowds[..]);
    let (first, newest) = store::newest_day(&metrics.db, one.app, of, ds).await?;
    let first = first.map(store::day).transpose()?;
    let missing = || Error::NotComputed { label: one.entry.name.clone(), ds, first };
    let day = store::day(newest.ok_or_else(missing)?)?;
    let rows = store::cells(&metrics.db, one.app, of, (day, day)).await?;
    let mut found = Vec::new();
    for one in asked {
        // Dropped by the lifecycle between the two questions.
        let measured = measure(one, &rows)?.pop().ok_or_else(missing)?;
        found.push((one.crowd, measured));
    }
    let (tags, tags_total) = side_by_side(&mut found, order, top);
    let compared = found.iter().map(|(crowd, measured)| ComparedCrowd {
        crowd: (*crowd).to_owned(),
        users: measured.crowd_users,
        carrying: measured.carrying,
    });
    let compared = compared.collect();
    let (_, first) = found.into_iter().next().ok_or_else(missing)?;
    Ok(Comparison {
        app_id: one.app.to_owned(),
        label: LabelName { id: one.label, name: one.entry.name.clone() },
        ds: day,
        label_ds: first.label_ds,
        app_users: first.app_users,
        app_carrying: first.app_carrying,
        crowds: compared,
        tags,
        tags_total,
        completeness: completeness(&metrics.db, one.snapshot, &crowds, day).await?,
        privacy_floor: one.floor(),
    })
}

/// Takes the tags of all crowds: each of them has the same, those of the whole app.
fn side_by_side(found: &mut [(&str, Measured)], order: Order, top: usize) -> (Vec<ComparedTag>, usize) {
    let mut tags: BTreeMap<i64, Vec<TagShare>> = BTreeMap::new();
    for tag in found.iter_mut().flat_map(|(_, measured)| std::mem::take(&mut measured.tags)) {
        tags.entry(tag.id).or_default().push(tag);
    }
    let mut tags: Vec<Vec<TagShare>> = tags.into_values().collect();
    let key = |tag: &TagShare| match order {
        Order::Users => tag.users.map_or(-1.0, |users| users as f64),
        Order::Index => tag.index.unwrap_or(-1.0),
        Order::Surprise => tag.surprise.map_or(-1.0, f64::abs),
    };
    let greatest = |of: &[TagShare]| of.iter().map(key).fold(-1.0, f64::max);
    // Stable: equal ones stay in the order of their ids.
    tags.sort_by(|a, b| greatest(b).total_cmp(&greatest(a)));
    let total = tags.len();
    tags.truncate(top);
    (tags.into_iter().map(|crowds| ComparedTag { crowds }).collect(), total)
}
