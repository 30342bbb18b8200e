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

pub fn mount(config: &mut ServiceConfig, labels: &Data<Labels>) {
    config.service(web::resource("/v1/apps").app_data(labels.clone()).get(apps::list_apps));
}

/// What is about one app, behind its path. Each scope and resource carries its own data: what is registered on
/// the App is shared with other services.
pub fn mount_apps(config: &mut ServiceConfig, labels: &Data<Labels>) {
    let at = |path: &str| web::resource(path).app_data(labels.clone());
    let below = |word: &str| web::scope(word).app_data(labels.clone());
    let catalogue = below("/catalogue")
        .service(web::resource("").get(catalogue::get).post(catalogue::load))
        .service(web::resource("/changes").get(catalogue::changes))
        .service(web::resource("/changes/{version}").get(catalogue::one_change))
        .service(web::resource("/rollback").post(catalogue::rollback));
    let label = below("/labels")
        .service(web::resource("").get(labels::list_labels))
        .service(web::resource("/{label}").get(cards::get_label).put(cards::put_label))
        .service(web::resource("/{label}/tags").get(labels::list_tags));
    let crowds = below("/base-crowds")
        .service(web::resource("").get(base_crowds::list_base_crowds))
        .service(web::resource("/{code}").get(cards::get_crowd).put(cards::put_crowd));
    let events = below("/events")
        .service(web::resource("").get(events::list_events))
        .service(web::resource("/{event}").put(cards::put_event))
        .service(web::resource("/{event}/dimensions/{dim}").get(events::list_values));
    config
        .service(at("").get(apps::get_app))
        .service(at("/settings").get(cards::get_settings).put(cards::put_settings))
        .service(catalogue)
        .service(label)
        .service(crowds)
        .service(events);
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
