//! What this service does for those who work with rules and cohorts without knowing of it: `wiring.rs` hands it to
//! them. Rules are read, checked and evaluated as segments' are, and sets of users are kept as cohorts.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;

use bytes::Bytes;
use chrono::Utc;
use muster_catalogue::AppSettings;
use muster_days::Ds;
use muster_evaluator::Control;
use muster_http::{Kind, Problem};
use muster_profile_store::{Place, Snapshot};
use muster_rules::{Condition, Freshness, Part, Rule};
use muster_sql::is_unique_violation;
use roaring::RoaringBitmap;
use tokio::sync::mpsc::{Receiver, channel};

use crate::Segments;
use crate::answers::Cohort;
use crate::error::Error;
use crate::operations::{self, Asked, Format, InGroup, Prepared};
use crate::routes::{CHUNKS, find_all, label_days};
use crate::store::{self, NewCohort};
use crate::turns::Turn;

/// Asked at every block: true ends an evaluation.
pub type Stopped = Arc<dyn Fn() -> bool + Send + Sync>;

/// Who a rule holds, on one snapshot of its app.
pub struct Found {
    pub snapshot: Arc<Snapshot>,
    pub ds: Ds,
    /// Users of the rule's universe.
    pub universe: u64,
    /// Ordinals per bucket.
    pub users: Vec<RoaringBitmap>,
    /// Names the exact data it rests on.
    pub inputs: String,
}

/// Users that are to be a cohort.
pub struct Kept {
    /// Beginning with `coh_`; letters, digits and `_`.
    pub id: String,
    /// Whose it is: no segment and no list.
    pub owner: String,
    pub version: u32,
    pub ds: Ds,
    /// Users it was taken from.
    pub universe: u64,
    pub users: Vec<RoaringBitmap>,
}

/// An export on its way.
pub struct OnItsWay {
    /// An error is the last one, and says that the rest is missing.
    pub chunks: Receiver<io::Result<Bytes>>,
    /// Of a file.
    pub extension: &'static str,
    /// `10001=20261101`: the day of each label.
    pub label_days: Vec<String>,
}

impl Segments {
    /// The canonical text of a rule that stands under `prefix` of a request's body. What it names is known, though
    /// a segment or list may have nothing made of it yet.
    pub async fn read_rule(&self, app: &str, text: &[u8], prefix: &str) -> Result<String, Problem> {
        let asked = Asked::read(self, app, text, prefix).await?;
        let (segments, app, prefix) = (self.clone(), app.to_owned(), prefix.to_owned());
        let checked = blocking(move || {
            operations::check_rule(&segments, &app, &asked, &prefix)?;
            Ok(asked.rule.to_json())
        });
        Ok(checked.await?)
    }

    /// Names the exact data that the rule would be evaluated on now.
    pub async fn rule_inputs(&self, app: &str, rule: &str) -> Result<String, Problem> {
        let asked = Asked::read(self, app, rule.as_bytes(), "").await?;
        let (segments, app) = (self.clone(), app.to_owned());
        Ok(blocking(move || Ok(Prepared::open(&segments, &app, &asked, "")?.inputs())).await?)
    }

    /// Who the rule holds now. Takes no turn.
    pub async fn find_users(&self, app: &str, rule: &str, stopped: Stopped) -> Result<Found, Problem> {
        let asked = Asked::read(self, app, rule.as_bytes(), "").await?;
        let (segments, app) = (self.clone(), app.to_owned());
        let found = blocking(move || {
            let prepared = Prepared::open(&segments, &app, &asked, "")?;
            let stopped = || stopped();
            let control = Control { stopped: &stopped, progress: &|_| {} };
            Ok(Found {
                universe: prepared.bound.universe_size(&control)?,
                users: prepared.bound.members(&control)?,
                ds: prepared.as_of(),
                inputs: prepared.inputs(),
                snapshot: prepared.bound.shared_snapshot(),
            })
        });
        Ok(found.await?)
    }

    /// A place in the line before the evaluator.
    pub async fn turn(&self, app: &str, cost: u64) -> Result<Turn, Problem> {
        Ok(self.turns.take(app, cost).await.map_err(Error::from)?)
    }

    /// What the app's catalogue says, also of an app that is disabled.
    pub async fn settings(&self, app: &str) -> Result<AppSettings, Problem> {
        let (store, app) = (self.profiles.clone(), app.to_owned());
        Ok(blocking(move || Ok(store.catalogue(&app)?.settings.clone())).await?)
    }

    /// The data of an app that is not disabled.
    pub async fn snapshot(&self, app: &str) -> Result<Arc<Snapshot>, Problem> {
        let (segments, app) = (self.clone(), app.to_owned());
        Ok(blocking(move || operations::snapshot(&segments, &app)).await?)
    }

    /// The app's data as published by now, also of an app that is disabled; None where it has none.
    pub async fn refreshed(&self, app: &str) -> Result<Option<Arc<Snapshot>>, Problem> {
        Ok(operations::refreshed(self, app).await?)
    }

    /// Whether the user of this place is in a cohort whose row is there.
    pub async fn is_member(&self, app: &str, cohort: &str, place: Place) -> Result<bool, Problem> {
        let (segments, app, cohort) = (self.clone(), app.to_owned(), cohort.to_owned());
        Ok(blocking(move || operations::is_member(&segments, (&app, &cohort), place)).await?)
    }

    /// Ordinals per bucket of the members of a cohort.
    pub async fn cohort_users(&self, app: &str, cohort: &str) -> Result<Vec<RoaringBitmap>, Problem> {
        let (segments, app, cohort) = (self.clone(), app.to_owned(), cohort.to_owned());
        Ok(blocking(move || operations::members(&segments, &app, &cohort)).await?)
    }

    /// The cohort of this id, or the newest of the segment or list of this id, if it may be shown.
    pub async fn newest_cohort(&self, app: &str, id: &str) -> Result<Cohort, Problem> {
        operations::require_served(self, app).await?;
        let found = find_all(self, app, vec![id.to_owned()]).await?;
        let id = found.first().map_or(id, |(_, cohort)| &cohort.id);
        Ok(store::cohort(&self.db, app, id).await?.ok_or(Error::NotFound("such cohort"))?)
    }

    /// The cohorts of a segment or list that are kept, from old to new, each with its day; a cohort by itself.
    pub async fn cohorts_of(&self, app: &str, id: &str) -> Result<Vec<(Ds, String)>, Problem> {
        let named = |prefix: &str| BTreeSet::from_iter(Some(id).filter(|id| id.starts_with(prefix)));
        let made = store::made(&self.db, app, (named("seg_"), named("lst_"))).await?;
        if let Some(cohorts) = made.segments.get(id).or(made.lists.get(id)) {
            return Ok(cohorts.clone());
        }
        let cohort = store::cohort(&self.db, app, id).await?.ok_or_else(|| Error::NoCohort(id.to_owned()))?;
        Ok(vec![(cohort.ds, cohort.id)])
    }

    /// Users' ids, one set after the other, each with its group if it has one; and what they carry of the labels on
    /// the day. `format` is `ndjson`, `csv` or `parquet`.
    pub async fn export_users(
        &self,
        app: &str,
        users: Vec<InGroup>,
        format: &str,
        (labels, ds): (Vec<String>, Ds),
    ) -> Result<OnItsWay, Problem> {
        let format: Format = format.parse().map_err(|()| {
            let problem =
                Problem::new(Kind::Invalid, "invalid_body", "The format is `ndjson`, `csv` or `parquet`.");
            problem.with_fault("/format", "unknown_format", None)
        })?;
        let (segments, app) = (self.clone(), app.to_owned());
        let opened =
            blocking(move || operations::export_users(&segments, &app, &users, format, (labels, ds)));
        let export = opened.await?;
        let label_days = label_days(&export);
        let (to, chunks) = channel(CHUNKS);
        tokio::task::spawn_blocking(move || export.run(&to));
        Ok(OnItsWay { chunks, extension: format.extension(), label_days })
    }

    /// Done again for the same id it changes nothing.
    pub async fn keep_users(&self, app: &str, kept: Kept) -> Result<(), Problem> {
        let (segments, app) = (self.clone(), app.to_owned());
        let row = blocking(move || write(&segments, &app, &kept)).await?;
        match store::insert_cohort(&self.db, &row).await {
            Err(Error::Sql(error)) if is_unique_violation(&error) => Ok(()),
            inserted => Ok(inserted?),
        }
    }

    /// What `owner`, an experiment or what is followed, needs from now on: everything that the rule names, and the
    /// cohort. Segments and lists that an experiment needs can't be deleted, and no cohort that is needed goes by itself.
    pub async fn claim(
        &self,
        app: &str,
        owner: &str,
        (rule, cohort): (Option<&str>, Option<&str>),
    ) -> Result<(), Problem> {
        let named = rule.map(operations::named_in).into_iter().flatten();
        let targets = named.chain(cohort.map(str::to_owned)).collect();
        Ok(store::put_claims(&self.db, app, owner, &targets).await?)
    }

    /// App and owner of everything that is claimed.
    pub async fn claimants(&self) -> Result<Vec<(String, String)>, Problem> {
        Ok(store::claimants(&self.db).await?)
    }

    /// Removes what was kept for an owner; nothing of it where a rule or an experiment needs any.
    pub async fn forget_all(&self, app: &str, owner: &str) -> Result<(), Problem> {
        let mut needed = store::cohorts_in_rules(&self.db, app).await?;
        needed.append(&mut store::claimed_by_experiments(&self.db, app).await?);
        let kept = store::cohorts_up_to(&self.db, app, (owner, u32::MAX >> 1)).await?;
        let cohorts: Vec<String> = kept.iter().filter(|id| needed.contains(*id)).cloned().collect();
        if !cohorts.is_empty() {
            let detail = "Segments or experiments use cohorts of it; change, stop or delete these first.";
            return Err(Problem::new(Kind::Conflict, "cohort_in_use", detail).with("cohorts", cohorts));
        }
        self.remove(app, kept).await
    }

    /// Removes of what was kept for an owner what is asked for, unless it is needed.
    pub async fn forget_some(
        &self,
        app: &str,
        owner: &str,
        asked: impl Fn(&str) -> bool,
    ) -> Result<(), Problem> {
        let kept = store::cohorts_up_to(&self.db, app, (owner, u32::MAX >> 1)).await?;
        let old: Vec<String> = kept.into_iter().filter(|id| asked(id)).collect();
        if old.is_empty() {
            return Ok(());
        }
        let needed = operations::cohorts_needed(self, app).await?;
        self.remove(app, old.into_iter().filter(|id| !needed.contains(id)).collect()).await
    }

    async fn remove(&self, app: &str, cohorts: Vec<String>) -> Result<(), Problem> {
        for cohort in cohorts {
            if store::remove_cohort(&self.db, app, &cohort).await? {
                operations::remove_file(self, app, cohort).await?;
            }
        }
        Ok(())
    }
}

/// Writes the file and answers the row that makes it visible. Its rule is itself: nothing else tells who is in it.
fn write(segments: &Segments, app: &str, kept: &Kept) -> Result<NewCohort, Error> {
    let snapshot = operations::snapshot(segments, app)?;
    let (id, ds) = (kept.id.clone(), kept.ds);
    segments.profiles.write_cohort(app, &id, ds, &kept.users)?;
    let root = Condition::Cohort(id.clone());
    let rule = Rule { universe: "all".to_owned(), as_of: Some(ds), root };
    let (from, to, missing_days) = (None, None, Vec::new());
    let pointer = "/where".to_owned();
    let freshness =
        Freshness { pointer, kind: Part::Cohort, name: id.clone(), ds: Some(ds), from, to, missing_days };
    Ok(NewCohort {
        app_id: app.to_owned(),
        segment_id: kept.owner.clone(),
        segment_version: kept.version,
        job_id: id.clone(),
        ds: ds.number(),
        size: kept.users.iter().map(RoaringBitmap::len).sum::<u64>() as i64,
        universe_size: kept.universe as i64,
        hash: crate::hash::of_members(snapshot.directory(), &kept.users)?,
        rule: rule.to_json(),
        freshness: serde_json::to_string(&[freshness])?,
        inputs: operations::inputs(&operations::plan_of(&id, ds), snapshot.manifest()),
        created_at: Utc::now().timestamp_millis(),
        id,
    })
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Inside(error.to_string()))?
}
