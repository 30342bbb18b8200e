//! Up to six crowds side by side, on one day that is worked out for all of them.

use std::collections::BTreeMap;

use muster_days::Ds;

use super::distribution::{Order, distribution};
use super::names::Asked;
use crate::Metrics;
use crate::answers::{ComparedCrowd, ComparedTag, Comparison, Distribution, TagShare};
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
    let (mut day, mut before) = (ds, None);
    // A crowd may lack the day of another one: until all have the same.
    while day.is_none() || day != before {
        before = day;
        for one in asked {
            let of = (one.label, one.crowd);
            let (first, newest) = store::newest_day(&metrics.db, one.app, of, day).await?;
            let first = first.map(store::day).transpose()?;
            let missing = || Error::NotComputed { label: one.entry.name.clone(), ds: day, first };
            day = Some(store::day(newest.ok_or_else(missing)?)?);
        }
    }
    let mut found = Vec::new();
    for one in asked {
        let one_found = distribution(metrics, one, day, (order, usize::MAX)).await?;
        if Some(one_found.measured.ds) != day {
            return Err(Error::NotComputed { label: one.entry.name.clone(), ds: day, first: None });
        }
        found.push(one_found);
    }
    let (tags, tags_total) = side_by_side(&mut found, order, top);
    let crowds = found.iter().map(ComparedCrowd::of).collect();
    let first = found.into_iter().next().ok_or_else(|| Error::Inside("no crowd".to_owned()))?;
    Ok(Comparison {
        app_id: first.app_id,
        label: first.label,
        ds: first.measured.ds,
        label_ds: first.measured.label_ds,
        app_users: first.measured.app_users,
        app_carrying: first.measured.app_carrying,
        crowds,
        tags,
        tags_total,
        completeness: first.completeness,
    })
}

/// A tag that one of the crowds does not know was published between two reads, and comes with the next.
fn side_by_side(found: &mut [Distribution], order: Order, top: usize) -> (Vec<ComparedTag>, usize) {
    let mut tags: BTreeMap<i64, Vec<TagShare>> = BTreeMap::new();
    let crowds = found.len();
    for tag in found.iter_mut().flat_map(|one| std::mem::take(&mut one.measured.tags)) {
        tags.entry(tag.id).or_default().push(tag);
    }
    let mut tags: Vec<Vec<TagShare>> = tags.into_values().filter(|of| of.len() == crowds).collect();
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
