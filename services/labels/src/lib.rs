//! The catalogue: which apps, labels, tags, base crowds, events and dimension values are published, as
//! a read-only view of the profile store.

mod catalogue;
mod error;
mod operations;
mod routes;

use std::sync::Arc;

use muster_http::Service;
use muster_profile_store::Store;

/// The service's part of the OpenAPI document, for a gateway in another process.
pub fn openapi() -> utoipa::openapi::OpenApi {
    routes::openapi()
}

/// The labels service over the published data of `store`.
pub fn service(store: Arc<Store>) -> Service {
    let catalogue = catalogue::Catalogue::new(store);
    Service {
        name: "labels",
        routes: Arc::new(move |config| routes::mount(config, &catalogue)),
        openapi: routes::openapi(),
    }
}
