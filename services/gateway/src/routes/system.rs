//! Health, metrics, the OpenAPI document and the front page.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::ContentType;
use actix_web::web::Data;
use muster_http::{Kind, Problem};
use tokio::time::timeout;

use crate::gateway::{Gate, Process};

const READY_WITHIN: Duration = Duration::from_secs(2);

const HOME: &str = "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n<title>Muster</title>\n\
    <h1>Muster</h1>\n<p>User profiles and audience segments whose numbers you can trust.</p>\n\
    <p>The API: <a href=\"/openapi.json\">/openapi.json</a></p>\n</html>\n";

/// The front page
#[utoipa::path(get, path = "/", tag = "system", security(()),
    responses((status = 200, content_type = "text/html", body = String)))]
pub async fn home() -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::html()).body(HOME)
}

/// The process runs
#[utoipa::path(get, path = "/healthz", tag = "system", security(()),
    responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn healthz() -> &'static str {
    "ok\n"
}

/// The process can do its work
#[utoipa::path(get, path = "/readyz", tag = "system", security(()),
    responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn readyz(process: Data<Process>) -> Result<&'static str, Problem> {
    if *process.stopping.borrow() {
        return Err(unready("server", "it is stopping"));
    }
    for (name, ready) in &process.ready {
        check(name, ready()).await?;
    }
    Ok("ready\n")
}

async fn check<E: std::fmt::Display>(
    name: &str,
    ready: impl Future<Output = Result<(), E>>,
) -> Result<(), Problem> {
    match timeout(READY_WITHIN, ready).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(why)) => Err(unready(name, why)),
        Err(_) => Err(unready(name, "no answer in time")),
    }
}

/// Why is for the log: it may hold paths and addresses.
fn unready(name: &str, why: impl std::fmt::Display) -> Problem {
    tracing::warn!(part = name, %why, "not ready");
    Problem::new(Kind::Unavailable, "not_ready", format!("Not ready: {name}."))
        .with("part", name)
        .retry_after(1)
}

/// Metrics in Prometheus' text format
#[utoipa::path(get, path = "/metrics", tag = "system", security(()),
    responses((status = 200, content_type = "text/plain", body = String)))]
pub async fn metrics(process: Data<Process>) -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; version=0.0.4; charset=utf-8").body(process.metrics.render())
}

/// This document
#[utoipa::path(get, path = "/openapi.json", tag = "system", security(()),
    responses((status = 200, content_type = "application/json", body = Object)))]
pub async fn openapi(gate: Data<Gate>) -> HttpResponse {
    HttpResponse::Ok().content_type(ContentType::json()).body(gate.openapi.clone())
}
