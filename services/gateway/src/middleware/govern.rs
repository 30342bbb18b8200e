//! The inner layer, step by step: who calls, for which app, is there room, how much does it cost, has it
//! been asked before; then the handler; then the audit trail.

use std::cell::Cell;
use std::sync::Arc;

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{Path, ResourceDef, ServiceRequest, ServiceResponse};
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use actix_web::http::{Method, StatusCode};
use actix_web::middleware::Next;
use actix_web::web::Data;
use actix_web::{Error, HttpMessage};
use bytes::Bytes;
use muster_http::{Caller, Kind, Problem, RequestId, check_app_id, is_padded};
use std::pin::Pin;
use std::task::{Context, Poll};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tracing::Span;
use ulid::Ulid;

use super::answer::{Answer, answer};
use super::body;
use super::repeat::Repeatable;
use crate::class::{Class, is_question};
use crate::clock;
use crate::gateway::{Gate, Process};
use crate::instruments;
use crate::operations::cost;
use crate::operations::flow_control::{Level, Refusal, Subject};
use crate::operations::openapi::Methods;
use crate::store::audit::{self, AuditRow};

const LIMIT: HeaderName = HeaderName::from_static("ratelimit-limit");
const REMAINING: HeaderName = HeaderName::from_static("ratelimit-remaining");
const RESET: HeaderName = HeaderName::from_static("ratelimit-reset");

/// What needs no caller: it tells nothing about an app.
const PUBLIC: [&str; 5] = ["/", "/healthz", "/readyz", "/metrics", "/openapi.json"];

/// A request that is known to come from somebody.
struct Call {
    caller: Caller,
    app: Option<String>,
    class: Class,
    method: Method,
    path: String,
    request_id: String,
    /// Units that the call took of the app's quota.
    units: Cell<u64>,
}

pub async fn govern(
    gate: Data<Gate>,
    process: Data<Process>,
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    gate.door.guard(req.head())?;
    if PUBLIC.contains(&req.path()) {
        return next.call(req).await.map(ServiceResponse::map_into_boxed_body);
    }
    let caller = gate.door.caller(req.head(), clock::now_ms()).await?;
    Span::current().record("caller", &caller.id);
    let call = Call::new(&req, caller);
    req.extensions_mut().insert(call.caller.clone());
    let answered = admit(&gate, &call, req, next).await.unwrap_or_else(Answer::refuse);
    count(&gate, &call, &answered);
    record(&gate, &process.methods, &call, &answered).await;
    answered.into_outcome()
}

/// Finds room and time for the request.
async fn admit(
    gate: &Gate,
    call: &Call,
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<Answer, Problem> {
    // Tables may take it for another app, whatever is done with it.
    call.app.as_deref().map_or(Ok(()), check_app_id)?;
    // Before anything else of the app: one that the caller does not have must look like one that does not exist.
    if let Some(app) = call.app.as_deref().filter(|app| !call.caller.may(app)) {
        return Err(Problem::app_not_found(app));
    }
    let slot = gate.slots.take(call.class)?;
    let inner = answer_within_quota(gate, call, req, next);
    let answered = match gate.settings.time_limits.of(call.class) {
        Some(limit) => timeout(limit, inner).await.unwrap_or_else(|_| Err(timed_out(call)))?,
        None => inner.await?,
    };
    Ok(answered.map(|response| response.map_body(|_, body| BoxBody::new(Held { body, _slot: slot }))))
}

async fn answer_within_quota(
    gate: &Gate,
    call: &Call,
    mut req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<Answer, Problem> {
    let body = read_body(gate, call, &mut req).await?;
    let subject = call.subject();
    let cost = call.cost(gate, body.as_deref()).await;
    let level = match gate.flow.take(call.class.kind(), &subject, cost) {
        Ok(level) => {
            call.units.set(cost);
            level
        }
        Err(refusal) => return Ok(refuse(call, refusal, &subject)),
    };
    let repeatable = match call.reads() {
        true => None,
        false => Repeatable::of(&req, &call.caller.id, body.as_deref())?,
    };
    let inner = async move { next.call(req).await.map(ServiceResponse::map_into_boxed_body) };
    let answered = match repeatable {
        Some(repeatable) => repeatable.run(Arc::clone(&gate.once), inner).await,
        None => answer(inner).await,
    };
    Ok(with_level(answered, level))
}

/// The body of a write, unless it streams.
async fn read_body(gate: &Gate, call: &Call, req: &mut ServiceRequest) -> Result<Option<Bytes>, Problem> {
    match call.class {
        Class::Import => body::bound(req, &gate.settings.imports).map(|()| None),
        _ if call.reads() => Ok(None),
        _ => body::whole(req).await.map(Some),
    }
}

fn refuse(call: &Call, refusal: Refusal, subject: &Subject) -> Answer {
    let answered = Answer::refuse(refusal.problem(subject));
    match refusal {
        Refusal::TooMany(level) => {
            instruments::refused(call.class.name(), "quota_exceeded");
            with_level(answered, level)
        }
        Refusal::NeverFits { .. } => {
            instruments::refused(call.class.name(), "cost_over_quota");
            answered
        }
    }
}

fn with_level(answered: Answer, level: Level) -> Answer {
    answered.map(|mut response| {
        write_level(response.headers_mut(), level);
        response
    })
}

pub fn write_level(headers: &mut HeaderMap, level: Level) {
    let mut set = |name, value: u64| headers.insert(name, HeaderValue::from(value));
    set(LIMIT, level.limit.into());
    set(REMAINING, level.remaining.into());
    set(RESET, level.reset);
}

fn timed_out(call: &Call) -> Problem {
    instruments::refused(call.class.name(), "timed_out");
    let detail = "This took longer than the server gives it. It may still come to its end.";
    Problem::new(Kind::Unavailable, "timed_out", detail).retry_after(1)
}

impl Call {
    fn new(req: &ServiceRequest, caller: Caller) -> Self {
        let request_id = req.extensions().get::<RequestId>().map(|id| id.0.clone()).unwrap_or_default();
        Call {
            caller,
            app: app_of(req.path()),
            class: Class::of(req.method(), req.path()),
            method: req.method().clone(),
            path: req.path().to_owned(),
            request_id,
            units: Cell::new(0),
        }
    }

    fn reads(&self) -> bool {
        matches!(self.method, Method::GET | Method::HEAD | Method::OPTIONS)
    }

    fn subject(&self) -> Subject {
        match &self.app {
            Some(app) => Subject::App(app.clone()),
            None => Subject::Caller(self.caller.id.clone()),
        }
    }

    async fn cost(&self, gate: &Gate, body: Option<&[u8]>) -> u64 {
        match (self.class, body, &self.app) {
            (Class::Estimate, Some(body), Some(app)) => {
                let factor = gate.sizes.factor(app, clock::now_ms()).await;
                cost::of(&self.path, body, &gate.caps).saturating_mul(factor)
            }
            _ => 1,
        }
    }

    /// Whether it changes nothing: an estimate is a question, whatever its method.
    fn is_question(&self) -> bool {
        self.reads() || is_question(&self.path)
    }
}

/// The app that a path names, decoded just as the handlers' own `web::Path` decodes it.
pub fn app_of(path: &str) -> Option<String> {
    let app = path.strip_prefix("/v1/apps/")?.split('/').next().filter(|app| !app.is_empty())?;
    if !app.contains('%') {
        return Some(app.to_owned());
    }
    let mut segment = Path::new(app);
    ResourceDef::new("{app}").capture_match_info(&mut segment).then_some(())?;
    segment.load::<(String,)>().ok().map(|(app,)| app)
}

/// Counts what an app took. One that is not there takes nothing: its name may be anything.
fn count(gate: &Gate, call: &Call, answered: &Answer) {
    let (Some(app), status) = (&call.app, answered.status()) else { return };
    if status != StatusCode::NOT_FOUND && !is_padded(app) {
        let refused = status == StatusCode::TOO_MANY_REQUESTS;
        gate.usage.count(app, call.class.kind(), call.units.get(), refused, clock::now_ms());
    }
}

/// Writes the audit row of a write. It happened whether or not the row can be written.
async fn record(gate: &Gate, methods: &Methods, call: &Call, answered: &Answer) {
    if call.is_question() {
        return;
    }
    let row = AuditRow {
        id: Ulid::generate().to_string(),
        at: clock::now_ms(),
        caller: call.caller.id.clone(),
        app_id: call.app.clone(),
        method: call.method.to_string(),
        route: answered.route(methods, &call.path),
        status: answered.status().as_u16().into(),
        request_id: call.request_id.clone(),
    };
    if let Err(err) = audit::insert(&gate.db, &row).await {
        tracing::error!(error = %err, "a write is missing in the audit trail");
    }
}

/// A body that holds its request's slot until it has been sent or dropped.
struct Held {
    body: BoxBody,
    _slot: OwnedSemaphorePermit,
}

impl MessageBody for Held {
    type Error = <BoxBody as MessageBody>::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_app_of_a_path_is_decoded_as_handlers_decode_it() {
        let check = |path: &str, app: Option<&str>| assert_eq!(app_of(path).as_deref(), app, "{path}");
        check("/v1/apps/one/segments", Some("one"));
        check("/v1/apps/one", Some("one"));
        check("/v1/apps/%6fne/labels", Some("one"));
        check("/v1/apps/a%2Fb/labels", Some("a/b"));
        check("/v1/apps/%E5%BA%97/labels", Some("店"));
        check("/v1/jobs/one", None);
        check("/v1/apps", None);
    }
}
