//! The service's part of the API.

mod experiments;
mod holdout;
mod running;

use actix_web::web::{self, Data, ServiceConfig};
use utoipa::OpenApi;

use crate::Cohorts;
use crate::deliveries::routes as deliveries;

#[derive(OpenApi)]
#[openapi(paths(
    experiments::create,
    experiments::list,
    experiments::show,
    experiments::change,
    experiments::delete,
    running::check,
    running::start,
    running::stop,
    running::results,
    running::place,
    holdout::show,
    holdout::put,
    deliveries::deliver,
    deliveries::list,
    deliveries::show,
    deliveries::destinations,
))]
struct Api;

pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

pub fn configure(config: &mut ServiceConfig, data: &Data<Cohorts>) {
    let at = |path: &str| web::resource(path);
    let experiments = web::scope("/experiments")
        .app_data(data.clone())
        .service(at("").route(web::get().to(experiments::list)).route(web::post().to(experiments::create)))
        .service(
            at("/{id}")
                .route(web::get().to(experiments::show))
                .route(web::put().to(experiments::change))
                .route(web::delete().to(experiments::delete)),
        )
        .service(at("/{id}/check").route(web::post().to(running::check)))
        .service(at("/{id}/start").route(web::post().to(running::start)))
        .service(at("/{id}/stop").route(web::post().to(running::stop)))
        .service(at("/{id}/results").route(web::get().to(running::results)))
        .service(at("/{id}/users/{user}").route(web::get().to(running::place)));
    let holdout = at("/holdout")
        .app_data(data.clone())
        .route(web::get().to(holdout::show))
        .route(web::put().to(holdout::put));
    let of_deliveries = web::scope("/deliveries")
        .app_data(data.clone())
        .service(at("").route(web::get().to(deliveries::list)).route(web::post().to(deliveries::deliver)))
        .service(at("/{id}").route(web::get().to(deliveries::show)));
    let destinations =
        at("/destinations").app_data(data.clone()).route(web::get().to(deliveries::destinations));
    config.service(experiments).service(holdout).service(of_deliveries).service(destinations);
}
