//! The error answers of the catalogue's routes, for the OpenAPI document.

use std::collections::BTreeMap;

use muster_http::{PROBLEM_JSON, ProblemBody};
use utoipa::openapi::{ContentBuilder, RefOr, Response, ResponseBuilder};
use utoipa::{IntoResponses, ToSchema};

/// What every catalogue route can answer instead.
pub struct Refused;

impl IntoResponses for Refused {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let problems = [
            (
                "400",
                "A query parameter that can't be used: `invalid_limit`, `invalid_cursor`, `invalid_query`, \
                 `unknown_format`.",
            ),
            ("401", "No caller: `unauthorized`."),
            ("403", "The key lacks the role `read`: `forbidden_role`."),
            ("500", "`internal`: the log names the cause by the request id."),
        ];
        problems.map(|(status, text)| (status.to_owned(), problem(text))).into()
    }
}

/// What a route that changes the catalogue can answer besides.
pub struct CanNotChange;

impl IntoResponses for CanNotChange {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let problems = [
            (
                "400",
                "`invalid_app`, or `invalid_if_match`: `If-Match` is not a version as the `ETag` has it.",
            ),
            ("403", "The key lacks the role `admin`: `forbidden_role`."),
            ("409", "`version_conflict`: `If-Match` names another version than `version`, the one now."),
            (
                "422",
                "`invalid_catalogue`, with every fault and its place, or `invalid_body`; nothing is changed.",
            ),
        ];
        problems.map(|(status, text)| (status.to_owned(), problem(text))).into()
    }
}

/// What a route below an app can answer besides: there is no such app, or not for this key.
pub struct NoSuchApp;

impl IntoResponses for NoSuchApp {
    fn responses() -> BTreeMap<String, RefOr<Response>> {
        let text = "No such app, or none that this key has: `app_not_found`.";
        BTreeMap::from([("404".to_owned(), problem(text))])
    }
}

fn problem(text: &str) -> RefOr<Response> {
    let schema = utoipa::openapi::Ref::from_schema_name(ProblemBody::name());
    let content = ContentBuilder::new().schema(Some(schema)).build();
    ResponseBuilder::new().description(text).content(PROBLEM_JSON, content).build().into()
}
