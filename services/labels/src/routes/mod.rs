//! The catalogue's routes, and their part of the OpenAPI document.

mod apps;
mod base_crowds;
mod cards;
mod catalogue;
mod events;
mod labels;
mod refused;
mod versioned;

use actix_web::web::{self, Data, ServiceConfig};
use muster_http::{FieldError, ProblemBody};
use utoipa::OpenApi;
use utoipa::openapi::OpenApi as Document;

use crate::Labels;

/// Each resource carries its own data: what is registered on the App is shared with other services.
pub fn mount(config: &mut ServiceConfig, labels: &Labels) {
    let at = |path: &str| web::resource(path).app_data(Data::new(labels.clone()));
    config
        .service(at("/v1/apps").get(apps::list_apps))
        .service(at("/v1/apps/{app}").get(apps::get_app))
        .service(at("/v1/apps/{app}/catalogue").get(catalogue::get).post(catalogue::load))
        .service(at("/v1/apps/{app}/catalogue/changes").get(catalogue::changes))
        .service(at("/v1/apps/{app}/catalogue/changes/{version}").get(catalogue::one_change))
        .service(at("/v1/apps/{app}/catalogue/rollback").post(catalogue::rollback))
        .service(at("/v1/apps/{app}/settings").get(cards::get_settings).put(cards::put_settings))
        .service(at("/v1/apps/{app}/labels").get(labels::list_labels))
        .service(at("/v1/apps/{app}/labels/{label}").get(cards::get_label).put(cards::put_label))
        .service(at("/v1/apps/{app}/base-crowds/{code}").get(cards::get_crowd).put(cards::put_crowd))
        .service(at("/v1/apps/{app}/events/{event}").put(cards::put_event))
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
        catalogue::get,
        catalogue::load,
        catalogue::changes,
        catalogue::one_change,
        catalogue::rollback,
        cards::get_settings,
        cards::put_settings,
        cards::get_label,
        cards::put_label,
        cards::get_crowd,
        cards::put_crowd,
        cards::put_event,
        labels::list_labels,
        labels::list_tags,
        base_crowds::list_base_crowds,
        events::list_events,
        events::list_values,
    ),
    components(schemas(ProblemBody, FieldError)),
    tags((name = "catalogue", description = "What an app has: labels, tags, base crowds, events; what is published of them, and what its team says."))
)]
struct Catalogued;
