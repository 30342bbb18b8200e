//! How many users the crowds have, and who of them is new.

use std::collections::BTreeSet;

use muster_catalogue::Floor;
use muster_days::Ds;
use muster_profile_store::Snapshot;

use super::completeness::completeness;
use super::names::{current_crowds, known_crowd, privacy_floor};
use super::plan::EVERYONE;
use super::trend::{DAYS, check};
use crate::Metrics;
use crate::crowd_answers::{CrowdList, CrowdSize, CrowdTrend};
use crate::error::Error;
use crate::store::{self, SizeRow};

/// Every crowd on the newest day that is worked out, or the newest one up to `ds`.
pub async fn crowds(metrics: &Metrics, snapshot: &Snapshot, ds: Option<Ds>) -> Result<CrowdList, Error> {
    let app = snapshot.app();
    let (first, newest) = store::newest_crowd_day(&metrics.db, app, EVERYONE, ds).await?;
    let first = first.map(store::day).transpose()?;
    let day = store::day(newest.ok_or(Error::NoCrowdDay { ds, first })?)?;
    let floor = snapshot.catalogue().settings.floor();
    let known = current_crowds(snapshot);
    let mut crowds = Vec::new();
    for row in store::sizes_of(&metrics.db, app, day).await? {
        // Days of a crowd that is retired by now, or gone, stay in the table.
        if known.contains(&row.crowd) {
            crowds.push(size(floor, row)?);
        }
    }
    crowds.sort_by(|a, b| (a.crowd != EVERYONE, &a.crowd).cmp(&(b.crowd != EVERYONE, &b.crowd)));
    let there: BTreeSet<&str> = crowds.iter().map(|size| size.crowd.as_str()).collect();
    let missing = known.iter().filter(|crowd| !there.contains(crowd.as_str())).cloned().collect();
    let shown: Vec<&str> = crowds.iter().map(|size| size.crowd.as_str()).collect();
    let completeness = completeness(&metrics.db, snapshot, &shown, day).await?;
    let privacy_floor = privacy_floor(snapshot);
    Ok(CrowdList { app_id: app.to_owned(), ds: day, crowds, missing, privacy_floor, completeness })
}

/// A crowd over days: up to the newest one that is worked out, thirty of them, unless the request says.
pub async fn crowd_trend(
    metrics: &Metrics,
    snapshot: &Snapshot,
    crowd: &str,
    (from, to): (Option<Ds>, Option<Ds>),
) -> Result<CrowdTrend, Error> {
    let app = snapshot.app();
    known_crowd(snapshot, crowd)?;
    let (first, newest) = store::newest_crowd_day(&metrics.db, app, crowd, to).await?;
    let first = first.map(store::day).transpose()?;
    let newest = store::day(newest.ok_or(Error::NoCrowdDay { ds: to, first })?)?;
    let to = to.unwrap_or(newest);
    let from = from.unwrap_or_else(|| newest.plus(1 - DAYS));
    check(from, to)?;
    let floor = snapshot.catalogue().settings.floor();
    let rows = store::crowd_days(&metrics.db, app, crowd, (from, to)).await?;
    let days: Vec<CrowdSize> = rows.into_iter().map(|row| size(floor, row)).collect::<Result<_, _>>()?;
    let there: BTreeSet<Ds> = days.iter().map(|day| day.ds).collect();
    let missing_days = from.through(to).filter(|day| !there.contains(day)).collect();
    let last = days.last().map_or(newest, |day| day.ds);
    let completeness = completeness(&metrics.db, snapshot, &[crowd], last).await?;
    let privacy_floor = privacy_floor(snapshot);
    Ok(CrowdTrend { app_id: app.to_owned(), from, to, days, missing_days, privacy_floor, completeness })
}

fn size(floor: Floor, row: SizeRow) -> Result<CrowdSize, Error> {
    let (whole, app) = (row.users as u64, row.app_users as u64);
    let users = floor.shown(whole, app);
    // New users and returning ones tell each other: both are shown, or none.
    let new_users = users.and(row.new_users).and_then(|new| floor.shown(new as u64, whole));
    let returning_users = new_users.and(row.returning_users).map(|users| users as u64);
    Ok(CrowdSize {
        ds: store::day(row.ds)?,
        crowd: row.crowd,
        share: users.filter(|_| app > 0).map(|users| users as f64 / app as f64),
        users,
        new_users,
        returning_users,
        earlier_from: row.earlier_from.map(store::day).transpose()?,
        computed_at: store::time(row.computed_at)?,
    })
}
