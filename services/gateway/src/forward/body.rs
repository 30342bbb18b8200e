//! The body of a request on its way to another process.

use std::cell::{Cell, RefCell};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};

use actix_web::HttpRequest;
use actix_web::body::SizedStream;
use actix_web::error::PayloadError;
use actix_web::http::header::CONTENT_LENGTH;
use actix_web::web::{Bytes, BytesMut, Payload};
use awc::error::SendRequestError;
use awc::{ClientRequest, ClientResponse};
use futures::{Stream, StreamExt};
use muster_http::{JSON_LIMIT, Kind, Problem};

pub enum Body {
    /// Can be sent again.
    Whole(Bytes),
    /// Flows through; its length where the client told it.
    Stream(Shared, Option<u64>),
}

/// A stream that can be offered to another process as long as the first one has read nothing of it.
#[derive(Clone)]
pub struct Shared {
    payload: Rc<RefCell<Payload>>,
    touched: Rc<Cell<bool>>,
    /// What is wrong with what the client sends.
    fault: Rc<RefCell<Option<Problem>>>,
}

impl Body {
    pub fn stream(payload: Payload, req: &HttpRequest) -> Body {
        let length = req.headers().get(CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        let payload = Rc::new(RefCell::new(payload));
        Body::Stream(Shared { payload, touched: Rc::default(), fault: Rc::default() }, length)
    }

    /// The gateway has bounded and read it already; this only takes it out again.
    pub async fn read(mut payload: Payload) -> Result<Body, Problem> {
        let mut body = BytesMut::new();
        while let Some(chunk) = payload.next().await {
            let broke = |error| {
                Problem::new(Kind::BadRequest, "body_unreadable", format!("The body broke off: {error}."))
            };
            body.extend_from_slice(&chunk.map_err(broke)?);
            if body.len() > JSON_LIMIT {
                let detail = format!("The body is larger than {JSON_LIMIT} bytes.");
                return Err(Problem::new(Kind::TooLarge, "body_too_large", detail));
            }
        }
        Ok(Body::Whole(body.freeze()))
    }

    /// Why it came to nothing, where that is the client's doing and not the other process's.
    pub fn fault(&self) -> Option<Problem> {
        match self {
            Body::Whole(_) => None,
            Body::Stream(shared, _) => shared.fault.borrow_mut().take(),
        }
    }

    pub fn is_untouched(&self) -> bool {
        match self {
            Body::Whole(_) => true,
            Body::Stream(shared, _) => !shared.touched.get(),
        }
    }

    pub async fn send(
        &self,
        request: ClientRequest,
    ) -> Result<
        ClientResponse<impl Stream<Item = Result<Bytes, PayloadError>> + Unpin + 'static>,
        SendRequestError,
    > {
        match self {
            Body::Whole(bytes) if bytes.is_empty() => request.send().await,
            Body::Whole(bytes) => request.send_body(bytes.clone()).await,
            Body::Stream(shared, Some(length)) => {
                request.send_body(SizedStream::new(*length, shared.clone())).await
            }
            Body::Stream(shared, None) => request.send_stream(shared.clone()).await,
        }
    }
}

impl Stream for Shared {
    type Item = Result<Bytes, PayloadError>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.touched.set(true);
        let polled = self.payload.borrow_mut().poll_next_unpin(cx);
        if let Poll::Ready(Some(Err(error))) = &polled {
            *self.fault.borrow_mut() = Some(broken_off(error));
        }
        polled
    }
}

fn broken_off(error: &PayloadError) -> Problem {
    match error {
        PayloadError::Overflow => {
            Problem::new(Kind::TooLarge, "body_too_large", "The body is larger than it may be.")
        }
        error => Problem::new(Kind::BadRequest, "body_unreadable", format!("The body broke off: {error}.")),
    }
}
