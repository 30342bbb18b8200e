//! The gateway's metrics. Labels are route patterns, classes and codes: never an app, key or user.

use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use metrics::{counter, histogram};

/// Clients can send any word as a method; only the known ones become label values.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::HEAD => "HEAD",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::OPTIONS => "OPTIONS",
        _ => "other",
    }
}

pub fn answered(method: &Method, route: &str, status: StatusCode, took: Duration) {
    let method = method_label(method);
    counter!("muster_http_requests_total", "method" => method, "route" => route.to_owned(),
             "status" => status.as_str().to_owned())
    .increment(1);
    histogram!("muster_http_request_seconds", "method" => method, "route" => route.to_owned())
        .record(took.as_secs_f64());
}

/// A request was turned away before its handler; `code` is the problem's.
pub fn refused(class: &'static str, code: &'static str) {
    counter!("muster_gateway_refused_total", "class" => class, "code" => code).increment(1);
}

/// A process of a role could not be reached, or broke off.
pub fn forward_failed(role: &'static str) {
    counter!("muster_gateway_forward_failures_total", "role" => role).increment(1);
}

pub fn replayed() {
    counter!("muster_gateway_replayed_total").increment(1);
}
