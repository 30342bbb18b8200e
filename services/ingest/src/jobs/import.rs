//! The import job: reads the uploaded file, refuses bad rows, and publishes the rest.

use std::collections::BTreeSet;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use muster_jobs::{Failure, Handler, Jobs, Priority, Run};
use muster_profile_store::{Store, StoreError};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::follow_up::follow_up;
use super::take_in::TAKE_IN;
use crate::aside;
use crate::build::{BuildError, Watch, build};
use crate::catalogues::Catalogues;
use crate::folder::ImportFolder;
use crate::formats::{self, Counts, Format, Intake, Kind, ReadError, Source};
use crate::instruments;
use crate::operations::ask;
use crate::rejects::{RejectLimit, RejectReport};
use crate::settings::Settings;
use crate::staging::{Staged, Staging};

pub const IMPORT: &str = "import";

/// Reading is about this share of an import's work, building the rest.
const READING: f64 = 0.5;

/// Stored in the job's row: extend it, and keep reading old ones.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ImportPayload {
    /// `labels`, `behavior` or `events`.
    pub kind: String,
    /// `csv`, `parquet` or `ndjson`.
    pub format: String,
    /// Declared as gzip.
    pub gzip: bool,
    /// What the sender calls the file, for the reject report.
    pub file: String,
    pub reject_limit: f64,
    /// The apps whose rows may come in; None for all.
    pub apps: Option<BTreeSet<String>>,
}

pub struct ImportHandler {
    pub store: Arc<Store>,
    pub jobs: Jobs,
    pub settings: Settings,
}

#[async_trait]
impl Handler for ImportHandler {
    fn kind(&self) -> &'static str {
        IMPORT
    }

    fn concurrency(&self) -> usize {
        self.settings.concurrency
    }

    async fn run(&self, run: &Run) -> Result<Value, Failure> {
        let payload: ImportPayload = run.payload()?;
        let import = Import {
            store: self.store.clone(),
            jobs: self.jobs.clone(),
            settings: self.settings.clone(),
            folder: ImportFolder::of(&self.settings.folder, &run.job.id)
                .ok_or_else(|| Failure::new("bad_payload", "the job's id names no import"))?,
            payload,
            began: run.job.created_at,
            run: run.clone(),
            only: None,
        };
        let folder = import.folder.clone();
        let result = tokio::task::spawn_blocking(move || import.run()).await.map_err(Failure::internal)?;
        if !matches!(&result, Err(failure) if failure.retry) {
            folder.drop_body();
        }
        result
    }
}

pub(super) struct Import {
    pub store: Arc<Store>,
    pub jobs: Jobs,
    pub settings: Settings,
    pub folder: ImportFolder,
    pub payload: ImportPayload,
    pub run: Run,
    /// When the file came.
    pub began: DateTime<Utc>,
    /// The only app whose rows are wanted, where not all are.
    pub only: Option<String>,
}

impl Import {
    pub fn run(self) -> Result<Value, Failure> {
        let (counts, staged) = self.read()?;
        let rejected = staged.rejected;
        let mut result = json!({
            "rows_read": counts.read,
            "rows_published": 0,
            "rows_rejected": rejected,
            "rejects_url": (rejected > 0).then(|| format!("/v1/imports/{}/rejects", self.run.job.id)),
        });
        let limit = RejectLimit::new(self.payload.reject_limit)
            .map_err(|error| Failure::new("bad_payload", error.to_string()))?;
        if limit.exceeded(rejected, counts.read) {
            let detail = format!(
                "{rejected} of {} rows were refused, more than the limit of {} %: nothing is published. Mend the rows that the reject report lists, or import with a higher `reject_limit`.",
                counts.read,
                limit.share() * 100.0
            );
            return Err(Failure::new("reject_limit_exceeded", detail)
                .with_extra(result.clone())
                .with_result(result));
        }
        let aside = self.set_aside(&staged)?;
        let (apps, set_aside) = (staged.apps.len() - aside.len(), staged.rows_aside);
        let parts = staged.parts.len();
        let mut shown = Vec::new();
        let built = self.build(staged, &mut shown);
        let runtime = tokio::runtime::Handle::current();
        for app in &shown {
            runtime.block_on(follow_up(&self.jobs, &self.settings, &self.run, app))?;
        }
        if let Err(failure) = built {
            result["apps_published"] = json!(shown);
            return Err(failure.with_result(result));
        }
        let published = counts.read - rejected - set_aside;
        instruments::rows(&self.payload.kind, published, rejected);
        result["rows_published"] = published.into();
        result["apps"] = apps.into();
        result["parts"] = parts.into();
        if !aside.is_empty() {
            result["rows_set_aside"] = set_aside.into();
            result["apps_set_aside"] = json!(aside);
        }
        Ok(result)
    }

    fn wants(&self, app: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == app)
    }

    /// Keeps the file for the apps that nothing is built for, or that have older files waiting, and names them.
    fn set_aside(&self, staged: &Staged) -> Result<BTreeSet<String>, Failure> {
        // A file that is taken in is kept already, and stays so.
        if self.only.is_some() {
            return Ok(staged.aside.clone());
        }
        let runtime = tokio::runtime::Handle::current();
        for app in &staged.aside {
            let (id, body) = (&self.run.job.id, self.folder.body());
            aside::keep(&self.settings, app, id, self.began, &self.payload, &body)
                .map_err(Failure::internal)?;
            // It may have been enabled while the rows were read, or those before it taken in: then whoever
            // did so did not see this one.
            let own = self.store.catalogue(app).map_err(Failure::internal)?.settings;
            if self.settings.builds(&own) {
                let owner = &self.run.job.owner;
                let job = ask(&self.jobs, TAKE_IN, app, owner, Priority::Routine);
                runtime.block_on(job).map_err(Failure::internal)?;
            }
        }
        Ok(staged.aside.clone())
    }

    /// Reads the file to its end and writes the whole reject report.
    fn read(&self) -> Result<(Counts, Staged), Failure> {
        let payload = &self.payload;
        let (kind, format) = (payload.kind.parse::<Kind>(), format_of(&payload.format));
        let (Ok(kind), Some(format)) = (kind, format) else {
            return Err(Failure::new("bad_payload", "the job names no known kind or format"));
        };
        let body = self.folder.body();
        let bytes = fs::metadata(&body).map_err(Failure::internal)?.len().max(1);
        let spill = self.folder.fresh_spill().map_err(Failure::internal)?;
        let report = RejectReport::create(&self.folder.rejects(), &payload.file, false);
        let report = report.map_err(Failure::internal)?;
        let consumed = AtomicU64::new(0);
        let stopped = || {
            self.run.progress(READING * consumed.load(Ordering::Relaxed) as f64 / bytes as f64);
            self.run.stopped()
        };
        let catalogues = Catalogues::new(&self.store, &self.settings, self.began);
        let unwanted = |app: &str| !self.wants(app) || !catalogues.builds(app);
        let staging = Staging::new(&self.store, &spill, self.settings.memory, report);
        // What is newer than files that are not taken in yet would be overwritten by them: it waits behind.
        let behind = |app: &str| unwanted(app) || (self.only.is_none() && catalogues.waits(app));
        let mut staging = staging.without(&behind);
        let intake = Intake {
            allowed: &|app| payload.apps.as_ref().is_none_or(|apps| apps.contains(app)),
            takes_label: &|app, label| catalogues.takes_label(app, label),
            zone_of: &|app| catalogues.zone_of(app),
            last_day: &|app| catalogues.last_day(app),
            stopped: &stopped,
            consumed: &consumed,
            scratch: &spill,
        };
        let source = Source { path: &body, format, gzip: payload.gzip };
        let counts = match kind {
            Kind::Labels => formats::read_labels(&source, &intake, &mut staging),
            Kind::Behavior => formats::read_behavior(&source, &intake, &mut staging),
            Kind::Events => formats::read_events(&source, &intake, &mut staging),
        };
        let counts = counts.map_err(read_failed)?;
        let staged = staging.finish().map_err(Failure::internal)?;
        catalogues.finish().map_err(Failure::internal)?;
        Ok((counts, staged))
    }

    /// `shown` tells which apps were published, those before a failure too.
    fn build(&self, staged: Staged, shown: &mut Vec<String>) -> Result<(), Failure> {
        let runtime = tokio::runtime::Handle::current();
        let watch = Watch {
            stopped: &|| self.run.stopped(),
            // Asked of the job's row itself: a job that was just cancelled shows nothing more.
            may_publish: &|| runtime.block_on(self.run.still_mine()).unwrap_or(false),
            progress: &|share| self.run.progress(READING + (1.0 - READING) * share),
            now_ms: &|| chrono::Utc::now().timestamp_millis(),
        };
        // Threads of its own: estimates on the process's pool must not wait for a build.
        let pool = rayon::ThreadPoolBuilder::new().build().map_err(Failure::internal)?;
        pool.install(|| build(&self.store, staged, &watch, shown)).map_err(|error| match error {
            BuildError::Stopped => Failure::stopped(),
            BuildError::Store(error @ StoreError::TooLarge { .. }) => {
                Failure::new("sum_too_large", error.to_string())
            }
            BuildError::Store(StoreError::Full(what)) => Failure::new("store_full", what),
            error => Failure::internal(error),
        })
    }
}

fn format_of(name: &str) -> Option<Format> {
    [Format::Csv, Format::Parquet, Format::Ndjson].into_iter().find(|&format| format_name(format) == name)
}

/// As stored in the payload.
pub fn format_name(format: Format) -> &'static str {
    match format {
        Format::Csv => "csv",
        Format::Parquet => "parquet",
        Format::Ndjson => "ndjson",
    }
}

/// A file that can't be read as a whole stays so; trouble with the disk may pass.
fn read_failed(error: ReadError) -> Failure {
    match error {
        ReadError::Stopped => Failure::stopped(),
        ReadError::Io(_) | ReadError::Sink(_) => Failure::internal(error),
        error => Failure::new(error.code(), format!("{error}: nothing of the file is published")),
    }
}
