//! The labels service: the catalogue of an app. What is published of its labels, tags, base crowds, events
//! and dimension values is a view of the profile store; what its team says of them is kept here, version
//! by version, and shown to the other services through the store.
//!
//! It owns the tables `catalogue_change` and `catalogue_entry`, and the `catalogue` of each app in the store.

mod error;
mod operations;
mod reading;
mod routes;
mod store;

use std::sync::Arc;

use actix_web::web::Data;
use muster_catalogue::Kind;
use muster_http::Service;
use muster_jobs::Jobs;
use muster_profile_store::Store;
use muster_sql::Db;

pub use crate::error::Error;

/// What the routes work with. Clones share everything.
#[derive(Clone)]
pub struct Labels {
    pub db: Db,
    pub jobs: Jobs,
    pub profiles: Arc<Store>,
    /// Kinds of jobs to have done for an app of whose catalogue an entry of that kind has changed. They get
    /// no payload.
    pub follow_up: Vec<(Kind, &'static str)>,
}

/// The service's part of the OpenAPI document, for a gateway in another process.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes::openapi()
}

/// The service's routes.
pub fn service(labels: Labels) -> Service {
    let labels = Data::new(labels);
    Service {
        name: "labels",
        openapi: routes::openapi(),
        app_routes: Arc::new({
            let labels = labels.clone();
            move |config| routes::mount_apps(config, &labels)
        }),
        routes: Arc::new(move |config| routes::mount(config, &labels)),
        at_once: None,
    }
}

/// Shows the other services what was kept but not shown to them, because a process ended in between or the
/// storage was away, and has done what follows. To be called at the start.
pub async fn show_pending(labels: &Labels) -> Result<(), Error> {
    operations::catalogue::show_pending(labels).await
}
