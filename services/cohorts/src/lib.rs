//! The cohorts service: what is done with cohorts once they are there. Experiments: users of an audience split
//! into groups by salted hashes, checked beforehand, and compared afterwards. Deliveries: their ids brought to files,
//! S3-compatible storage and webhooks. Tracking: what becomes of them day by day.
//!
//! It owns the tables `experiment…`, `delivery` and `tracked…`. The groups of an experiment are cohorts, which it has kept by the role
//! segments, through [`Audiences`].

mod answers;
mod assignment;
mod audiences;
mod definition;
mod deliveries;
mod error;
mod jobs;
mod operations;
mod routes;
mod store;
mod tracking;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{TimeDelta, Utc};
use muster_days::Tz;
use muster_http::Service;
use muster_jobs::{Handler, Jobs};
use muster_sql::Db;

pub use audiences::{
    Audience, Audiences, Claim, Exported, Forget, InGroup, Newest, Stopped, ToExport, ToKeep, Turn, Users,
};
pub use deliveries::{DOWNLOAD, Destination, Destinations};
pub use jobs::CLEAR;
pub use tracking::TRACKING;

/// What the routes and jobs work with. Clones share everything.
#[derive(Clone)]
pub struct Cohorts {
    pub db: Db,
    pub jobs: Jobs,
    pub audiences: Arc<dyn Audiences>,
    /// Where cohorts may be delivered to; `download` is among them.
    pub destinations: Arc<Destinations>,
    /// How long downloads are kept; None: until users are erased.
    pub kept: Option<TimeDelta>,
    /// Of apps whose catalogue and configuration do not say.
    pub zone: Tz,
    pub zones: BTreeMap<String, Tz>,
}

/// The service's part of the OpenAPI document, for a gateway in another process.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes::openapi()
}

/// The service's routes.
pub fn service(cohorts: Cohorts) -> Service {
    let cohorts = actix_web::web::Data::new(cohorts);
    Service::of_apps("cohorts", routes::openapi(), move |config| routes::configure(config, &cohorts))
}

/// The handlers of the service's jobs.
pub fn handlers(cohorts: Cohorts) -> Vec<Arc<dyn Handler>> {
    vec![
        Arc::new(deliveries::DeliveryHandler { cohorts: cohorts.clone() }),
        Arc::new(tracking::TrackingHandler { cohorts: cohorts.clone() }),
        Arc::new(jobs::ClearHandler { cohorts: cohorts.clone() }),
        Arc::new(jobs::ExperimentHandler { cohorts }),
    ]
}

/// What the service sees to by itself, for ever: experiments that follow their audience, and followed cohorts.
pub async fn follow(cohorts: Cohorts) {
    tokio::join!(operations::follow(cohorts.clone()), tracking::look(cohorts.clone()), hourly(cohorts));
}

async fn hourly(cohorts: Cohorts) {
    let mut looks = tokio::time::interval(Duration::from_secs(3_600));
    loop {
        looks.tick().await;
        operations::clear_all(&cohorts).await;
        let now = Utc::now();
        for done in [
            deliveries::take_up(&cohorts, now).await,
            deliveries::sweep(&cohorts, now).await,
            operations::claim_all(&cohorts).await,
        ] {
            if let Err(error) = done {
                tracing::warn!(%error, "what was left undone is looked at again later");
            }
        }
    }
}
