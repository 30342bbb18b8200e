//! One OpenAPI document out of the services' parts, with what the gateway adds to every operation: keys,
//! `Idempotency-Key` on writes, and problem+json for everything that goes wrong.

use actix_web::dev::ResourceDef;
use actix_web::http::{Method, StatusCode};
use muster_http::{FieldError, PROBLEM_JSON, ProblemBody};
use utoipa::openapi::path::{Operation, Parameter, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{
    ComponentsBuilder, ContentBuilder, InfoBuilder, ObjectBuilder, OpenApi, OpenApiBuilder, Ref, RefOr,
    Response, ResponseBuilder, SecurityRequirement, Type,
};

/// The whole document. `own` is the gateway's part.
pub fn document<'a>(own: OpenApi, services: impl Iterator<Item = &'a OpenApi>) -> OpenApi {
    let info = InfoBuilder::new()
        .title("Muster")
        .version(env!("CARGO_PKG_VERSION"))
        .description(Some("User profiles and audience segments whose numbers you can trust."))
        .build();
    let components = ComponentsBuilder::new()
        .schema_from::<ProblemBody>()
        .schema_from::<FieldError>()
        .security_scheme("bearer", SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer)))
        .security_scheme("header", SecurityScheme::ApiKey(ApiKey::Header(ApiKeyValue::new("X-Api-Key"))))
        .build();
    let either = ["bearer", "header"].map(|name| SecurityRequirement::new(name, Vec::<String>::new()));
    let mut document =
        OpenApiBuilder::new().info(info).components(Some(components)).security(Some(either)).build();
    document.merge(own);
    services.for_each(|part| document.merge(part.clone()));
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            complete(&method, path, operation);
        }
    }
    document
}

pub fn operations(item: &mut PathItem) -> impl Iterator<Item = (Method, &mut Operation)> {
    let PathItem { get, put, post, delete, patch, .. } = item;
    let known = [
        (Method::GET, get),
        (Method::PUT, put),
        (Method::POST, post),
        (Method::DELETE, delete),
        (Method::PATCH, patch),
    ];
    known.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?)))
}

fn complete(method: &Method, path: &str, operation: &mut Operation) {
    // Handlers of different services may bear one name; an operation id must be unique.
    operation.operation_id = Some(operation_id(method, path));
    for (status, response) in &mut operation.responses.responses {
        describe(status, response);
    }
    operation.responses.responses.entry("default".to_owned()).or_insert_with(|| RefOr::T(problem()));
    if *method != Method::GET {
        operation.parameters.get_or_insert_default().push(RefOr::T(idempotency_key()));
    }
}

/// OpenAPI wants a description of every response; where a service has none to give, the status' own name.
fn describe(status: &str, response: &mut RefOr<Response>) {
    let RefOr::T(response) = response else { return };
    if response.description.is_empty() {
        let name = status.parse::<StatusCode>().ok().and_then(|status| status.canonical_reason());
        response.description = name.unwrap_or("An answer").to_owned();
    }
}

/// `POST /v1/apps/{app}/segments` becomes `post_apps_app_segments`.
fn operation_id(method: &Method, path: &str) -> String {
    let words =
        path.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty() && *word != "v1");
    words.fold(method.as_str().to_lowercase(), |id, word| id + "_" + word)
}

fn problem() -> Response {
    let schema = RefOr::Ref(Ref::from_schema_name("Problem"));
    ResponseBuilder::new()
        .description("What went wrong")
        .content(PROBLEM_JSON, ContentBuilder::new().schema(Some(schema)).build())
        .build()
}

fn idempotency_key() -> Parameter {
    let text =
        ObjectBuilder::new().schema_type(Type::String).min_length(Some(1)).max_length(Some(255)).build();
    ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .description(Some(
            "Sent again with the same key, the request is answered the same and not run twice.",
        ))
        .schema(Some(text))
        .build()
}

/// Which pattern a path fits and which methods it has, for what no resource has answered.
pub struct Methods(Vec<(ResourceDef, String)>);

impl Methods {
    pub fn of(document: &mut OpenApi) -> Self {
        let entries = document.paths.paths.iter_mut().map(|(path, item)| {
            let methods: Vec<String> = operations(item).map(|(method, _)| method.to_string()).collect();
            (ResourceDef::new(path.as_str()), methods.join(", "))
        });
        Methods(entries.collect())
    }

    /// The pattern that the path fits.
    pub fn pattern(&self, path: &str) -> Option<&str> {
        self.find(path)?.0.pattern()
    }

    /// The path's methods as the `Allow` header lists them; None when there is no such path.
    pub fn allowed(&self, path: &str) -> Option<&str> {
        self.find(path).map(|(_, methods)| methods.as_str())
    }

    fn find(&self, path: &str) -> Option<&(ResourceDef, String)> {
        self.0.iter().find(|(pattern, _)| pattern.is_match(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operation_ids_come_from_method_and_path() {
        assert_eq!(operation_id(&Method::POST, "/v1/apps/{app}/base-crowds"), "post_apps_app_base_crowds");
        assert_eq!(operation_id(&Method::GET, "/"), "get");
    }
}
