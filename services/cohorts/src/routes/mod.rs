//! The service's part of the API.

mod experiments;
mod holdout;
mod running;

use actix_web::web::{self, Data, ServiceConfig};
use muster_days::Ds;
use muster_http::{Kind, Problem};
use serde::de::DeserializeOwned;
use utoipa::OpenApi;

use crate::Cohorts;
use crate::deliveries::routes as deliveries;
use crate::tracking::routes as tracking;

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
    deliveries::fetch,
    deliveries::destinations,
    tracking::track,
    tracking::untrack,
    tracking::list,
    tracking::series,
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
        .service(at("/{id}").route(web::get().to(deliveries::show)))
        .service(at("/{id}/files/{file}").route(web::get().to(deliveries::fetch)));
    let destinations =
        at("/destinations").app_data(data.clone()).route(web::get().to(deliveries::destinations));
    let of_tracking = web::scope("/tracking")
        .app_data(data.clone())
        .service(at("").route(web::get().to(tracking::list)))
        .service(
            at("/{id}")
                .route(web::get().to(tracking::series))
                .route(web::put().to(tracking::track))
                .route(web::delete().to(tracking::untrack)),
        );
    config
        .service(experiments)
        .service(holdout)
        .service(of_deliveries)
        .service(destinations)
        .service(of_tracking);
}

/// A body that may be empty.
pub fn read<T: Default + DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    match body.trim_ascii() {
        b"" => Ok(T::default()),
        text => serde_json::from_slice(text)
            .map_err(|error| Problem::new(Kind::Invalid, "invalid_body", format!("{error}."))),
    }
}

/// A day of the address.
pub fn day(parameter: &str, text: &str) -> Result<Ds, Problem> {
    let day = text.parse().ok().and_then(|number| Ds::from_number(number).ok());
    day.ok_or_else(|| {
        let detail = format!("`{text}` is no day: write 20261101.");
        Problem::new(Kind::BadRequest, "bad_parameter", detail).with_fault(parameter, "not_a_day", None)
    })
}
