//! The catalogue's routes, and their part of the OpenAPI document.

mod apps;
mod base_crowds;
mod events;
mod labels;
mod refused;

use actix_web::web::{self, Data, ServiceConfig};
use muster_http::{FieldError, ProblemBody};
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;

use crate::catalogue::Catalogue;

/// Each resource carries its own data: what is registered on the App is shared with other services.
pub fn mount(config: &mut ServiceConfig, catalogue: &Catalogue) {
    let at = |path: &str| web::resource(path).app_data(Data::new(catalogue.clone()));
    config
        .service(at("/v1/apps").get(apps::list_apps))
        .service(at("/v1/apps/{app}").get(apps::get_app))
        .service(at("/v1/apps/{app}/labels").get(labels::list_labels))
        .service(at("/v1/apps/{app}/labels/{label}/tags").get(labels::list_tags))
        .service(at("/v1/apps/{app}/base-crowds").get(base_crowds::list_base_crowds))
        .service(at("/v1/apps/{app}/events").get(events::list_events))
        .service(at("/v1/apps/{app}/events/{event}/dimensions/{dim}").get(events::list_values));
}

pub fn openapi() -> Document {
    Catalogued::openapi()
}

#[derive(OpenApi)]
#[openapi(
    paths(
        apps::list_apps,
        apps::get_app,
        labels::list_labels,
        labels::list_tags,
        base_crowds::list_base_crowds,
        events::list_events,
        events::list_values,
    ),
    components(schemas(ProblemBody, FieldError)),
    tags((name = "catalogue", description = "What an app has published: labels, tags, base crowds, events."))
)]
struct Catalogued;
