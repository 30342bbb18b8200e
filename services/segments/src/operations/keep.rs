//! Creates, changes and shows segments. A rule is checked before it is kept.

use chrono::{DateTime, Utc};
use muster_evaluator::SnapshotCatalogue;
use muster_rules::check;
use ulid::Ulid;

use super::floor::floor;
use super::prepare::parse;
use super::routine::OnMissing;
use super::served::snapshot;
use crate::Segments;
use crate::answers::Segment;
use crate::error::Error;
use crate::store::{self, Change, SegmentRow};

/// Longest name of a segment, in bytes.
const NAME_BYTES: usize = 256;

/// What a segment is made of.
pub struct SegmentChange {
    pub name: String,
    /// JSON text.
    pub rule: String,
    pub refresh: String,
    /// `last`, `wait` or `skip`.
    pub on_missing: Option<String>,
}

impl SegmentChange {
    /// The canonical rule, once everything is in order.
    fn check(&self, segments: &Segments, app: &str) -> Result<String, Error> {
        if self.name.trim().is_empty() || self.name.len() > NAME_BYTES {
            let detail = format!("The name has 1 to {NAME_BYTES} bytes.");
            return Err(Error::Body { pointer: "/name", code: "bad_name", detail });
        }
        if !["manual", "daily"].contains(&&*self.refresh) {
            let detail = "The refresh is `manual` or `daily`.".to_owned();
            return Err(Error::Body { pointer: "/refresh", code: "unknown_refresh", detail });
        }
        if self.on_missing.as_ref().is_some_and(|on| OnMissing::from_name(on).is_none()) {
            let detail = "`on_missing` is `last`, `wait` or `skip`.".to_owned();
            return Err(Error::Body { pointer: "/on_missing", code: "unknown_on_missing", detail });
        }
        let rule = parse(segments, self.rule.as_bytes(), "/rule")?;
        let snapshot = snapshot(segments, app)?;
        check(&rule, &SnapshotCatalogue(&snapshot), &segments.caps).map_err(|problems| {
            Error::Rule(problems.into_iter().map(|problem| problem.under("/rule")).collect())
        })?;
        Ok(rule.to_json())
    }
}

pub async fn create(
    segments: &Segments,
    app: &str,
    new: SegmentChange,
    by: &str,
    now: DateTime<Utc>,
) -> Result<Segment, Error> {
    let (rule, new) = checked(segments, app, new).await?;
    let now = now.timestamp_millis();
    let row = SegmentRow {
        id: format!("seg_{}", Ulid::generate()),
        app_id: app.into(),
        name: new.name,
        refresh: new.refresh,
        on_missing: new.on_missing,
        version: 1,
        rule,
        created_at: now,
        updated_at: now,
    };
    store::create(&segments.db, &row, by).await?;
    shown(segments, row).await
}

pub async fn change(
    segments: &Segments,
    (app, id): (&str, &str),
    new: SegmentChange,
    by: &str,
    now: DateTime<Utc>,
) -> Result<Segment, Error> {
    get(segments, app, id).await?;
    let (rule, new) = checked(segments, app, new).await?;
    let to =
        Change { name: &new.name, refresh: &new.refresh, on_missing: new.on_missing.as_deref(), rule: &rule };
    store::change(&segments.db, (app, id), to, by, now).await?;
    get(segments, app, id).await
}

pub async fn get(segments: &Segments, app: &str, id: &str) -> Result<Segment, Error> {
    let row = store::segment(&segments.db, app, id).await?.ok_or(Error::NotFound("such segment"))?;
    shown(segments, row).await
}

/// Checking reads the store, so it gets a thread of its own.
async fn checked(
    segments: &Segments,
    app: &str,
    new: SegmentChange,
) -> Result<(String, SegmentChange), Error> {
    let (segments, app) = (segments.clone(), app.to_owned());
    let check = move || new.check(&segments, &app).map(|rule| (rule, new));
    tokio::task::spawn_blocking(check).await.map_err(|error| Error::Inside(error.to_string()))?
}

/// The row as the API shows it.
pub async fn shown(segments: &Segments, row: SegmentRow) -> Result<Segment, Error> {
    let last_cohort = store::last_cohort(&segments.db, &row.app_id, &row.id).await?;
    let last_cohort = match last_cohort {
        Some(cohort) => Some(cohort.under(floor(segments, &row.app_id).await?)),
        None => None,
    };
    Ok(Segment {
        rule: serde_json::from_str(&row.rule)?,
        created_at: store::time(row.created_at)?,
        updated_at: store::time(row.updated_at)?,
        id: row.id,
        app_id: row.app_id,
        name: row.name,
        refresh: row.refresh,
        on_missing: OnMissing::of(row.on_missing.as_deref()).name(),
        version: row.version,
        last_cohort,
    })
}
