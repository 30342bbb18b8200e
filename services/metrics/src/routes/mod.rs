//! The service's part of the API.

mod compare;
mod crowds;
mod events;
mod insights;
mod refresh;
mod tagged;

use actix_web::web::{self, Data, ServiceConfig};
use utoipa::OpenApi;

pub use tagged::known;

use crate::Metrics;

#[derive(OpenApi)]
#[openapi(paths(
    insights::distribution,
    insights::trend,
    compare::compare,
    crowds::list,
    crowds::trend,
    events::list,
    events::trend,
    events::dimension,
    refresh::refresh
))]
struct Api;

pub fn openapi() -> utoipa::openapi::OpenApi {
    Api::openapi()
}

pub fn configure(config: &mut ServiceConfig, data: &Data<Metrics>) {
    let at = |path: &str| web::resource(path);
    let insights = web::scope("/insights")
        .app_data(data.clone())
        .service(at("/labels/{label}").route(web::get().to(insights::distribution)))
        .service(at("/labels/{label}/trend").route(web::get().to(insights::trend)))
        .service(at("/labels/{label}/compare").route(web::get().to(compare::compare)))
        .service(at("/crowds").route(web::get().to(crowds::list)))
        .service(at("/crowds/{crowd}").route(web::get().to(crowds::trend)))
        .service(at("/events").route(web::get().to(events::list)))
        .service(at("/events/{event}").route(web::get().to(events::trend)))
        .service(at("/events/{event}/dimensions/{dim}").route(web::get().to(events::dimension)))
        .service(at("/refresh").route(web::post().to(refresh::refresh)));
    config.service(insights);
}
