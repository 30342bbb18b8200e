//! A label's tags in a crowd on one day, from the cells.

use std::collections::BTreeMap;

use muster_catalogue::Floor;
use muster_catalogue::hidden::{Counts, Sizes, shown, sum_shown};
use muster_days::Ds;
use muster_statistics::Tagged;

use super::completeness::completeness;
use super::names::Asked;
use super::plan::EVERYONE;
use crate::Metrics;
use crate::answers::{Distribution, LabelName, Measured, TagShare, TagWeight};
use crate::error::Error;
use crate::store::{self, CellRow};

/// What comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The tag that most users of the crowd carry.
    Users,
    /// The tag that the crowd carries most of all, compared with the whole app.
    Index,
    /// The tag whose share differs most significantly from that of the rest of the app, either way.
    Surprise,
}

/// Of the newest day that is worked out, or the newest one up to `ds`; the first `top` tags.
pub async fn distribution(
    metrics: &Metrics,
    asked: &Asked<'_>,
    ds: Option<Ds>,
    (order, top): (Order, usize),
) -> Result<Distribution, Error> {
    let of = (asked.label, &[asked.crowd][..]);
    let (first, newest) = store::newest_day(&metrics.db, asked.app, of, ds).await?;
    let missing = || -> Result<Error, Error> {
        let first = first.map(store::day).transpose()?;
        Ok(Error::NotComputed { label: asked.entry.name.clone(), ds, first })
    };
    let Some(day) = newest else { return Err(missing()?) };
    let day = store::day(day)?;
    let rows = store::cells(&metrics.db, asked.app, of, (day, day)).await?;
    // Dropped by the lifecycle between the two questions.
    let Some(mut measured) = measure(asked, &rows)?.pop() else { return Err(missing()?) };
    sort(&mut measured.tags, order);
    let tags_total = measured.tags.len();
    measured.tags.truncate(top);
    Ok(Distribution {
        app_id: asked.app.to_owned(),
        label: LabelName { id: asked.label, name: asked.entry.name.clone() },
        crowd: asked.crowd.to_owned(),
        completeness: completeness(&metrics.db, asked.snapshot, &[asked.crowd], day).await?,
        privacy_floor: asked.floor(),
        measured,
        tags_total,
    })
}

pub fn sort(tags: &mut [TagShare], order: Order) {
    let index = |tag: &TagShare| tag.index.unwrap_or(-1.0);
    let surprise = |tag: &TagShare| tag.surprise.map_or(-1.0, f64::abs);
    tags.sort_by(|a, b| {
        let by_order = match order {
            Order::Surprise => surprise(b).total_cmp(&surprise(a)),
            Order::Index => index(b).total_cmp(&index(a)),
            Order::Users => std::cmp::Ordering::Equal,
        };
        by_order.then(b.users.cmp(&a.users)).then(b.app_users.cmp(&a.app_users)).then(a.id.cmp(&b.id))
    });
}

/// A crowd's or the app's line of a day, with its cells.
struct Line<'r> {
    head: &'r CellRow,
    cells: BTreeMap<i64, &'r CellRow>,
}

impl<'r> Line<'r> {
    fn of(rows: &'r [CellRow], crowd: &str) -> Option<Line<'r>> {
        let own = rows.iter().filter(|row| row.crowd == crowd);
        let cells = own.clone().filter_map(|row| Some((row.tag_id?, row)));
        Some(Line { head: own.clone().next()?, cells: cells.collect() })
    }

    fn size(&self) -> u64 {
        self.head.crowd_users as u64
    }

    fn users(&self, tag: i64) -> u64 {
        self.cells.get(&tag).and_then(|cell| cell.users).unwrap_or(0) as u64
    }
}

/// The days of the rows, from old to new, each with every tag that anybody in the app carries.
pub fn measure(asked: &Asked<'_>, rows: &[CellRow]) -> Result<Vec<Measured>, Error> {
    let floor = asked.snapshot.catalogue().settings.floor();
    let mut days = Vec::new();
    for rows in rows.chunk_by(|a, b| a.ds == b.ds) {
        let (Some(crowd), Some(app)) = (Line::of(rows, asked.crowd), Line::of(rows, EVERYONE)) else {
            continue;
        };
        let crowd_users = floor.shown(crowd.size(), app.size());
        let app_users = floor.shown(app.size(), app.size());
        let sizes = Sizes { crowd: crowd_users, app: app_users };
        let counts = |tag| Counts { in_crowd: crowd.users(tag), in_app: app.users(tag) };
        let told = |tag| shown(floor, sizes, counts(tag));
        let ids = || app.cells.keys().copied();
        let carrying = crowd_users.and_then(|users| floor.shown(crowd.head.carrying as u64, users));
        let carrying = carrying.filter(|_| {
            sum_shown(floor, ids().map(|tag| (crowd.users(tag), app.users(tag), told(tag).0.is_some())))
        });
        let app_carrying = app_users.and_then(|users| floor.shown(app.head.carrying as u64, users));
        let app_carrying = app_carrying.filter(|_| {
            sum_shown(floor, ids().map(|tag| (app.users(tag), app.size(), told(tag).1.is_some())))
        });
        let tags = ids().map(|tag| {
            let Counts { in_crowd, in_app } = counts(tag);
            let tagged = Tagged { in_crowd, crowd: crowd.size(), in_app, app: app.size() };
            let share_of_carrying = carrying.and_then(|carrying| share(in_crowd, carrying));
            let whole = tag_share((tag, asked.tag_name(tag)), tagged, share_of_carrying);
            let weight = weight(floor, (&crowd, &app), tag);
            under(told(tag), TagShare { weight, ..whole })
        });
        days.push(Measured {
            ds: store::day(crowd.head.ds)?,
            label_ds: store::day(crowd.head.label_ds)?,
            crowd_users,
            carrying,
            app_users,
            app_carrying,
            tags: tags.collect(),
            computed_at: store::time(crowd.head.computed_at)?,
        });
    }
    Ok(days)
}

/// None where nobody has a weight, and where so few have one, or of those who carry the tag all but so few, or
/// so few more in the whole app, that the app does not let it be shown.
fn weight(floor: Floor, (crowd, app): (&Line, &Line), tag: i64) -> Option<TagWeight> {
    let (cell, in_app) = (crowd.cells.get(&tag)?, app.cells.get(&tag)?);
    let (users, carrying) = (cell.weighted? as u64, cell.users? as u64);
    floor.shown(users, in_app.weighted.unwrap_or(0) as u64)?;
    let users = floor.shown(users, carrying)?;
    let mean = cell.weight_sum.map(|sum| sum as f64 / users as f64);
    Some(TagWeight { users, sum: cell.weight_sum, mean })
}

fn share(some: u64, all: u64) -> Option<f64> {
    (all > 0).then(|| some as f64 / all as f64)
}

/// Nothing that says how many users of the crowd carry the tag, where that is hidden; nor, by way of the index,
/// how many of the app do.
fn under((users, app_users): (Option<u64>, Option<u64>), whole: TagShare) -> TagShare {
    let whole = TagShare { app_users, ..whole };
    match (users, app_users) {
        (Some(_), Some(_)) => whole,
        (Some(_), None) => TagShare { index: None, index_interval: None, surprise: None, ..whole },
        (None, _) => TagShare {
            users: None,
            share: None,
            share_of_carrying: None,
            index: None,
            index_interval: None,
            surprise: None,
            weight: None,
            ..whole
        },
    }
}

fn tag_share((id, name): (i64, String), tagged: Tagged, share_of_carrying: Option<f64>) -> TagShare {
    TagShare {
        id,
        name,
        users: Some(tagged.in_crowd),
        share: share(tagged.in_crowd, tagged.crowd),
        share_of_carrying,
        app_users: Some(tagged.in_app),
        index: tagged.index(),
        index_interval: tagged.interval(),
        surprise: tagged.surprise(),
        weight: None,
    }
}
