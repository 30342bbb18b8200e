//! Bodies: a JSON body is read whole before its request is weighed, an import flows through under a
//! bound on its size and on its sender's silence.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_web::HttpMessage;
use actix_web::dev::{Payload, ServiceRequest};
use actix_web::error::PayloadError;
use actix_web::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, HeaderMap};
use bytes::{Bytes, BytesMut};
use futures::{FutureExt, Stream, StreamExt};
use muster_http::{JSON_LIMIT, Kind, Problem};
use tokio::time::Sleep;

use crate::settings::ImportLimits;

/// Reads the body, and leaves it in the request for its handler.
pub async fn whole(req: &mut ServiceRequest) -> Result<Bytes, Problem> {
    // The cost of a rule is read here and its text in the handler: both must see the same bytes.
    if req.headers().get(CONTENT_ENCODING).is_some_and(|coding| coding != "identity") {
        let detail = "A JSON body is sent as it is, without a `Content-Encoding`.";
        return Err(Problem::new(Kind::Unsupported, "unsupported_encoding", detail));
    }
    let limit = JSON_LIMIT as u64;
    let announced = announced(req.headers()).unwrap_or(0);
    if announced > limit {
        return Err(too_large(limit));
    }
    let mut payload = req.take_payload();
    let mut body = BytesMut::with_capacity(announced as usize);
    while let Some(chunk) = payload.next().await {
        body.extend_from_slice(&chunk.map_err(unreadable)?);
        if body.len() as u64 > limit {
            return Err(too_large(limit));
        }
    }
    let body = body.freeze();
    let again = futures::stream::iter([Ok(body.clone())]);
    req.set_payload(Payload::from(Box::pin(again) as Pin<Box<dyn Stream<Item = _>>>));
    Ok(body)
}

/// Bounds the body that the handler will read; one that says it is too large is refused at once.
pub fn bound(req: &mut ServiceRequest, limits: &ImportLimits) -> Result<(), Problem> {
    if announced(req.headers()).is_some_and(|length| length > limits.max_bytes) {
        return Err(too_large(limits.max_bytes));
    }
    let silence = Duration::from_secs(limits.silence_seconds);
    let bounded = Bounded { body: req.take_payload(), left: limits.max_bytes, silence, since: None };
    req.set_payload(Payload::from(Box::pin(bounded) as Pin<Box<dyn Stream<Item = _>>>));
    Ok(())
}

fn announced(headers: &HeaderMap) -> Option<u64> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn too_large(limit: u64) -> Problem {
    let detail = format!("The body is larger than {limit} bytes.");
    Problem::new(Kind::TooLarge, "body_too_large", detail).with("limit_bytes", limit)
}

fn unreadable(err: PayloadError) -> Problem {
    Problem::new(Kind::BadRequest, "body_unreadable", format!("The body broke off: {err}."))
}

/// The bytes of an import. The handler sees [`PayloadError::Overflow`] past the bound, and a time-out
/// when the sender is silent for too long; time in which nobody reads does not count as silence.
struct Bounded {
    body: Payload,
    left: u64,
    silence: Duration,
    since: Option<Pin<Box<Sleep>>>,
}

impl Stream for Bounded {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Poll::Ready(chunk) = this.body.poll_next_unpin(cx) {
            this.since = None;
            return Poll::Ready(chunk.map(|chunk| this.count(chunk?)));
        }
        let silence = this.silence;
        let since = this.since.get_or_insert_with(|| Box::pin(tokio::time::sleep(silence)));
        since.poll_unpin(cx).map(|()| Some(Err(PayloadError::Io(std::io::ErrorKind::TimedOut.into()))))
    }
}

impl Bounded {
    fn count(&mut self, chunk: Bytes) -> Result<Bytes, PayloadError> {
        self.left = self.left.checked_sub(chunk.len() as u64).ok_or(PayloadError::Overflow)?;
        Ok(chunk)
    }
}
