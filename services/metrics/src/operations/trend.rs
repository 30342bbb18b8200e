//! A label's tags in a crowd over days.

use std::collections::BTreeSet;

use muster_days::Ds;

use super::completeness::completeness;
use super::distribution::{Order, measure, sort};
use super::names::Asked;
use crate::Metrics;
use crate::answers::{LabelName, Measured, Trend};
use crate::error::Error;
use crate::store;

/// Days up to the newest one that a request without `from` gets.
pub const DAYS: i64 = 30;
/// Days of one answer.
const MOST_DAYS: i64 = 400;

/// Of each day that is worked out, the same `top` tags: those that most users of the crowd carry on the
/// newest of these days.
pub async fn trend(
    metrics: &Metrics,
    asked: &Asked<'_>,
    (from, to): (Option<Ds>, Option<Ds>),
    top: usize,
) -> Result<Trend, Error> {
    let of = (asked.label, &[asked.crowd][..]);
    let (first, newest) = store::newest_day(&metrics.db, asked.app, of, to).await?;
    let first = first.map(store::day).transpose()?;
    let missing = || Error::NotComputed { label: asked.entry.name.clone(), ds: to, first };
    let newest = store::day(newest.ok_or_else(missing)?)?;
    let to = to.unwrap_or(newest);
    let from = from.unwrap_or_else(|| newest.plus(1 - DAYS));
    check(from, to)?;
    let rows = store::cells(&metrics.db, asked.app, of, (from, to)).await?;
    let mut days = measure(asked, &rows)?;
    let there: BTreeSet<Ds> = days.iter().map(|day| day.ds).collect();
    let tags: BTreeSet<i64> = days.iter().flat_map(|day| &day.tags).map(|tag| tag.id).collect();
    let shown = first_tags(&mut days, top);
    for day in &mut days {
        day.tags.retain(|tag| shown.contains(&tag.id));
        sort(&mut day.tags, Order::Users);
    }
    let last = days.last().map_or(newest, |day| day.ds);
    Ok(Trend {
        completeness: completeness(&metrics.db, asked.snapshot, &[asked.crowd], last).await?,
        privacy_floor: asked.floor(),
        app_id: asked.app.to_owned(),
        label: LabelName { id: asked.label, name: asked.entry.name.clone() },
        crowd: asked.crowd.to_owned(),
        from,
        to,
        missing_days: from.through(to).filter(|day| !there.contains(day)).collect(),
        tags_total: tags.len(),
        days,
    })
}

/// The tags that lead on the newest day; where it has fewer, those that lead on the day before, and so on.
fn first_tags(days: &mut [Measured], top: usize) -> BTreeSet<i64> {
    let mut shown = BTreeSet::new();
    for day in days.iter_mut().rev() {
        sort(&mut day.tags, Order::Users);
        for tag in &day.tags {
            if shown.len() == top {
                return shown;
            }
            shown.insert(tag.id);
        }
    }
    shown
}

/// Refuses what is no span of days, or too long a one.
pub fn check(from: Ds, to: Ds) -> Result<(), Error> {
    let refused = |detail| Err(Error::Parameter { parameter: "from", code: "invalid_days", detail });
    if from > to {
        return refused(format!("`from` lies behind `to`: {from} and {to}."));
    }
    if to.days_since(from) >= MOST_DAYS {
        return refused(format!(
            "From {from} to {to} are more than {MOST_DAYS} days: ask for fewer at once."
        ));
    }
    Ok(())
}
