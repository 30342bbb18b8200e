//! The gateway's metrics. Labels are route patterns, classes and codes: never an app, key or user.

use std::cell::RefCell;
use std::collections::HashMap;
use std::time::Duration;

use actix_web::http::{Method, StatusCode};
use metrics::{Counter, Histogram, counter, histogram};

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

/// The requests of a method, route and status.
struct Answered {
    method: &'static str,
    status: StatusCode,
    requests: Counter,
    seconds: Histogram,
}

thread_local! {
    /// By route: to find a metric by its labels takes longer than to count.
    static ANSWERED: RefCell<HashMap<String, Vec<Answered>>> = RefCell::default();
}

pub fn answered(method: &Method, route: &str, status: StatusCode, took: Duration) {
    let method = method_label(method);
    ANSWERED.with_borrow_mut(|routes| {
        if !routes.contains_key(route) {
            routes.insert(route.to_owned(), Vec::new());
        }
        let Some(known) = routes.get_mut(route) else { return };
        let place = known.iter().position(|known| (known.method, known.status) == (method, status));
        let place = place.unwrap_or_else(|| {
            known.push(registered(method, route, status));
            known.len() - 1
        });
        known[place].requests.increment(1);
        known[place].seconds.record(took.as_secs_f64());
    });
}

fn registered(method: &'static str, route: &str, status: StatusCode) -> Answered {
    let code = status.as_str().to_owned();
    let route = route.to_owned();
    Answered {
        method,
        status,
        requests: counter!("muster_http_requests_total", "method" => method, "route" => route.clone(), "status" => code),
        seconds: histogram!("muster_http_request_seconds", "method" => method, "route" => route),
    }
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
