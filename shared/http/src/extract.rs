//! Settings of actix's extractors, so that a body, path or query that can't be read is a problem+json
//! like every other error. The gateway registers them once for all services.

use actix_web::error::{JsonPayloadError, PayloadError};
use actix_web::web::{JsonConfig, PathConfig, PayloadConfig, QueryConfig, ServiceConfig};

use crate::problem::{Kind, Problem};

/// The most bytes a JSON body may have.
pub const JSON_LIMIT: usize = 1 << 20;

/// Registers the error handlers and body limits of `web::Json`, `web::Bytes`, `web::Path` and `web::Query`.
pub fn extractors(config: &mut ServiceConfig) {
    let json = JsonConfig::default().limit(JSON_LIMIT).error_handler(|err, _| json_problem(&err).into());
    let query = QueryConfig::default()
        .error_handler(|err, _| Problem::new(Kind::BadRequest, "invalid_query", sentence(&err)).into());
    let path = PathConfig::default()
        .error_handler(|err, _| Problem::new(Kind::BadRequest, "invalid_path", sentence(&err)).into());
    config.app_data(json).app_data(query).app_data(path).app_data(PayloadConfig::new(JSON_LIMIT));
}

fn json_problem(err: &JsonPayloadError) -> Problem {
    match err {
        JsonPayloadError::OverflowKnownLength { .. } | JsonPayloadError::Overflow { .. } => too_large(),
        JsonPayloadError::Payload(PayloadError::Overflow) => too_large(),
        JsonPayloadError::ContentType => {
            let detail = "The body must be JSON, sent with `Content-Type: application/json`.";
            Problem::new(Kind::Unsupported, "unsupported_media_type", detail)
        }
        // Data errors are about the shape that was wanted; the rest is not JSON at all.
        JsonPayloadError::Deserialize(err) if err.is_data() => {
            Problem::new(Kind::Invalid, "invalid_body", sentence(err))
        }
        JsonPayloadError::Deserialize(err) => Problem::new(Kind::BadRequest, "invalid_json", sentence(err)),
        JsonPayloadError::Payload(err) => Problem::new(Kind::BadRequest, "body_unreadable", sentence(err)),
        other => Problem::new(Kind::BadRequest, "body_unreadable", sentence(other)),
    }
}

fn too_large() -> Problem {
    let detail = format!("The body is larger than {JSON_LIMIT} bytes.");
    Problem::new(Kind::TooLarge, "body_too_large", detail).with("limit_bytes", JSON_LIMIT)
}

/// The error's own words, with a capital letter and a full stop.
fn sentence(err: &impl std::fmt::Display) -> String {
    let text = err.to_string();
    let mut letters = text.trim_end_matches('.').chars();
    match letters.next() {
        Some(first) => first.to_uppercase().chain(letters).chain(['.']).collect(),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use actix_web::http::StatusCode;
    use actix_web::http::header::CONTENT_TYPE;
    use actix_web::{App, test, web};
    use serde::Deserialize;
    use serde_json::Value;

    use super::*;
    use crate::PROBLEM_JSON;

    #[derive(Deserialize)]
    struct Wanted {
        #[allow(dead_code)]
        n: u32,
    }

    async fn check(request: test::TestRequest, status: StatusCode, code: &str) {
        let app = test::init_service(
            App::new()
                .configure(extractors)
                .route("/json", web::post().to(async |_: web::Json<Wanted>| ""))
                .route("/path/{n}", web::get().to(async |_: web::Path<u32>| ""))
                .route("/query", web::get().to(async |_: web::Query<Wanted>| "")),
        )
        .await;
        let response = test::call_service(&app, request.to_request()).await;
        assert_eq!(response.status(), status);
        assert_eq!(response.headers().get(CONTENT_TYPE).unwrap(), PROBLEM_JSON);
        let body: Value = test::read_body_json(response).await;
        assert_eq!(body["code"], code);
    }

    fn json(body: impl Into<String>) -> test::TestRequest {
        test::TestRequest::post()
            .uri("/json")
            .insert_header((CONTENT_TYPE, "application/json"))
            .set_payload(body.into())
    }

    #[actix_web::test]
    async fn what_cannot_be_read_is_a_problem() {
        check(json("{"), StatusCode::BAD_REQUEST, "invalid_json").await;
        check(json(r#"{"n": "x"}"#), StatusCode::UNPROCESSABLE_ENTITY, "invalid_body").await;
        check(json(" ".repeat(JSON_LIMIT + 1)), StatusCode::PAYLOAD_TOO_LARGE, "body_too_large").await;
        let text = test::TestRequest::post().uri("/json").set_payload("{}");
        check(text, StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type").await;
        check(test::TestRequest::get().uri("/path/x"), StatusCode::BAD_REQUEST, "invalid_path").await;
        check(test::TestRequest::get().uri("/query?n=x"), StatusCode::BAD_REQUEST, "invalid_query").await;
    }
}
