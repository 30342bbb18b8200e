//! The segments service: estimates live, keeps versioned segments, has them made into cohorts by jobs,
//! streams members, and says why a user is in or not; keeps lists of uploaded ids; and tells what cohorts are
//! made up of.
//!
//! It owns the tables `segment…`, `user_list…` and `cohort`, and the cohort files of the store.

mod answers;
mod audiences;
mod behaviour_answers;
mod daily;
mod error;
mod hash;
mod instruments;
mod jobs;
mod member_answers;
mod operations;
mod profile_answers;
mod routes;
mod store;
mod turns;

use std::sync::Arc;

use muster_http::Service;
use muster_jobs::{Handler, Jobs};
use muster_profile_store::Store;
use muster_rules::Caps;
use muster_sql::Db;

pub use answers::{Cohort, Segment, SegmentVersion};
pub use audiences::{Found, Kept, OnItsWay};
pub use daily::daily;
pub use jobs::{CLEAR, ROUTINE};
pub use operations::OpenCohorts;
pub use operations::routine::Settings as RoutineSettings;
pub use turns::{Turn, Turns};

/// What the routes and jobs work with. Clones share everything.
#[derive(Clone)]
pub struct Segments {
    pub db: Db,
    pub jobs: Jobs,
    pub profiles: Arc<Store>,
    pub caps: Caps,
    /// Whether apps that don't say are disabled.
    pub start_disabled: bool,
    /// Segment jobs that run side by side in this process.
    pub concurrency: usize,
    /// Who evaluates next.
    pub turns: Turns,
    pub routine: RoutineSettings,
    pub open: Arc<OpenCohorts>,
}

/// The service's part of the OpenAPI document, for a gateway in another process.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes::openapi()
}

/// The service's routes.
pub fn service(segments: Segments) -> Service {
    let segments = actix_web::web::Data::new(segments);
    Service::of_apps("segments", routes::openapi(), move |config| routes::configure(config, &segments))
}

/// The handlers of the service's jobs.
pub fn handlers(segments: Segments) -> Vec<Arc<dyn Handler>> {
    vec![
        Arc::new(jobs::RoutineHandler { segments: segments.clone() }),
        Arc::new(jobs::ClearHandler { segments: segments.clone() }),
        Arc::new(jobs::RunHandler { segments }),
    ]
}
