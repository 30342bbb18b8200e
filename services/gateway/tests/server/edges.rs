//! What every answer has: a request id, one shape of error, a place in the audit trail and the metrics.

use muster_http::Role;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Server, problem, send};

#[tokio::test]
async fn a_request_id_goes_through() {
    let server = Server::start(|_| {}).await;
    let own = send(server.get("/v1/apps/gone/notes").header("X-Request-Id", "mine-1")).await;
    assert_eq!(own.header("x-request-id"), Some("mine-1"));
    assert_eq!(own.problem(), problem(404, "app_not_found"));
    let made = send(server.get("/healthz").header("X-Request-Id", "not sane")).await;
    assert_eq!(made.header("x-request-id").unwrap().len(), 26);
    server.stop().await;
}

#[tokio::test]
async fn every_error_is_a_problem() {
    let server = Server::start(|_| {}).await;
    let notes = "/v1/apps/one/notes";
    let post = |body: &'static str| server.request(Method::POST, notes).body(body);
    let json = |body| post(body).header("Content-Type", "application/json");
    for (request, expected) in [
        (server.get("/nowhere"), problem(404, "not_found")),
        (server.get("/v1/nowhere"), problem(404, "not_found")),
        (json("{"), problem(400, "invalid_json")),
        (json("{}"), problem(422, "invalid_body")),
        (post("{}"), problem(415, "unsupported_media_type")),
        (server.get("/v1/jobs?limit=x"), problem(400, "invalid_query")),
        (server.get("/v1/apps/one/panic"), problem(500, "internal")),
    ] {
        assert_eq!(send(request).await.problem(), expected);
    }
    let wrong = send(server.request(Method::DELETE, notes)).await;
    assert_eq!(wrong.problem(), problem(405, "method_not_allowed"));
    assert_eq!(wrong.header("allow"), Some("GET, POST"));
    let panicked = send(server.get("/v1/apps/one/panic").header("X-Request-Id", "p-1")).await;
    assert!(!panicked.text.contains("asked for"), "internal text is not sent: {}", panicked.text);
    assert_eq!(send(server.get(notes)).await.status, 200, "it goes on after a panic");
    server.stop().await;
}

#[tokio::test]
async fn writes_are_in_the_audit_trail() {
    let server = Server::with_keys(|_| {}).await;
    let root = server.key(&[], &[Role::Admin]).await;
    let one = server.key(&["one"], &[Role::Segment]).await;
    let request = |app: &str| server.note(app, "", "x").bearer_auth(&one);
    assert_eq!(send(request("one").header("X-Request-Id", "w-1")).await.status, 201);
    assert_eq!(send(request("two").header("X-Request-Id", "w-2")).await.status, 404);
    send(server.get("/v1/apps/one/notes").bearer_auth(&one)).await;

    let trail = send(server.get("/v1/audit").bearer_auth(&root)).await.json();
    let items = trail["items"].as_array().unwrap();
    assert_eq!(items.len(), 2, "writes only: {trail}");
    let of = |id: &str| items.iter().find(|item| item["request_id"] == id).unwrap();
    assert_eq!((&of("w-1")["app"], &of("w-1")["status"]), (&json!("one"), &json!(201)));
    assert_eq!((&of("w-2")["app"], &of("w-2")["status"]), (&json!("two"), &json!(404)));
    assert_eq!(of("w-1")["route"], "/v1/apps/{app}/notes");
    assert_eq!(of("w-1")["method"], "POST");
    assert!(of("w-1")["caller"].as_str().unwrap().starts_with("key_"));

    let page = send(server.get("/v1/audit?limit=1").bearer_auth(&root)).await.json();
    let next = page["next"].as_str().unwrap();
    let rest = send(server.get(&format!("/v1/audit?cursor={next}")).bearer_auth(&root)).await.json();
    assert_eq!((&page["items"][0], &rest["items"][0]), (&items[0], &items[1]));
    server.stop().await;
}

#[tokio::test]
async fn metrics_name_routes_and_no_users() {
    let server = Server::start(|_| {}).await;
    assert_eq!(send(server.get("/v1/apps/one/notes?who=person-4711")).await.status, 200);
    assert_eq!(send(server.get("/v1/person-4711")).await.status, 404);
    let text = send(server.get("/metrics")).await.text;
    let line = r#"muster_http_requests_total{method="GET",route="/v1/apps/{app}/notes",status="200"}"#;
    assert!(text.contains(line), "{text}");
    assert!(text.contains("muster_http_request_seconds_bucket"));
    assert!(!text.contains("person-4711"));
    server.stop().await;
}

#[tokio::test]
async fn readiness_follows_its_conditions() {
    let server = Server::start(|_| {}).await;
    assert_eq!(send(server.get("/readyz")).await.status, 200);
    server.db.close().await;
    assert_eq!(send(server.get("/readyz")).await.problem(), problem(503, "not_ready"));
    assert_eq!(send(server.get("/healthz")).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn the_document_names_every_route_once() {
    let server = Server::start(|_| {}).await;
    let document = send(server.get("/openapi.json")).await.json();
    assert_eq!(document["openapi"].as_str().unwrap().split('.').take(2).collect::<Vec<_>>(), ["3", "1"]);
    let add = &document["paths"]["/v1/apps/{app}/notes"]["post"];
    assert_eq!(add["operationId"], "post_apps_app_notes");
    assert!(add["parameters"].as_array().unwrap().iter().any(|p| p["name"] == "Idempotency-Key"));
    let problem = &add["responses"]["default"]["content"]["application/problem+json"]["schema"]["$ref"];
    assert_eq!(problem, "#/components/schemas/Problem");
    assert!(document["components"]["schemas"]["Problem"].is_object());
    assert!(document["components"]["securitySchemes"]["bearer"].is_object());
    let mut ids = std::collections::BTreeSet::new();
    let items = document["paths"].as_object().unwrap().values();
    for operation in items.flat_map(|item| item.as_object().unwrap().values()) {
        assert!(
            ids.insert(operation["operationId"].as_str().unwrap()),
            "twice: {}",
            operation["operationId"]
        );
        for response in operation["responses"].as_object().unwrap().values() {
            assert!(response["description"].as_str().is_some_and(|text| !text.is_empty()), "{operation}");
        }
    }
    // For a validator of OpenAPI, which is no Rust crate.
    if let Some(file) = std::env::var_os("MUSTER_OPENAPI_OUT") {
        std::fs::write(file, document.to_string()).unwrap();
    }
    server.stop().await;
}
