//! What came out of the inner layers, in one shape: a response, an error on its way out or a panic.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use actix_web::body::{BoxBody, to_bytes};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::StatusCode;
use actix_web::{Error, HttpMessage, HttpRequest, HttpResponse, ResponseError};
use futures::FutureExt;
use muster_http::{Known, Problem};

use crate::operations::openapi::Methods;

const UNMATCHED: &str = "unmatched";

/// The pattern of the route, of a request that was not routed.
struct Route(Arc<str>);

pub type Outcome = Result<ServiceResponse<BoxBody>, Error>;

/// A response, and its request unless that was lost with an error. (An actix request must not be cloned
/// before it has been routed, so who fails on the way in has none to hand back.)
pub struct Answer {
    request: Option<HttpRequest>,
    pub response: HttpResponse,
}

impl Answer {
    pub fn status(&self) -> StatusCode {
        self.response.status()
    }

    /// The pattern of the path that was asked for; `unmatched` where it has none.
    pub fn route(&self, methods: &Methods, path: &str) -> String {
        let Some(request) = &self.request else {
            return methods.pattern(path).unwrap_or(UNMATCHED).to_owned();
        };
        if let Some(Route(route)) = request.extensions().get() {
            return str::to_owned(route);
        }
        // It was routed, so this is no search.
        request.match_pattern().unwrap_or_else(|| UNMATCHED.to_owned())
    }

    /// What was known before the request was routed.
    pub fn known(req: ServiceRequest, known: Known) -> Self {
        let request = req.into_parts().0;
        request.extensions_mut().insert(Route(known.route));
        Answer { request: Some(request), response: known.response }
    }

    pub fn respond(response: HttpResponse) -> Self {
        Answer { request: None, response }
    }

    pub fn refuse(problem: Problem) -> Self {
        Answer::respond(HttpResponse::from_error(problem))
    }

    /// Also the bytes of the body, which must not be a stream.
    pub async fn read(self) -> (Self, Vec<u8>) {
        let Answer { request, response } = self;
        let (head, body) = response.into_parts();
        match to_bytes(body).await {
            Ok(bytes) => {
                let response = head.set_body(BoxBody::new(bytes.clone()));
                (Answer { request, response }, bytes.to_vec())
            }
            Err(err) => (Answer::refuse(Problem::internal(err)), Vec::new()),
        }
    }

    /// The answer with another body.
    pub fn map(self, change: impl FnOnce(HttpResponse) -> HttpResponse) -> Self {
        Answer { request: self.request, response: change(self.response) }
    }

    pub fn into_outcome(self) -> Outcome {
        match self.request {
            Some(request) => Ok(ServiceResponse::new(request, self.response)),
            None => Err(Early(RefCell::new(Some(self.response))).into()),
        }
    }
}

impl From<Outcome> for Answer {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Ok(answered) => {
                let (request, response) = answered.into_parts();
                Answer { request: Some(request), response }
            }
            Err(err) => {
                let early = err.as_error::<Early>().and_then(|early| early.0.take());
                Answer::respond(early.unwrap_or_else(|| HttpResponse::from_error(err)))
            }
        }
    }
}

/// A response on its way out as an error, whole: the layers it passes still see which problem it is.
#[derive(Debug)]
struct Early(RefCell<Option<HttpResponse>>);

impl fmt::Display for Early {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("answered early")
    }
}

impl ResponseError for Early {
    fn error_response(&self) -> HttpResponse {
        let taken = || HttpResponse::new(StatusCode::INTERNAL_SERVER_ERROR);
        self.0.take().unwrap_or_else(taken)
    }
}

/// Waits for the inner layers; a panic there is a 500 here.
pub async fn answer(inner: impl Future<Output = Outcome>) -> Answer {
    match AssertUnwindSafe(inner).catch_unwind().await {
        Ok(outcome) => outcome.into(),
        Err(panic) => Answer::refuse(Problem::internal(format_args!("panic: {}", text(&*panic)))),
    }
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("without a text")
}
