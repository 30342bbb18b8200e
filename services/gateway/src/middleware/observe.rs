//! The outermost layer: gives a request its id, tells log and metrics what became of it, and puts every
//! error into its last form.

use std::time::{Duration, Instant};

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::{ALLOW, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, WWW_AUTHENTICATE};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage, HttpResponse};
use muster_http::{Kind, PROBLEM_JSON, Problem, RequestId};
use tracing::{Instrument, Span, field};
use ulid::Ulid;

use super::answer::{Answer, answer};
use super::at_once::at_once;
use crate::gateway::Process;
use crate::instruments;
use crate::routes::unmatched;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const ID_LIMIT: usize = 64;
/// A read that takes so long is told.
const LONG: Duration = Duration::from_secs(1);

pub async fn observe(
    process: Data<Process>,
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = Instant::now();
    let id = request_id(req.headers());
    let method = req.method().clone();
    let path = req.path().to_owned();
    let known = at_once(&req);
    let span = span(&id, known.is_some());
    if let Some(parent) = req.headers().get("traceparent").and_then(|parent| parent.to_str().ok()) {
        muster_telemetry::continue_trace(&span, parent);
    }
    let answered = match known {
        Some(known) => Answer::known(req, known),
        None => {
            req.extensions_mut().insert(RequestId(id.clone()));
            let inner = async { next.call(req).await.map(ServiceResponse::map_into_boxed_body) };
            answer(inner).instrument(span.clone()).await
        }
    };
    // The pattern, never the path: a path can hold a user id.
    let route = answered.route(&process.methods, &path);
    let answered = answered.map(|response| finish(response, &id, || process.methods.allowed(&path)));

    let (status, took) = (answered.status(), started.elapsed());
    if muster_telemetry::traced() {
        span.record("http.response.status_code", status.as_u16());
        muster_telemetry::name(&span, format!("{method} {route}"));
    }
    instruments::answered(&method, &route, status, took);
    span.in_scope(|| log(&method, &route, status, took));
    answered.into_outcome()
}

/// What lines and spans of the request stand in. There are none of a request that is `known`.
fn span(id: &str, known: bool) -> Span {
    match (muster_telemetry::traced(), known) {
        (false, true) => Span::none(),
        (false, false) => tracing::info_span!("request", request_id = id, caller = field::Empty),
        (true, _) => tracing::info_span!(
            "request",
            otel.kind = "server",
            request_id = id,
            caller = field::Empty,
            http.response.status_code = field::Empty,
        ),
    }
}

/// What the client sent, when it is sane; else a new ULID.
fn request_id(headers: &HeaderMap) -> String {
    let sane = |id: &&str| {
        (1..=ID_LIMIT).contains(&id.len())
            && id.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.'))
    };
    let sent = headers.get(X_REQUEST_ID).and_then(|id| id.to_str().ok()).filter(sane);
    sent.map_or_else(|| Ulid::generate().to_string(), str::to_owned)
}

/// Writes and what went wrong are news, and so is what took long. The rest is counted, and told at debug.
fn log(method: &Method, route: &str, status: StatusCode, took: Duration) {
    let (code, took_ms) = (status.as_u16(), took.as_secs_f64() * 1e3);
    let reads = matches!(*method, Method::GET | Method::HEAD);
    if reads && !status.is_client_error() && !status.is_server_error() && took < LONG {
        tracing::debug!(%method, route, status = code, took_ms, "answered");
    } else {
        tracing::info!(%method, route, status = code, took_ms, "answered");
    }
}

/// `allowed` tries the path with every pattern there is: it is asked for errors only.
fn finish<'a>(response: HttpResponse, id: &str, allowed: impl Fn() -> Option<&'a str>) -> HttpResponse {
    let mut response = match last_form(&response, &allowed) {
        Some(problem) => replace(response, &problem, id),
        None => response,
    };
    let status = response.status();
    let headers = response.headers_mut();
    if status == StatusCode::METHOD_NOT_ALLOWED
        && let Some(Ok(allowed)) = allowed().map(HeaderValue::from_str)
    {
        headers.insert(ALLOW, allowed);
    }
    if status == StatusCode::UNAUTHORIZED {
        headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
    }
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(X_REQUEST_ID, id);
    }
    response
}

/// The problem that an error response stands for; None where the response stays as it is.
fn last_form<'a>(response: &HttpResponse, allowed: impl Fn() -> Option<&'a str>) -> Option<Problem> {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return None;
    }
    if let Some(problem) = response.error().and_then(|err| err.as_error::<Problem>()) {
        return Some(problem.clone());
    }
    if response.headers().get(CONTENT_TYPE).is_some_and(|kind| kind == PROBLEM_JSON) {
        return None;
    }
    Some(match status {
        StatusCode::NOT_FOUND => Problem::not_found("such thing"),
        // What a resource says by itself to a method that it has no route for.
        StatusCode::METHOD_NOT_ALLOWED => unmatched(allowed()),
        status if status.is_server_error() => Problem::internal(format_args!("a bare {status}")),
        _ => Problem::new(Kind::BadRequest, "bad_request", "The request can't be read."),
    })
}

/// The problem as the response's body; headers that inner layers set stay.
fn replace(old: HttpResponse, problem: &Problem, id: &str) -> HttpResponse {
    let mut new = problem.respond(Some(id));
    for (name, value) in old.headers() {
        if !new.headers().contains_key(name) {
            new.headers_mut().append(name.clone(), value.clone());
        }
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sane_request_id_is_kept_and_any_other_replaced() {
        let id = |sent: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(X_REQUEST_ID, HeaderValue::from_str(sent).unwrap());
            request_id(&headers)
        };
        assert_eq!(id("abc-1.2_Z"), "abc-1.2_Z");
        for bad in ["", "a b", "a\"b", &"x".repeat(65)] {
            let made = id(bad);
            assert!(made.len() == 26 && made != bad, "{made}");
        }
    }
}
