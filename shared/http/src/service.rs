//! A service as the gateway sees it.

use std::fmt;
use std::sync::Arc;

use actix_web::web::ServiceConfig;
use utoipa::openapi::OpenApi;

/// A service's face: its routes and their part of the OpenAPI document, both with full paths
/// (`/v1/apps/{app}/labels`).
///
/// `routes` is called once per worker thread. A service registers its app data inside its own scope or
/// resource (`web::resource(…).app_data(…)`), never on the `ServiceConfig` itself: data of one type
/// registered twice on one App is silently shared, and the last one wins.
#[derive(Clone)]
pub struct Service {
    pub name: &'static str,
    pub routes: Arc<dyn Fn(&mut ServiceConfig) + Send + Sync>,
    pub openapi: OpenApi,
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("name", &self.name).finish_non_exhaustive()
    }
}
