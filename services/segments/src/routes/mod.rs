//! The service's part of the API.

mod cohorts;
mod daily;
mod estimate;
mod segments;
mod users;

use actix_web::web::{self, Data, ServiceConfig};
use utoipa::OpenApi;

use crate::Segments;

#[derive(OpenApi)]
#[openapi(paths(
    estimate::estimate,
    segments::create,
    segments::list,
    segments::show,
    segments::replace,
    segments::delete,
    segments::versions,
    segments::run,
    daily::days,
    daily::routine,
    daily::verify,
    cohorts::list,
    cohorts::show,
    cohorts::delete,
    users::export,
    users::membership,
))]
struct Api;

pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

pub fn configure(config: &mut ServiceConfig, data: &Data<Segments>) {
    let at = |path: &str| web::resource(format!("/v1/apps/{{app}}{path}")).app_data(data.clone());
    config
        .service(at("/segments/estimate").route(web::post().to(estimate::estimate)))
        .service(at("/segments").route(web::get().to(segments::list)).route(web::post().to(segments::create)))
        .service(
            at("/segments/{id}")
                .route(web::get().to(segments::show))
                .route(web::put().to(segments::replace))
                .route(web::delete().to(segments::delete)),
        )
        .service(at("/segments/{id}/versions").route(web::get().to(segments::versions)))
        .service(at("/segments/{id}/run").route(web::post().to(segments::run)))
        .service(at("/segments/{id}/days").route(web::get().to(daily::days)))
        .service(at("/routine").route(web::post().to(daily::routine)))
        .service(at("/cohorts/{id}/verify").route(web::post().to(daily::verify)))
        .service(at("/cohorts").route(web::get().to(cohorts::list)))
        .service(
            at("/cohorts/{id}").route(web::get().to(cohorts::show)).route(web::delete().to(cohorts::delete)),
        )
        .service(at("/cohorts/{id}/users").route(web::get().to(users::export)))
        .service(at("/cohorts/{id}/users/{user}").route(web::get().to(users::membership)));
}
