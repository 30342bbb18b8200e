//! The service's part of the API.

mod behaviour;
mod cohorts;
mod daily;
mod estimate;
mod evaluation;
mod lists;
mod members;
mod profile;
mod segments;
mod users;

pub use members::find_all;
pub use users::{CHUNKS, label_days};

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
    members::memberships,
    profile::profile,
    profile::difference,
    profile::overlap,
    behaviour::behaviour,
    behaviour::values,
    behaviour::spread,
    lists::create,
    lists::all,
    lists::show,
    lists::rename,
    lists::delete,
    lists::upload,
    lists::versions,
    lists::report,
))]
struct Api;

pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

pub fn configure(config: &mut ServiceConfig, data: &Data<Segments>) {
    let at = |path: &str| web::resource(path);
    let below = |word: &str| web::scope(word).app_data(data.clone());
    let segments = below("/segments")
        .service(at("").route(web::get().to(segments::list)).route(web::post().to(segments::create)))
        .service(at("/estimate").route(web::post().to(estimate::estimate)))
        .service(
            at("/{id}")
                .route(web::get().to(segments::show))
                .route(web::put().to(segments::replace))
                .route(web::delete().to(segments::delete)),
        )
        .service(at("/{id}/versions").route(web::get().to(segments::versions)))
        .service(at("/{id}/run").route(web::post().to(segments::run)))
        .service(at("/{id}/days").route(web::get().to(daily::days)));
    let cohorts = below("/cohorts")
        .service(at("").route(web::get().to(cohorts::list)))
        .service(at("/overlap").route(web::get().to(profile::overlap)))
        .service(at("/membership").route(web::post().to(members::memberships)))
        .service(at("/{id}").route(web::get().to(cohorts::show)).route(web::delete().to(cohorts::delete)))
        .service(at("/{id}/profile").route(web::get().to(profile::profile)))
        .service(at("/{id}/behaviour").route(web::get().to(behaviour::behaviour)))
        .service(at("/{id}/behaviour/{event}/dimensions/{dim}").route(web::get().to(behaviour::values)))
        .service(at("/{id}/spread").route(web::get().to(behaviour::spread)))
        .service(at("/{id}/difference").route(web::get().to(profile::difference)))
        .service(at("/{id}/verify").route(web::post().to(daily::verify)))
        .service(at("/{id}/users").route(web::get().to(users::export)))
        .service(at("/{id}/users/{user}").route(web::get().to(users::membership)));
    let lists = below("/lists")
        .service(at("").route(web::get().to(lists::all)).route(web::post().to(lists::create)))
        .service(
            at("/{id}")
                .route(web::get().to(lists::show))
                .route(web::put().to(lists::rename))
                .route(web::delete().to(lists::delete)),
        )
        .service(at("/{id}/users").route(web::post().to(lists::upload)))
        .service(at("/{id}/versions").route(web::get().to(lists::versions)))
        .service(at("/{id}/versions/{version}/report").route(web::get().to(lists::report)));
    let routine = at("/routine").app_data(data.clone()).route(web::post().to(daily::routine));
    config.service(segments).service(cohorts).service(lists).service(routine);
}
