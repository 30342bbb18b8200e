//! Two apps: no key of one reads anything of the other, on any route.

use muster_http::Role;
use muster_jobs::{NewJob, Priority};
use reqwest::Method;
use serde_json::{Value, json};

use crate::harness::{Answer, Server, problem, send};

/// Every (method, path) of the server's own document.
async fn routes(server: &Server) -> Vec<(Method, String)> {
    let document = send(server.get("/openapi.json")).await.json();
    let paths = document["paths"].as_object().unwrap();
    let methods = |path: &str, item: &Value| {
        let names = item.as_object().unwrap().keys().cloned();
        let path = path.to_owned();
        names.map(move |name| (name.to_uppercase().parse().unwrap(), path.clone())).collect::<Vec<_>>()
    };
    paths.iter().flat_map(|(path, item)| methods(path, item)).collect()
}

async fn ask(server: &Server, key: &str, method: &Method, path: &str) -> Answer {
    let request = server.request(method.clone(), path).bearer_auth(key).header("X-Request-Id", "same");
    let body = match path {
        "/v1/keys" => json!({"name": "x", "apps": "*", "roles": ["admin"]}),
        _ => json!({"text": "x"}),
    };
    send(if *method == Method::GET { request } else { request.json(&body) }).await
}

#[tokio::test]
async fn no_route_shows_a_foreign_app() {
    let server = Server::with_keys(|_| {}).await;
    let two = server.key(&["two"], &[Role::Admin]).await;
    let root = server.key(&[], &[Role::Admin]).await;
    let mut seen = 0;
    for (method, path) in routes(&server).await.iter().filter(|(_, path)| path.contains("{app}")) {
        let foreign = ask(&server, &two, method, &path.replace("{app}", "one")).await;
        assert_eq!(foreign.problem(), problem(404, "app_not_found"), "{method} {path}");
        if path.ends_with("/panic") {
            continue;
        }
        // What somebody with all apps is told about an app that is not there.
        let absent = ask(&server, &root, method, &path.replace("{app}", "gone")).await;
        assert_eq!(foreign.text.replace("one", "gone"), absent.text, "{method} {path}");
        seen += 1;
    }
    assert!(seen >= 4, "{seen} routes were compared");
    for path in ["/v1/apps/one/nowhere", "/v1/apps/%6fne/notes", "/v1/apps/one", "/v1/apps/one%2Fnotes"] {
        let foreign = ask(&server, &two, &Method::GET, path).await;
        assert_eq!(foreign.problem(), problem(404, "app_not_found"), "{path}");
    }
    server.stop().await;
}

#[tokio::test]
async fn no_route_shows_a_foreign_job_or_key() {
    let server = Server::with_keys(|_| {}).await;
    let two = server.key(&["two"], &[Role::Admin]).await;
    let job = server
        .jobs
        .enqueue(NewJob {
            id: None,
            app_id: Some("one".into()),
            owner: "somebody".into(),
            kind: "count",
            payload: Value::Null,
            priority: Priority::Interactive,
        })
        .await
        .unwrap();
    let mut seen = 0;
    for (method, path) in routes(&server).await {
        if !path.starts_with("/v1/") || path.contains("{app}") || path == "/v1/imports" {
            continue;
        }
        let filled = path.replace("{job}", &job.id).replace("{key}", "key_any");
        let answer = ask(&server, &two, &method, &filled).await;
        seen += 1;
        match path.as_str() {
            "/v1/jobs" => assert_eq!(answer.json(), json!({"items": [], "next": null})),
            path if path.contains("{job}") => {
                assert_eq!(answer.problem(), problem(404, "not_found"));
                let absent = ask(&server, &two, &method, &path.replace("{job}", "job_none")).await;
                assert_eq!(answer.text, absent.text, "{method} {path}");
            }
            path => assert_eq!(answer.problem(), problem(403, "forbidden_role"), "{method} {path}"),
        }
    }
    assert!(seen >= 8, "{seen} routes were tried");
    assert!(!server.jobs.get(&job.id).await.unwrap().unwrap().state.is_final(), "it was not cancelled");
    server.stop().await;
}
