//! Lists of users by their ids: kept, filled and shown.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use muster_catalogue::Floor;
use muster_days::{Ds, Tz};
use muster_evaluator::SnapshotCatalogue;
use muster_profile_store::Snapshot;
use muster_rules::{Catalogue, Condition, Freshness, Part, Rule};
use roaring::RoaringBitmap;
use ulid::Ulid;

use super::floor::floor;
use super::name::check_name;
use super::served::snapshot;
use super::upload::{self, Upload, UploadFormat};
use crate::Segments;
use crate::answers::{ListVersion, UserList};
use crate::error::Error;
use crate::hash;
use crate::store::{self, ListRow, ListVersionRow, NewCohort};

/// Cohorts of a list that are kept, the newest and those before it.
const KEPT: u32 = 30;
/// Somebody is bound to win a race for a version within this many rounds.
const ROUNDS: usize = 20;

/// What an upload does to a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    Add,
    Remove,
    Replace,
}

impl Mode {
    pub fn from_name(name: &str) -> Option<Mode> {
        [Mode::Add, Mode::Remove, Mode::Replace].into_iter().find(|mode| mode.name() == name)
    }

    fn name(self) -> &'static str {
        match self {
            Mode::Add => "add",
            Mode::Remove => "remove",
            Mode::Replace => "replace",
        }
    }

    /// What is on the list afterwards.
    fn apply(self, before: &[RoaringBitmap], users: &[RoaringBitmap]) -> Vec<RoaringBitmap> {
        let each = before.iter().zip(users).map(|(before, users)| match self {
            Mode::Add => before | users,
            Mode::Remove => before - users,
            Mode::Replace => users.clone(),
        });
        each.collect()
    }
}

/// What is uploaded to which list.
#[derive(Clone)]
pub struct Filling {
    pub app: String,
    pub list: String,
    pub mode: Mode,
    pub format: UploadFormat,
    /// Share of rows, 0 to 1, that may be no ids before nothing of the upload counts.
    pub reject_limit: f64,
    pub by: String,
}

pub async fn create_list(
    segments: &Segments,
    app: &str,
    name: String,
    now: DateTime<Utc>,
) -> Result<UserList, Error> {
    check_name(&name)?;
    super::require_served(segments, app).await?;
    let (id, now) = (format!("lst_{}", Ulid::generate()), now.timestamp_millis());
    let row = ListRow { id, app_id: app.into(), name, created_at: now, updated_at: now };
    store::create_list(&segments.db, &row).await?;
    shown_list(segments, row).await
}

pub async fn rename_list(
    segments: &Segments,
    (app, id): (&str, &str),
    name: &str,
    now: DateTime<Utc>,
) -> Result<UserList, Error> {
    check_name(name)?;
    let id = list(segments, app, id).await?.id;
    store::rename_list(&segments.db, app, (&id, name), now).await?;
    show_list(segments, app, &id).await
}

pub async fn show_list(segments: &Segments, app: &str, id: &str) -> Result<UserList, Error> {
    shown_list(segments, list(segments, app, id).await?).await
}

pub async fn list(segments: &Segments, app: &str, id: &str) -> Result<ListRow, Error> {
    store::list(&segments.db, app, id).await?.ok_or(Error::NotFound("such list"))
}

/// Deletes the list, and its cohorts unless they are needed. False when there is no such list any more.
pub async fn delete_list(
    segments: &Segments,
    app: &str,
    id: &str,
    now: DateTime<Utc>,
) -> Result<bool, Error> {
    if !store::delete_list(&segments.db, app, id, now).await? {
        return Ok(false);
    }
    // What can't be removed now is when the service sweeps up.
    if let Err(error) = forget_deleted(segments, app).await {
        tracing::warn!(app, %error, "cohorts of a deleted list are removed later");
    }
    Ok(true)
}

/// Removes the cohorts of lists that are deleted, unless they are needed.
pub async fn forget_deleted(segments: &Segments, app: &str) -> Result<(), Error> {
    let cohorts = store::cohorts_of_deleted_lists(&segments.db, app).await?;
    remove_unneeded(segments, app, cohorts).await
}

/// Removes the cohorts of a list that are too old to be kept now that `version` is there, unless they are needed.
async fn forget(segments: &Segments, filling: &Filling, version: u32) -> Result<(), Error> {
    let Some(newest) = version.checked_sub(KEPT) else { return Ok(()) };
    let old = store::cohorts_up_to(&segments.db, &filling.app, (&filling.list, newest)).await?;
    remove_unneeded(segments, &filling.app, old).await
}

async fn remove_unneeded(segments: &Segments, app: &str, cohorts: Vec<String>) -> Result<(), Error> {
    if cohorts.is_empty() {
        return Ok(());
    }
    let needed = super::cohorts_needed(segments, app).await?;
    for cohort in cohorts.into_iter().filter(|cohort| !needed.contains(cohort)) {
        if store::remove_cohort(&segments.db, app, &cohort).await? {
            super::remove_file(segments, app, cohort).await?;
        }
    }
    Ok(())
}

/// Reads the body to its end on a thread of its own; nothing shows until `fill` is told of it.
pub fn read_upload(segments: &Segments, filling: &Filling, body: impl Read) -> Result<Upload, Error> {
    let snapshot = snapshot(segments, &filling.app)?;
    let upload = upload::read(&snapshot, filling.format, body)?;
    let refused = upload.rejected as f64 > filling.reject_limit * upload.rows as f64;
    let known = upload.users.iter().any(|users| !users.is_empty());
    if filling.mode == Mode::Replace && upload.rows > 0 && !refused && !known {
        let detail = format!("Of {} rows none names a user of the app. Is this the right file?", upload.rows);
        return Err(Error::Upload { code: "no_known_users", detail });
    }
    if refused || upload.rows == 0 {
        let detail = match upload.rows {
            0 => "The body holds no ids.".to_owned(),
            rows => format!(
                "{} of {rows} rows hold no id of a user; up to a share of {} is let pass. The first is line {}.",
                upload.rejected,
                filling.reject_limit,
                first_rejected(&upload.report),
            ),
        };
        let code = if upload.rows == 0 { "no_users" } else { "reject_limit_exceeded" };
        return Err(Error::Upload { code, detail });
    }
    Ok(upload)
}

fn first_rejected(report: &[u8]) -> String {
    let lines = report.split(|byte| *byte == b'\n').map(String::from_utf8_lossy);
    let rejected = lines.skip(1).find(|line| !line.ends_with(",unknown")).unwrap_or_default();
    rejected.replacen(",,", ": ", 1)
}

/// Makes the next version of the list. Of two uploads at once the second takes the first into account.
pub async fn fill(
    segments: &Segments,
    filling: &Filling,
    upload: Upload,
    now: DateTime<Utc>,
) -> Result<ListVersion, Error> {
    let upload = Arc::new(upload);
    for _ in 0..ROUNDS {
        let before = store::newest_version(&segments.db, &filling.app, &filling.list).await?;
        let (worker, order, upload) = (segments.clone(), filling.clone(), upload.clone());
        let made = tokio::task::spawn_blocking(move || next(&worker, &order, before, &upload, now)).await;
        let (version, cohort) = made.map_err(|error| Error::Inside(error.to_string()))??;
        // Where it can't be told whether the version is there, its file stays: it is swept up when it is not.
        if store::put_version(&segments.db, &version, &cohort).await? {
            if let Err(error) = forget(segments, filling, version.version).await {
                tracing::warn!(list = filling.list, %error, "old versions are removed with the next upload");
            }
            let kept = BTreeSet::from([version.cohort_id.clone()]);
            return shown_version(version, floor(segments, &filling.app).await?, &kept);
        }
        super::remove_file(segments, &filling.app, cohort.id).await?;
    }
    Err(Error::Inside(format!("list {} was filled by others again and again", filling.list)))
}

/// Writes the files of the version behind `before`.
fn next(
    segments: &Segments,
    filling: &Filling,
    before: Option<ListVersionRow>,
    upload: &Upload,
    now: DateTime<Utc>,
) -> Result<(ListVersionRow, NewCohort), Error> {
    // It has to know every user that an upload before this one has put on the list.
    segments.profiles.refresh(&filling.app)?;
    let snapshot = snapshot(segments, &filling.app)?;
    let (app, id) = (&filling.app, format!("coh_{}", Ulid::generate()));
    let version = before.as_ref().map_or(1, |before| before.version + 1);
    let members_before = match &before {
        Some(before) => super::members(segments, app, &before.cohort_id)?,
        None => vec![RoaringBitmap::new(); upload.users.len()],
    };
    let users = filling.mode.apply(&members_before, &upload.users);
    let count = |sets: &[RoaringBitmap]| sets.iter().map(RoaringBitmap::len).sum::<u64>();
    let stayed: u64 =
        members_before.iter().zip(&users).map(|(before, after)| before.intersection_len(after)).sum();
    let size = count(&users);
    if !upload.report.is_empty() {
        segments.profiles.write_cohort_report(app, &id, &upload.report)?;
    }
    let ds = SnapshotCatalogue::new(&snapshot).newest().or_else(|| Ds::of(now, Tz::UTC));
    let ds = ds.ok_or_else(|| Error::Inside(format!("{now} is on no day")))?;
    segments.profiles.write_cohort(app, &id, ds, &users)?;
    let row = ListVersionRow {
        list_id: filling.list.clone(),
        version,
        app_id: app.clone(),
        upload: filling.mode.name().to_owned(),
        cohort_id: id.clone(),
        rows_read: upload.rows as i64,
        rows_rejected: upload.rejected as i64,
        rows_repeated: upload.repeated as i64,
        unknown_users: upload.unknown as i64,
        ds: ds.number(),
        users: size as i64,
        app_users: snapshot.directory().users() as i64,
        entered: (size - stayed) as i64,
        gone: (count(&members_before) - stayed) as i64,
        created_by: filling.by.clone(),
        created_at: now.timestamp_millis(),
    };
    let cohort = cohort(&snapshot, &row, ds, &users)?;
    Ok((row, cohort))
}

fn cohort(
    snapshot: &Snapshot,
    version: &ListVersionRow,
    ds: Ds,
    users: &[RoaringBitmap],
) -> Result<NewCohort, Error> {
    let rule =
        Rule { universe: "all".to_owned(), as_of: Some(ds), root: Condition::List(version.list_id.clone()) };
    let freshness = Freshness {
        pointer: "/where".to_owned(),
        kind: Part::List,
        name: version.list_id.clone(),
        ds: Some(ds),
        from: None,
        to: None,
        missing_days: Vec::new(),
    };
    let plan = super::profile::plan_of(&version.cohort_id, ds);
    Ok(NewCohort {
        id: version.cohort_id.clone(),
        app_id: version.app_id.clone(),
        segment_id: version.list_id.clone(),
        segment_version: version.version,
        job_id: format!("{}.{}", version.list_id, version.version),
        ds: ds.number(),
        size: version.users,
        universe_size: version.app_users,
        hash: hash::of_members(snapshot.directory(), users)?,
        rule: rule.to_json(),
        freshness: serde_json::to_string(&[freshness])?,
        inputs: super::prepare::inputs(&plan, snapshot.manifest()),
        created_at: version.created_at,
    })
}

/// The rows as the API shows them.
pub async fn shown_lists(segments: &Segments, app: &str, rows: Vec<ListRow>) -> Result<Vec<UserList>, Error> {
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let newest = store::newest_versions(&segments.db, app, &ids).await?;
    let lists: Vec<String> = newest.keys().cloned().collect();
    let versions = shown_versions(segments, app, newest.into_values().collect()).await?;
    let mut newest: BTreeMap<String, ListVersion> = lists.into_iter().zip(versions).collect();
    let shown = rows.into_iter().map(|row| {
        Ok(UserList {
            created_at: store::time(row.created_at)?,
            updated_at: store::time(row.updated_at)?,
            newest: newest.remove(&row.id),
            id: row.id,
            app_id: row.app_id,
            name: row.name,
        })
    });
    shown.collect()
}

pub async fn shown_versions(
    segments: &Segments,
    app: &str,
    rows: Vec<ListVersionRow>,
) -> Result<Vec<ListVersion>, Error> {
    let ids: BTreeSet<&str> = rows.iter().map(|row| row.cohort_id.as_str()).collect();
    let kept = match ids.is_empty() {
        true => BTreeSet::new(),
        false => store::shown_of(&segments.db, app, &ids).await?,
    };
    let floor = floor(segments, app).await?;
    rows.into_iter().map(|row| shown_version(row, floor, &kept)).collect()
}

async fn shown_list(segments: &Segments, row: ListRow) -> Result<UserList, Error> {
    let app = row.app_id.clone();
    let shown = shown_lists(segments, &app, vec![row]).await?.pop();
    shown.ok_or(Error::NotFound("such list"))
}

fn shown_version(row: ListVersionRow, floor: Floor, kept: &BTreeSet<String>) -> Result<ListVersion, Error> {
    let users = floor.shown(row.users as u64, row.app_users as u64);
    let few = |users: i64| floor.is_few(users as u64);
    // Those who stayed tell both, with the sizes of the two.
    let told = users.is_some() && !few(row.entered) && !few(row.gone) && !few(row.users - row.entered);
    let reported = row.unknown_users + row.rows_rejected > 0 && kept.contains(&row.cohort_id);
    let report = format!("/v1/apps/{}/lists/{}/versions/{}/report", row.app_id, row.list_id, row.version);
    Ok(ListVersion {
        version: row.version,
        upload: row.upload,
        ds: Ds::from_number(row.ds.into()).map_err(|error| Error::Inside(error.to_string()))?,
        users,
        entered: told.then_some(row.entered as u64),
        left: told.then_some(row.gone as u64),
        report_url: reported.then_some(report),
        cohort_id: row.cohort_id,
        rows_read: row.rows_read as u64,
        rows_rejected: row.rows_rejected as u64,
        rows_repeated: row.rows_repeated as u64,
        // With the other counts it is what tells how many are on the list.
        unknown_users: users.map(|_| row.unknown_users as u64),
        created_by: row.created_by,
        created_at: store::time(row.created_at)?,
    })
}
