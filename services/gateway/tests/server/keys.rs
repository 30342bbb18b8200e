//! Who comes in, with a key and without one.

use std::net::TcpListener;

use muster_gateway::{GatewayError, Settings, build, run};
use muster_http::Role;
use muster_jobs::Jobs;
use reqwest::Method;
use serde_json::json;

use crate::harness::{Server, make_key, problem, send};

#[tokio::test]
async fn loopback_without_keys_is_the_administrator() {
    let server = Server::start(|_| {}).await;
    assert_eq!(send(server.get("/v1/audit")).await.status, 200);
    assert_eq!(send(server.note("one", "", "hello")).await.status, 201);

    let wrong = send(server.get("/v1/audit").bearer_auth("mk_wrong")).await;
    assert_eq!(wrong.problem(), problem(401, "invalid_key"), "a key that is shown must be right");
    assert_eq!(wrong.header("www-authenticate"), Some("Bearer"));
    let basic = send(server.get("/v1/audit").basic_auth("user", Some("word"))).await;
    assert_eq!(basic.problem(), problem(401, "unauthorized"));
    server.stop().await;
}

#[tokio::test]
async fn keys_are_asked_for_where_the_settings_say_so() {
    let server = Server::with_keys(|_| {}).await;
    let secret = server.key(&["one"], &[Role::Read]).await;
    assert_eq!(send(server.get("/v1/apps/one/notes")).await.problem(), problem(401, "unauthorized"));
    assert_eq!(send(server.get("/v1/nowhere")).await.problem(), problem(401, "unauthorized"));
    assert_eq!(send(server.get("/v1/apps/one/notes").bearer_auth(&secret)).await.status, 200);
    assert_eq!(send(server.get("/v1/apps/one/notes").header("X-Api-Key", &secret)).await.status, 200);
    let lacks = send(server.note("one", "", "x").bearer_auth(&secret)).await;
    assert_eq!(lacks.problem(), problem(403, "forbidden_role"));
    for public in ["/", "/healthz", "/readyz", "/metrics", "/openapi.json"] {
        assert_eq!(send(server.get(public)).await.status, 200, "{public}");
    }
    server.stop().await;
}

#[tokio::test]
async fn elsewhere_it_does_not_start_without_a_key() {
    let folder = tempfile::tempdir().unwrap();
    let db = muster_real_servers::database(folder.path()).await;
    let queue = muster_jobs::QueueAt::File(folder.path().join("queue.db"));
    let jobs = Jobs::new(db.clone(), &queue, muster_jobs::Settings::default()).await.unwrap();
    let gateway = build(Settings::default(), db, jobs, vec![]).unwrap();
    let listener = TcpListener::bind("0.0.0.0:0").unwrap();
    let refused = run(gateway, listener, std::future::pending()).await.unwrap_err();
    assert!(matches!(refused, GatewayError::NoKeys(_)));
    assert!(refused.to_string().contains("muster key create"), "{refused}");
}

#[tokio::test]
async fn elsewhere_it_starts_with_a_key_and_asks_for_it() {
    let made = std::sync::Arc::new(std::sync::Mutex::new(String::new()));
    let kept = made.clone();
    let server = Server::listen(
        "0.0.0.0:0",
        |_| {},
        async move |db| {
            *kept.lock().unwrap() = make_key(&db, &[], &[Role::Admin]).await;
        },
    )
    .await;
    let secret = made.lock().unwrap().clone();
    assert_eq!(send(server.get("/v1/audit")).await.problem(), problem(401, "unauthorized"));
    assert_eq!(send(server.get("/v1/audit").bearer_auth(&secret)).await.status, 200);
    let by_name = server.get("/v1/audit").bearer_auth(&secret).header("Host", "muster.example");
    assert_eq!(send(by_name).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn pages_of_strangers_do_not_reach_a_server_without_keys() {
    let server = Server::start(|_| {}).await;
    for host in ["evil.example", "evil.example:8080", "127.0.0.1.evil.example"] {
        for path in ["/v1/jobs", "/metrics", "/nowhere"] {
            let rebound = send(server.get(path).header("Host", host)).await;
            assert_eq!(rebound.problem(), problem(403, "host_not_allowed"), "{host}{path}");
        }
    }
    for host in ["localhost", "localhost:9", "[::1]:9", "127.0.0.1"] {
        assert_eq!(send(server.get("/v1/jobs").header("Host", host)).await.status, 200, "{host}");
    }
    for origin in ["https://evil.example", "null", "http://localhost:3000"] {
        let posted = send(server.note("one", "", "x").header("Origin", origin)).await;
        assert_eq!(posted.problem(), problem(403, "origin_not_allowed"), "{origin}");
    }
    let own = server.note("one", "", "x").header("Origin", &server.base);
    assert_eq!(send(own).await.status, 201);
    server.stop().await;
}

#[tokio::test]
async fn keys_are_made_listed_and_revoked() {
    let server = Server::with_keys(|_| {}).await;
    let root = server.key(&[], &[Role::Admin]).await;
    let body = json!({"name": "ci", "apps": ["one"], "roles": ["read", "segment"]});
    let make = || server.request(Method::POST, "/v1/keys").bearer_auth(&root);

    let made = send(make().json(&body)).await;
    assert_eq!((made.status, made.header("cache-control")), (201, Some("no-store")));
    let (id, secret) = (made.json()["id"].as_str().unwrap().to_owned(), made.json()["secret"].clone());
    let secret = secret.as_str().unwrap();
    assert_eq!(made.header("location"), Some(format!("/v1/keys/{id}").as_str()));
    assert_eq!(send(server.note("one", "", "x").bearer_auth(secret)).await.status, 201);

    let listed = send(server.get("/v1/keys").bearer_auth(&root)).await;
    assert!(!listed.text.contains(secret) && !listed.text.contains("hash"), "{}", listed.text);
    let entry = &listed.json()["items"][1];
    assert_eq!((&entry["id"], &entry["apps"], &entry["roles"]), (&json!(id), &body["apps"], &body["roles"]));
    assert!(entry["last_used"].is_string() && entry["revoked_at"].is_null(), "{entry}");

    for request in [server.get("/v1/keys"), server.request(Method::POST, "/v1/keys").json(&body)] {
        let refused = send(request.bearer_auth(secret)).await;
        assert_eq!(refused.problem(), problem(403, "forbidden_role"));
    }
    let unfit = json!({"name": "ci", "apps": ["one"], "roles": []});
    assert_eq!(send(make().json(&unfit)).await.problem(), problem(422, "invalid_key"));

    let revoke = server.request(Method::DELETE, &format!("/v1/keys/{id}")).bearer_auth(&root);
    assert_eq!(send(revoke).await.status, 204);
    let after = send(server.get("/v1/apps/one/notes").bearer_auth(secret)).await;
    assert_eq!(after.problem(), problem(401, "invalid_key"), "a revoked key ends at once");
    let unknown = server.request(Method::DELETE, "/v1/keys/key_none").bearer_auth(&root);
    assert_eq!(send(unknown).await.problem(), problem(404, "not_found"));
    server.stop().await;
}

#[tokio::test]
async fn the_key_list_is_paged() {
    let server = Server::start(|_| {}).await;
    for _ in 0..5 {
        server.key(&["one"], &[Role::Read]).await;
    }
    let mut seen = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = send(server.get(&format!("/v1/keys?limit=2{cursor}"))).await.json();
        seen.extend(page["items"].as_array().unwrap().iter().map(|key| key["id"].to_string()));
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    let mut unique = seen.clone();
    unique.dedup();
    assert_eq!((seen.len(), unique.len()), (5, 5));
    let over = send(server.get("/v1/keys?limit=1001")).await;
    assert_eq!(over.problem(), problem(400, "invalid_limit"));
    server.stop().await;
}
