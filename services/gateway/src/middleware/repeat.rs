//! `Idempotency-Key`: the first request with a key runs to its end, even when its client goes away, and
//! the ones after it get its answer.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::body::{BodySize, MessageBody};
use actix_web::dev::ServiceRequest;
use actix_web::http::StatusCode;
use actix_web::http::header::{
    CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue,
    LOCATION,
};
use muster_http::{Kind, Problem};
use sha2::{Digest, Sha256};
use tracing::Instrument;

use super::answer::{Answer, Outcome, answer};
use crate::clock;
use crate::instruments;
use crate::operations::keys::hex;
use crate::operations::once::{KEPT_LIMIT, Kept, Key, Once, Turn};

const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");

/// A request that may be sent again.
pub struct Repeatable {
    key: Key,
    fingerprint: String,
    /// The body was no part of the fingerprint.
    streamed: bool,
}

impl Repeatable {
    /// None for a request without a key. `body` is None when it streams: then the headers that describe
    /// it stand for it.
    pub fn of(req: &ServiceRequest, caller: &str, body: Option<&[u8]>) -> Result<Option<Self>, Problem> {
        let Some(sent) = req.headers().get(IDEMPOTENCY_KEY) else { return Ok(None) };
        // What is no text fails the key's check like any other bad key.
        let request_key = sent.to_str().unwrap_or_default().to_owned();
        let key = Key { caller: caller.to_owned(), request_key };
        Ok(Some(Repeatable { key, fingerprint: fingerprint(req, body), streamed: body.is_none() }))
    }

    /// Runs the request, or answers for it.
    pub async fn run(self, once: Arc<Once>, inner: impl Future<Output = Outcome> + 'static) -> Answer {
        let turn = match once.begin(&self.key, &self.fingerprint, clock::now_ms()).await {
            Ok(turn) => turn,
            Err(problem) => return Answer::refuse(problem),
        };
        if let Turn::Replay(kept) = turn {
            instruments::replayed();
            return Answer::respond(replay(kept));
        }
        // In a task of its own, so that neither a lost connection nor a time limit leaves a half-done
        // request whose key nobody can use.
        let task = async move {
            let answered = answer(inner).await;
            self.settle(&once, answered).await
        };
        match actix_web::rt::spawn(task.in_current_span()).await {
            Ok(answered) => answered,
            Err(err) => Answer::refuse(Problem::internal(err)),
        }
    }

    /// Keeps the answer, or frees the key when the request may be tried again.
    async fn settle(self, once: &Once, answered: Answer) -> Answer {
        if !self.is_worth_keeping(&answered) {
            if let Err(err) = once.release(&self.key).await {
                tracing::error!(error = %err, "an Idempotency-Key stays taken");
            }
            return answered;
        }
        let (answered, kept) = copy(answered).await;
        if let Err(err) = once.keep(&self.key, &kept).await {
            tracing::error!(error = %err, "an answer could not be kept for its Idempotency-Key");
        }
        answered
    }

    fn is_worth_keeping(&self, answered: &Answer) -> bool {
        let status = answered.status();
        let size = answered.response.body().size();
        let small =
            matches!(size, BodySize::None) || matches!(size, BodySize::Sized(n) if n <= KEPT_LIMIT as u64);
        // A refused import may be sent again with a better file, and one that broke off as it was.
        let decided = !self.streamed || status.is_success();
        small && decided && !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS
    }
}

fn fingerprint(req: &ServiceRequest, body: Option<&[u8]>) -> String {
    let mut hash = Sha256::new();
    let mut add = |part: &[u8]| {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    };
    add(req.method().as_str().as_bytes());
    add(req.path().as_bytes());
    add(req.query_string().as_bytes());
    match body {
        Some(body) => add(body),
        None => {
            for name in [CONTENT_TYPE, CONTENT_ENCODING, CONTENT_LENGTH] {
                add(req.headers().get(name).map_or(b"", HeaderValue::as_bytes));
            }
        }
    }
    hex(&hash.finalize())
}

fn replay(kept: Kept) -> HttpResponse {
    let status = StatusCode::from_u16(kept.status).unwrap_or(StatusCode::OK);
    let mut response = HttpResponse::build(status);
    response.insert_header((REPLAYED, "true"));
    for (name, value) in [(CONTENT_TYPE, kept.content_type), (LOCATION, kept.location)] {
        if let Some(value) = value {
            response.insert_header((name, value));
        }
    }
    response.body(kept.body)
}

/// The answer, and what of it is kept.
async fn copy(answered: Answer) -> (Answer, Kept) {
    let secret = is_secret(answered.response.headers());
    let text = |headers: &HeaderMap, name| Some(headers.get(name)?.to_str().ok()?.to_owned());
    let headers = answered.response.headers();
    let (content_type, location) = (text(headers, CONTENT_TYPE), text(headers, LOCATION));
    let status = answered.status().as_u16();
    let (answered, body) = answered.read().await;
    let kept = Kept { status, content_type, location, body };
    (answered, if secret { without_secret(kept) } else { kept })
}

fn is_secret(headers: &HeaderMap) -> bool {
    headers.get(CACHE_CONTROL).is_some_and(|value| value == "no-store")
}

/// A secret is shown once and stored nowhere, here neither: the repeated request learns that it was done.
fn without_secret(kept: Kept) -> Kept {
    let detail = "This request was done before. Its answer held a secret, which is shown only once.";
    let problem = Problem::new(Kind::Conflict, "answer_not_kept", detail);
    let content_type = Some(muster_http::PROBLEM_JSON.to_owned());
    Kept { status: 409, content_type, body: problem.json(None).to_string().into_bytes(), ..kept }
}
