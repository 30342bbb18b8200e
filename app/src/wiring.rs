//! The one place that names every service. Adding a service is a line in [`Parts::services`] and one in
//! [`Parts::handlers`].

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::sync::Arc;

use anyhow::Context;
use chrono::TimeDelta;
use muster_catalogue::Kind;
use muster_cohorts::Cohorts;
use muster_gateway::{AppUsers, Away, Ready};
use muster_http::Service;
use muster_jobs::{Handler, Jobs};
use muster_labels::Labels;
use muster_metrics::Metrics;
use muster_profile_store::Store;
use muster_rules::Caps;
use muster_segments::{Segments, Turns};
use muster_sql::Db;

use crate::audiences::OfSegments;
use crate::config::{Config, Role, ServicesConfig};

/// What the services of one process share.
pub struct Parts {
    pub db: Db,
    pub jobs: Jobs,
    store: Arc<Store>,
    labels: Labels,
    segments: Segments,
    metrics: Metrics,
    cohorts: Cohorts,
    ingest: muster_ingest::Settings,
}

impl Parts {
    /// Opens everything in the data folder, making what is missing.
    pub async fn open(config: &Config) -> anyhow::Result<Parts> {
        let data = &config.data;
        // What an import has published changes the profiles of its apps.
        let follow_up = vec![muster_metrics::METRICS];
        // Those that count come behind those that correct.
        let erase_elsewhere = vec![
            muster_segments::CLEAR,
            muster_cohorts::CLEAR,
            muster_cohorts::TRACKING,
            muster_metrics::METRICS,
        ];
        let ingest = muster_ingest::Settings { follow_up, erase_elsewhere, ..config.ingest_settings()? };
        for folder in [data, &ingest.folder] {
            // It holds user ids and the hashes of keys: nobody else's to read.
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(folder)
                .with_context(|| format!("can't make {}", folder.display()))?;
        }
        let db = open_database(config).await?;
        let jobs = Jobs::new(db.clone(), &config.queue_at()?, config.job_settings()).await?;
        let store = data.join("store");
        let store = Arc::new(match config.bucket() {
            Some(bucket) => Store::open_bucket(&bucket, &store)?,
            None => Store::open(&store)?,
        });
        let segments = Segments {
            db: db.clone(),
            jobs: jobs.clone(),
            profiles: store.clone(),
            caps: Caps::default(),
            start_disabled: config.ingest.start_disabled,
            concurrency: config.segments.concurrency,
            turns: Turns::new(config.evaluations(), config.segments.waiting),
            routine: config.routine_settings()?,
            open: Arc::default(),
        };
        let metrics = Metrics::new(db.clone(), jobs.clone(), store.clone(), config.metrics_settings());
        // Base crowds of an app's own, and what its events count as, change its profile too; an app that is
        // enabled gets what was kept aside for it.
        let follow_up = vec![
            (Kind::BaseCrowd, muster_metrics::METRICS),
            (Kind::Event, muster_metrics::METRICS),
            (Kind::Settings, muster_ingest::TAKE_IN),
        ];
        let labels = Labels { db: db.clone(), jobs: jobs.clone(), profiles: store.clone(), follow_up };
        let cohorts = Cohorts {
            db: db.clone(),
            jobs: jobs.clone(),
            audiences: Arc::new(OfSegments(segments.clone())),
            destinations: Arc::new(config.destinations()?),
            kept: Some(config.deliveries.kept_days)
                .filter(|days| *days > 0)
                .map(|days| TimeDelta::days(days.into())),
            zone: ingest.zone,
            zones: ingest.zones.clone(),
        };
        Ok(Parts { db, jobs, store, labels, segments, metrics, cohorts, ingest })
    }

    /// The faces of the roles that run in this process.
    pub fn services(&self, config: &Config) -> Vec<Service> {
        let mut services = Vec::new();
        if config.has(Role::Labels) {
            services.push(muster_labels::service(self.labels.clone()));
        }
        if config.has(Role::Ingest) {
            services.push(muster_ingest::service(
                self.store.clone(),
                self.db.clone(),
                self.jobs.clone(),
                self.ingest.clone(),
            ));
        }
        if config.has(Role::Segments) {
            services.push(muster_segments::service(self.segments.clone()));
        }
        if config.has(Role::Metrics) {
            services.push(muster_metrics::service(self.metrics.clone()));
        }
        if config.has(Role::Cohorts) {
            services.push(muster_cohorts::service(self.cohorts.clone()));
        }
        services
    }

    /// The roles that run in other processes, if anywhere.
    pub fn away(config: &Config) -> Vec<Away> {
        let ServicesConfig { labels, ingest, segments, metrics, cohorts, .. } = config.services.clone();
        let all = [
            (Role::Labels, "labels", muster_labels::openapi(), labels),
            (Role::Ingest, "ingest", muster_ingest::openapi(), ingest),
            (Role::Segments, "segments", muster_segments::openapi(), segments),
            (Role::Metrics, "metrics", muster_metrics::openapi(), metrics),
            (Role::Cohorts, "cohorts", muster_cohorts::openapi(), cohorts),
        ];
        let elsewhere = all.into_iter().filter(|(role, ..)| !config.has(*role));
        elsewhere.map(|(_, name, openapi, instances)| Away { name, openapi, instances }).collect()
    }

    /// How many users an app has, from what is published.
    pub fn users(&self) -> AppUsers {
        let store = self.store.clone();
        Arc::new(move |app| {
            let store = store.clone();
            Box::pin(async move {
                let looked = tokio::task::spawn_blocking(move || store.users(&app)).await;
                looked.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
            })
        })
    }

    /// What this process needs to do its work. The queue is not among it: without it jobs run later, from
    /// their rows.
    pub fn ready(&self) -> Vec<(&'static str, Ready)> {
        let (db, store) = (self.db.clone(), self.store.clone());
        let database: Ready = Arc::new(move || {
            let db = db.clone();
            Box::pin(async move { db.ping().await.map_err(|error| error.to_string()) })
        });
        let store: Ready = Arc::new(move || {
            let store = store.clone();
            Box::pin(async move {
                let looked = tokio::task::spawn_blocking(move || store.ping()).await;
                looked.map_err(|error| error.to_string())?.map_err(|error| error.to_string())
            })
        });
        vec![("database", database), ("store", store)]
    }

    /// The jobs that this process runs.
    pub fn handlers(&self, config: &Config) -> Vec<Arc<dyn Handler>> {
        let mut handlers = Vec::new();
        if config.has(Role::Ingest) {
            handlers.extend(muster_ingest::handlers(
                self.store.clone(),
                self.db.clone(),
                self.jobs.clone(),
                self.ingest.clone(),
            ));
        }
        if config.has(Role::Segments) {
            handlers.extend(muster_segments::handlers(self.segments.clone()));
        }
        if config.has(Role::Metrics) {
            handlers.extend(muster_metrics::handlers(self.metrics.clone()));
        }
        if config.has(Role::Cohorts) {
            handlers.extend(muster_cohorts::handlers(self.cohorts.clone()));
        }
        handlers
    }

    /// Puts in order what a process left behind that was killed.
    pub async fn sweep(&self, config: &Config, now: std::time::SystemTime) -> anyhow::Result<()> {
        if config.has(Role::Labels)
            && let Err(error) = muster_labels::show_pending(&self.labels).await
        {
            // It is tried again when a catalogue is read or changed.
            tracing::warn!(%error, "the newest catalogues are not shown yet");
        }
        Ok(muster_ingest::sweep_folders(&self.ingest, &self.jobs, now).await?)
    }

    /// What the role segments looks for again and again; it never ends.
    pub fn daily(&self) -> impl Future<Output = ()> + use<> {
        muster_segments::daily(self.segments.clone())
    }

    /// What the role cohorts looks for again and again; it never ends.
    pub fn follow(&self) -> impl Future<Output = ()> + use<> {
        muster_cohorts::follow(self.cohorts.clone())
    }

    /// What the role ingest does once a day; it never ends.
    pub fn every_day(&self) -> impl Future<Output = ()> + use<> {
        muster_ingest::every_day(self.store.clone(), self.db.clone(), self.jobs.clone(), self.ingest.clone())
    }

    pub async fn close(&self) {
        self.jobs.close().await;
        self.db.close().await;
    }
}

/// The database that the configuration names: a server, or a file in the data folder.
pub async fn open_database(config: &Config) -> anyhow::Result<Db> {
    let opened = match config.server()? {
        Some(server) => Db::connect(&server).await,
        None => Db::open(&config.data.join("muster.db")).await,
    };
    opened.context("can't open the database")
}
