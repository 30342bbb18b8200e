//! The ingest service: files come in, validated rows go on, data days are published.
//!
//! An upload is stored and becomes a job; the job reads it ([`formats`]), stages its rows by part and bucket
//! ([`staging`]), and builds and publishes the parts ([`build`]). Days past their [`retention`] are dropped, and users erased.
//! It owns the profile store's data files and one folder per import.

mod aside;
pub mod build;
mod catalogues;
pub mod folder;
pub mod formats;
mod instruments;
pub mod jobs;
mod operations;
pub mod rejects;
pub mod retention;
mod routes;
pub mod rows;
mod settings;
pub mod staging;
mod store;

use std::sync::Arc;

use muster_http::Service;
use muster_jobs::{Handler, Jobs};
use muster_profile_store::Store;
use muster_sql::Db;

pub use jobs::TAKE_IN;
pub use operations::{every_day, sweep_folders};
pub use settings::Settings;

/// What the routes work with.
pub(crate) struct Ingest {
    pub store: Arc<Store>,
    pub db: Db,
    pub jobs: Jobs,
    pub settings: Settings,
}

/// The service's part of the OpenAPI document, for a gateway in another process.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes::openapi()
}

/// The service's routes.
pub fn service(store: Arc<Store>, db: Db, jobs: Jobs, settings: Settings) -> Service {
    let ingest = actix_web::web::Data::new(Ingest { store, db, jobs, settings });
    Service {
        name: "ingest",
        openapi: routes::openapi(),
        app_routes: Arc::new({
            let ingest = ingest.clone();
            move |config| routes::configure_apps(config, &ingest)
        }),
        routes: Arc::new(move |config| routes::configure(config, &ingest)),
        at_once: None,
    }
}

/// The handlers of the service's jobs.
pub fn handlers(store: Arc<Store>, db: Db, jobs: Jobs, settings: Settings) -> Vec<Arc<dyn Handler>> {
    let lifecycle =
        jobs::LifecycleHandler { store: store.clone(), jobs: jobs.clone(), settings: settings.clone() };
    let take_in =
        jobs::TakeInHandler { store: store.clone(), jobs: jobs.clone(), settings: settings.clone() };
    let erase =
        jobs::EraseHandler { store: store.clone(), db, jobs: jobs.clone(), settings: settings.clone() };
    vec![
        Arc::new(jobs::ImportHandler { store, jobs, settings }),
        Arc::new(lifecycle),
        Arc::new(take_in),
        Arc::new(erase),
    ]
}
