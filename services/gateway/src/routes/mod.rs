//! The gateway's own addresses.

mod audit;
mod job_events;
mod jobs;
mod keys;
mod quotas;
mod roles;
mod system;

use actix_web::web::{Data, ServiceConfig, delete, get, post, put, resource};
use actix_web::{HttpRequest, HttpResponse};
use muster_http::{Kind, Problem};
use utoipa::OpenApi;

use crate::gateway::Process;

/// What every process answers about itself.
pub fn mount_process(config: &mut ServiceConfig) {
    config
        .service(resource("/healthz").route(get().to(system::healthz)))
        .service(resource("/readyz").route(get().to(system::readyz)))
        .service(resource("/metrics").route(get().to(system::metrics)));
}

pub fn mount(config: &mut ServiceConfig) {
    mount_process(config);
    config
        .service(resource("/").route(get().to(system::home)))
        .service(resource("/openapi.json").route(get().to(system::openapi)))
        .service(resource("/v1/keys").route(get().to(keys::list)).route(post().to(keys::create)))
        .service(resource("/v1/keys/{key}").route(delete().to(keys::revoke)))
        .service(resource("/v1/audit").route(get().to(audit::list)))
        .service(resource("/v1/roles").route(get().to(roles::list)))
        .service(resource("/v1/jobs").route(get().to(jobs::list)))
        .service(resource("/v1/jobs/{job}").route(get().to(jobs::get)))
        .service(resource("/v1/jobs/{job}/cancel").route(post().to(jobs::cancel)))
        .service(resource("/v1/jobs/{job}/events").route(get().to(job_events::follow)));
}

/// What is about one app, behind its path.
pub fn mount_apps(config: &mut ServiceConfig) {
    config
        .service(resource("/quotas").route(get().to(quotas::show)).route(put().to(quotas::set)))
        .service(resource("/usage").route(get().to(quotas::usage)));
}

/// The gateway's part of the OpenAPI document.
#[derive(OpenApi)]
#[openapi(
    paths(
        system::home,
        system::healthz,
        system::readyz,
        system::metrics,
        system::openapi,
        keys::list,
        keys::create,
        keys::revoke,
        audit::list,
        roles::list,
        quotas::show,
        quotas::set,
        quotas::usage,
        jobs::list,
        jobs::get,
        jobs::cancel,
        job_events::follow,
    ),
    tags(
        (name = "jobs", description = "Work that was accepted with 202"),
        (name = "keys", description = "Who may call"),
        (name = "system", description = "The process itself"),
    )
)]
pub struct GatewayApi;

/// Answers what no route answers: 405 where the address exists, else 404.
pub async fn unknown(process: Data<Process>, req: HttpRequest) -> Result<HttpResponse, Problem> {
    Err(unmatched(process.methods.allowed(req.path())))
}

/// The problem of a request without a route, by the methods that its address allows.
pub fn unmatched(allowed: Option<&str>) -> Problem {
    match allowed {
        Some(methods) => {
            let detail = format!("This address answers {methods} only.");
            Problem::new(Kind::NotAllowed, "method_not_allowed", detail)
        }
        None => Problem::not_found("such address"),
    }
}
