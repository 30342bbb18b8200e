//! One request, handed to the process that can answer it; bytes in, bytes out.

use std::time::Duration;

use actix_web::body::SizedStream;
use actix_web::http::header::{
    AUTHORIZATION, CONNECTION, CONTENT_LENGTH, COOKIE, DATE, EXPECT, HOST, HeaderMap, HeaderName,
    HeaderValue, TE, TRAILER, TRANSFER_ENCODING, UPGRADE,
};
use actix_web::http::{Method, StatusCode};
use actix_web::web::{Data, Payload};
use actix_web::{HttpMessage, HttpRequest, HttpResponse};
use awc::error::SendRequestError;
use muster_http::identity::{IDENTITY, Secret, Target, sign};
use muster_http::{Caller, Problem, RequestId};

use super::body::Body;
use super::instances::Instance;
use super::{Forward, Role};
use crate::class::Class;
use crate::class::is_question;
use crate::clock;
use crate::instruments;
use crate::middleware::app_of;

const CONNECT_WITHIN: Duration = Duration::from_secs(2);
/// Shorter than the time for which a host keeps an idle connection open: one that is closed at the other
/// end in that very moment would fail a request that may not be sent twice.
const KEEP_IDLE: Duration = Duration::from_secs(3);
/// A request is sent so many times at most.
const TRIES: usize = 3;

/// What is only about the connection it came on, or about how the caller showed who it is, or our own.
const NOT_PASSED_ON: [&HeaderName; 11] = [
    &AUTHORIZATION,
    &CONNECTION,
    &CONTENT_LENGTH,
    &COOKIE,
    &DATE,
    &EXPECT,
    &HOST,
    &TE,
    &TRAILER,
    &TRANSFER_ENCODING,
    &UPGRADE,
];
const OURS: [&str; 5] = [IDENTITY, "x-request-id", "traceparent", "x-api-key", "keep-alive"];

thread_local! {
    /// Connections belong to the thread that opened them.
    static CLIENT: awc::Client = {
        let connector =
            awc::Connector::new().timeout(CONNECT_WITHIN).conn_keep_alive(KEEP_IDLE).limit(0);
        let client = awc::Client::builder().connector(connector).disable_redirects().no_default_headers();
        // How long a request may take is the gateway's business: it drops this future.
        client.disable_timeout().finish()
    };
}

/// Why an attempt came to nothing.
enum Failed {
    /// No connection could be made, so nothing reached the other side.
    NotSent(SendRequestError),
    /// It may have been done.
    Broken(SendRequestError),
}

/// Answers for a role that runs elsewhere. What changes nothing is tried again when its process breaks
/// off, anything else only where nothing was sent.
pub async fn relay(
    req: HttpRequest,
    forward: Data<Forward>,
    caller: Caller,
    payload: Payload,
) -> Result<HttpResponse, Problem> {
    let route = req.match_pattern().unwrap_or_default();
    let role = forward.role_of(&route).ok_or_else(|| Problem::internal("a route without a role"))?;
    let secret = forward.secret.as_ref().ok_or_else(|| away(role))?;
    let streams = Class::of(req.method(), req.path()) == Class::Import;
    let body = if streams { Body::stream(payload, &req) } else { Body::read(payload).await? };
    let order = role.instances.in_turn(clock::now_ms());
    for instance in order.into_iter().cycle().take(TRIES) {
        match attempt(&req, secret, &caller, instance, &body).await {
            Ok(response) if response.status() == StatusCode::UNAUTHORIZED => {
                tracing::error!(
                    role = role.name,
                    "a process does not take this gateway's secret, or its clock"
                );
                break;
            }
            Ok(response) => {
                instance.welcome_back();
                return Ok(response);
            }
            Err(failed) => {
                if let Some(fault) = body.fault() {
                    return Err(fault);
                }
                instruments::forward_failed(role.name);
                if !may_try_again(&req, &body, instance, role, failed) {
                    break;
                }
            }
        }
    }
    Err(away(role))
}

fn may_try_again(req: &HttpRequest, body: &Body, instance: &Instance, role: &Role, failed: Failed) -> bool {
    let asks = matches!(*req.method(), Method::GET | Method::HEAD) || is_question(req.path());
    instance.leave_out(clock::now_ms());
    match failed {
        Failed::NotSent(error) => {
            tracing::warn!(role = role.name, %error, "a process can't be reached");
            body.is_untouched()
        }
        Failed::Broken(error) => {
            tracing::warn!(role = role.name, %error, "a process broke off");
            asks && body.is_untouched()
        }
    }
}

fn away(role: &Role) -> Problem {
    let detail = format!("The role `{}` can't be reached at the moment. Try again shortly.", role.name);
    Problem::new(muster_http::Kind::Unavailable, "role_away", detail).with("role", role.name).retry_after(1)
}

async fn attempt(
    req: &HttpRequest,
    secret: &Secret,
    caller: &Caller,
    instance: &Instance,
    body: &Body,
) -> Result<HttpResponse, Failed> {
    let path_and_query = req.uri().path_and_query().map_or("/", |target| target.as_str());
    let url = format!("{}{path_and_query}", instance.base);
    let mut request = CLIENT.with(|client| client.request(req.method().clone(), url)).no_decompress();
    for (name, value) in passed_on(req.headers()) {
        request = request.append_header((name.clone(), value.clone()));
    }
    let request_id = req.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
    let target = Target { method: req.method().as_str(), path_and_query };
    let app = app_of(req.path());
    let identity = sign(secret, caller, app.as_deref(), target, &request_id, clock::now_ms());
    request = request.insert_header((IDENTITY, identity)).insert_header(("x-request-id", request_id));
    if let Some(trace) = muster_telemetry::traceparent() {
        request = request.insert_header(("traceparent", trace));
    }
    match body.send(request).await {
        Ok(response) => Ok(answer(response)),
        Err(error @ SendRequestError::Connect(_)) => Err(Failed::NotSent(error)),
        Err(error) => Err(Failed::Broken(error)),
    }
}

fn passed_on(headers: &HeaderMap) -> impl Iterator<Item = (&HeaderName, &HeaderValue)> {
    headers.iter().filter(|(name, _)| !NOT_PASSED_ON.contains(name) && !OURS.contains(&name.as_str()))
}

/// The other side's answer as ours. One that breaks off in the middle breaks ours, too.
fn answer(
    response: awc::ClientResponse<impl futures::Stream<Item = Chunk> + Unpin + 'static>,
) -> HttpResponse {
    let mut answer = HttpResponse::build(response.status());
    for (name, value) in passed_on(response.headers()) {
        answer.append_header((name.clone(), value.clone()));
    }
    let length = response.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    match length {
        Some(length) => answer.body(SizedStream::new(length, response)),
        None => answer.streaming(response),
    }
}

type Chunk = Result<actix_web::web::Bytes, awc::error::PayloadError>;
