//! The one error that leaves a service: a kind (the HTTP status), a stable code (for programs), a
//! detail (for people) and, where the fault lies in the body, the place of each fault.

use std::fmt;

use actix_web::http::StatusCode;
use actix_web::http::header::{CONTENT_TYPE, RETRY_AFTER};
use actix_web::{HttpResponse, ResponseError};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

/// The media type of every error.
pub const PROBLEM_JSON: &str = "application/problem+json";

/// The closed set of error kinds; each is one HTTP status.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    BadRequest,
    Unauthorized,
    Forbidden,
    NotFound,
    /// The route exists, the method does not.
    NotAllowed,
    Conflict,
    TooLarge,
    /// A media type or content encoding that is not spoken here.
    Unsupported,
    /// Well-formed, but not acceptable: 422.
    Invalid,
    TooMany,
    Internal,
    Unavailable,
}

impl Kind {
    pub fn status(self) -> StatusCode {
        match self {
            Kind::BadRequest => StatusCode::BAD_REQUEST,
            Kind::Unauthorized => StatusCode::UNAUTHORIZED,
            Kind::Forbidden => StatusCode::FORBIDDEN,
            Kind::NotFound => StatusCode::NOT_FOUND,
            Kind::NotAllowed => StatusCode::METHOD_NOT_ALLOWED,
            Kind::Conflict => StatusCode::CONFLICT,
            Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Kind::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Kind::Invalid => StatusCode::UNPROCESSABLE_ENTITY,
            Kind::TooMany => StatusCode::TOO_MANY_REQUESTS,
            Kind::Internal => StatusCode::INTERNAL_SERVER_ERROR,
            Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
        }
    }
}

/// One fault in a request, and where it is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FieldError {
    /// JSON pointer into the request's body (`/where/all/0/label`), or the name of a parameter.
    pub pointer: String,
    /// Stable code of this fault.
    pub code: String,
    pub detail: String,
    /// The known name that is closest to the one that was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
}

/// An error answer. Convert a service's own error into it at the edge, and only there.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    pub kind: Kind,
    pub code: String,
    pub detail: String,
    pub errors: Vec<FieldError>,
    /// Seconds after which it is worth trying again.
    pub retry_after: Option<u64>,
    /// Further members of the JSON object.
    pub extra: Map<String, Value>,
}

/// The JSON object that a [`Problem`] is sent as (RFC 9457); further members may follow.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// `urn:muster:problem:` and the code.
    #[serde(rename = "type")]
    pub kind: String,
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// Stable: programs may rely on it.
    pub code: String,
    pub detail: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldError>,
    /// The `X-Request-Id` of the answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub request_id: Option<String>,
}

impl Problem {
    pub fn new(kind: Kind, code: &str, detail: impl Into<String>) -> Self {
        Problem {
            kind,
            code: code.to_owned(),
            detail: detail.into(),
            errors: Vec::new(),
            retry_after: None,
            extra: Map::new(),
        }
    }

    pub fn with_errors(mut self, errors: Vec<FieldError>) -> Self {
        self.errors = errors;
        self
    }

    /// Names the one thing that is wrong, with the problem's own detail: `pointer` is a parameter, or a JSON
    /// pointer into the body.
    pub fn with_fault(mut self, pointer: &str, code: &str, nearest: Option<String>) -> Self {
        let (pointer, code, detail) = (pointer.to_owned(), code.to_owned(), self.detail.clone());
        self.errors.push(FieldError { pointer, code, detail, nearest });
        self
    }

    /// `seconds` as the answer's `Retry-After`; at least 1.
    pub fn retry_after(mut self, seconds: u64) -> Self {
        self.retry_after = Some(seconds.max(1));
        self
    }

    /// Adds a member to the JSON object. The members named in [`ProblemBody`] can't be replaced.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(key.to_owned(), value.into());
        self
    }

    /// Logs `err` and answers 500 with none of its text.
    pub fn internal(err: impl fmt::Display) -> Self {
        tracing::error!(error = %err, "internal error");
        Problem::new(
            Kind::Internal,
            "internal",
            "Something went wrong here. The log names it by the request id.",
        )
    }

    /// 503 `storage_away`; `err` is for the log.
    fn away(err: impl fmt::Display) -> Self {
        tracing::warn!(error = %err, "what holds the data can't be reached");
        let detail = "What holds the data can't be reached at the moment. Try again shortly.";
        Problem::new(Kind::Unavailable, "storage_away", detail).retry_after(1)
    }

    /// What a store answered: 503 when it can't be reached, else 500.
    pub fn of_store(err: impl fmt::Display, away: bool) -> Self {
        if away { Problem::away(err) } else { Problem::internal(err) }
    }

    /// 404 with code `not_found`; `what` names the thing: "this job".
    pub fn not_found(what: impl fmt::Display) -> Self {
        Problem::new(Kind::NotFound, "not_found", format!("There is no {what}."))
    }

    /// The one answer for an app that does not exist and for an app the caller does not have.
    pub fn app_not_found(app: &str) -> Self {
        Problem::new(Kind::NotFound, "app_not_found", format!("There is no app `{app}`."))
    }

    /// The answer as sent, naming the request when `request_id` is given.
    pub fn respond(&self, request_id: Option<&str>) -> HttpResponse {
        let status = self.kind.status();
        let mut response = HttpResponse::build(status);
        response.insert_header((CONTENT_TYPE, PROBLEM_JSON));
        if let Some(seconds) = self.retry_after.or_else(|| default_retry(self.kind)) {
            response.insert_header((RETRY_AFTER, seconds.to_string()));
        }
        response.body(self.json(request_id).to_string())
    }

    /// The JSON object of [`ProblemBody`].
    pub fn json(&self, request_id: Option<&str>) -> Value {
        let status = self.kind.status();
        let mut object = self.extra.clone();
        let mut set = |key: &str, value: Value| object.insert(key.to_owned(), value);
        set("type", format!("urn:muster:problem:{}", self.code).into());
        set("title", status.canonical_reason().unwrap_or("Error").into());
        set("status", status.as_u16().into());
        set("code", self.code.as_str().into());
        set("detail", self.detail.as_str().into());
        if !self.errors.is_empty() {
            set("errors", serde_json::json!(self.errors));
        }
        if let Some(id) = request_id {
            set("request_id", id.into());
        }
        Value::Object(object)
    }
}

/// Every 429 and 503 carries `Retry-After`, also one that was made without a thought of it.
fn default_retry(kind: Kind) -> Option<u64> {
    matches!(kind, Kind::TooMany | Kind::Unavailable).then_some(1)
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.detail)
    }
}

impl std::error::Error for Problem {}

impl ResponseError for Problem {
    fn status_code(&self) -> StatusCode {
        self.kind.status()
    }

    fn error_response(&self) -> HttpResponse {
        self.respond(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sent_as_problem_json() {
        let fault = FieldError {
            pointer: "/where/label".into(),
            code: "unknown_label".into(),
            detail: "There is no label `gendr`.".into(),
            nearest: Some("gender".into()),
        };
        let problem = Problem::new(Kind::Invalid, "invalid_rule", "The rule can't be used.")
            .with_errors(vec![fault])
            .with("cap", 64)
            .with("status", "overwritten");
        let json = problem.json(Some("01J"));
        assert_eq!(
            json,
            serde_json::json!({
                "type": "urn:muster:problem:invalid_rule", "title": "Unprocessable Entity", "status": 422,
                "code": "invalid_rule", "detail": "The rule can't be used.", "cap": 64, "request_id": "01J",
                "errors": [{"pointer": "/where/label", "code": "unknown_label",
                            "detail": "There is no label `gendr`.", "nearest": "gender"}],
            })
        );
        serde_json::from_value::<ProblemBody>(json).unwrap();
    }

    #[test]
    fn retry_after_is_never_missing_where_it_is_promised() {
        let header = |problem: Problem| {
            problem.error_response().headers().get(RETRY_AFTER).map(|v| v.to_str().unwrap().to_owned())
        };
        assert_eq!(header(Problem::new(Kind::TooMany, "c", "d").retry_after(7)).unwrap(), "7");
        assert_eq!(header(Problem::new(Kind::TooMany, "c", "d").retry_after(0)).unwrap(), "1");
        assert_eq!(header(Problem::new(Kind::Unavailable, "c", "d")).unwrap(), "1");
        assert_eq!(header(Problem::new(Kind::NotFound, "c", "d")), None);
    }

    #[test]
    fn internal_text_is_not_sent() {
        let problem = Problem::internal("no such table: segment");
        assert!(!problem.json(None).to_string().contains("segment"));
    }
}
