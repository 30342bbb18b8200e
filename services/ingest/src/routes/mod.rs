//! The service's part of the API.

mod erasures;
mod imports;
mod lifecycle;
mod rejects;

use actix_web::web::{self, Data, ServiceConfig};
use utoipa::OpenApi;

use crate::Ingest;

#[derive(OpenApi)]
#[openapi(paths(
    imports::create,
    rejects::download,
    lifecycle::run,
    erasures::create,
    erasures::list,
    erasures::show
))]
struct Api;

pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

pub fn configure(config: &mut ServiceConfig, ingest: &Data<Ingest>) {
    config
        .service(web::resource("/v1/imports").app_data(ingest.clone()).route(web::post().to(imports::create)))
        .service(
            web::resource("/v1/imports/{job}/rejects")
                .app_data(ingest.clone())
                .route(web::get().to(rejects::download)),
        );
}

/// What is about one app, behind its path.
pub fn configure_apps(config: &mut ServiceConfig, ingest: &Data<Ingest>) {
    let lifecycle = web::resource("/lifecycle").app_data(ingest.clone());
    let erasures = web::resource("/erasures").app_data(ingest.clone());
    config
        .service(lifecycle.route(web::post().to(lifecycle::run)))
        .service(erasures.route(web::post().to(erasures::create)).route(web::get().to(erasures::list)))
        .service(
            web::resource("/erasures/{id}").app_data(ingest.clone()).route(web::get().to(erasures::show)),
        );
}
