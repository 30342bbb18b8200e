//! The metrics service: works out, as data are published, how the users of the whole app and of each base
//! crowd spread over the tags of every label, keeps that in SQL, and serves it.
//!
//! It owns the tables whose names begin with `metric_`.

mod answers;
mod cache;
mod crowd_answers;
mod error;
mod event_answers;
mod instruments;
mod jobs;
mod operations;
mod routes;
mod store;

use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use muster_catalogue::AppSettings;
use muster_http::Service;
use muster_jobs::{Handler, Jobs};
use muster_profile_store::Store;
use muster_sql::Db;

use crate::cache::Answers;

pub use error::Error;
pub use jobs::METRICS;
/// How a day of labels is written into the tables. Public for the load tests, which time it.
pub use store::{LabelRow, replace_labels};

/// What the routes and jobs work with. Clones share everything.
#[derive(Clone)]
pub struct Metrics {
    pub db: Db,
    pub jobs: Jobs,
    pub profiles: Arc<Store>,
    pub settings: Settings,
    pub answers: Arc<Answers>,
    /// The last day on which this process saw to the days of the tables.
    pub tidied: Arc<AtomicU32>,
}

#[derive(Clone, Debug)]
pub struct Settings {
    /// Days up to an app's newest one that are kept up to date.
    pub recent_days: u32,
    /// Whether apps that don't say are disabled.
    pub start_disabled: bool,
    /// Days before today after which a data day is dropped; 0: none is.
    pub kept_days: u32,
    /// Values of a dimension that are kept of a day: those with most pv.
    pub dimension_values: usize,
    /// Jobs that run side by side in this process.
    pub concurrency: usize,
}

impl Settings {
    /// Those of an app. Of one that is disabled, which has little more than its newest day rests upon, only
    /// that day is worked out: older days stay as they were when they were the newest.
    pub fn of(&self, own: &AppSettings) -> Settings {
        let served = own.is_enabled(!self.start_disabled);
        Settings { recent_days: if served { self.recent_days } else { 1 }, ..self.clone() }
    }
}

impl Metrics {
    pub fn new(db: Db, jobs: Jobs, profiles: Arc<Store>, settings: Settings) -> Metrics {
        Metrics { db, jobs, profiles, settings, answers: Arc::default(), tidied: Arc::default() }
    }
}

/// The service's part of the OpenAPI document, for a gateway in another process.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes::openapi()
}

/// The service's routes.
pub fn service(metrics: Metrics) -> Service {
    let metrics = actix_web::web::Data::new(metrics);
    let known = metrics.clone();
    Service {
        at_once: Some(Arc::new(move |caller, app, request| routes::known(&known, caller, app, request))),
        ..Service::of_apps("metrics", routes::openapi(), move |config| routes::configure(config, &metrics))
    }
}

/// The handlers of the service's jobs.
pub fn handlers(metrics: Metrics) -> Vec<Arc<dyn Handler>> {
    vec![Arc::new(jobs::MetricsHandler { metrics })]
}
