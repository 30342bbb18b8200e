//! Quotas and limits: what an app may take, and how it is told that it took it.

use std::time::{Duration, Instant};

use muster_gateway::{AppQuotas, Quota};
use muster_http::Role;
use reqwest::{Body, Method, RequestBuilder};
use serde_json::json;

use crate::harness::{Server, problem, send};

fn estimate(server: &Server, app: &str, conditions: usize) -> RequestBuilder {
    let all: Vec<_> = (0..conditions).map(|n| json!({"label": format!("l{n}"), "in": ["x"]})).collect();
    let path = format!("/v1/apps/{app}/segments/estimate");
    server.request(Method::POST, &path).json(&json!({ "where": { "all": all } }))
}

#[tokio::test]
async fn a_used_up_quota_says_when_to_come_back() {
    let server = Server::start(|s| s.quotas.read = Quota::new(1, 3)).await;
    let read = |app: &str| server.get(&format!("/v1/apps/{app}/notes"));
    for left in [2, 1, 0] {
        let answer = send(read("one")).await;
        assert_eq!((answer.status, answer.number("ratelimit-limit")), (200, 3));
        assert_eq!(answer.number("ratelimit-remaining"), left);
    }
    let refused = send(read("one")).await;
    assert_eq!(refused.problem(), problem(429, "quota_exceeded"));
    assert_eq!((refused.number("retry-after"), refused.number("ratelimit-remaining")), (1, 0));
    assert_eq!(send(read("two")).await.status, 200, "another app has a quota of its own");
    tokio::time::sleep(Duration::from_millis(1100)).await;
    assert_eq!(send(read("one")).await.status, 200, "it kept what Retry-After promised");
    server.stop().await;
}

#[tokio::test]
async fn an_estimate_costs_what_its_rule_costs() {
    let server = Server::start(|s| {
        s.quotas.estimate = Quota::new(1, 10);
        let wide = AppQuotas { estimate: Some(Quota::new(1, 100)), ..AppQuotas::default() };
        s.app_quotas.insert("two".into(), wide);
    })
    .await;
    let first = send(estimate(&server, "one", 4)).await;
    let cost = 10 - first.number("ratelimit-remaining");
    assert!((4..=8).contains(&cost), "four conditions cost {cost}");
    let small = send(estimate(&server, "one", 1)).await;
    assert_eq!(small.status, 204);
    assert!(first.number("ratelimit-remaining") - small.number("ratelimit-remaining") < cost);

    let never = send(estimate(&server, "one", 50)).await;
    assert_eq!(never.problem(), problem(413, "cost_over_quota"));
    assert_eq!(never.json()["limit"], 10);
    assert!(never.json()["cost"].as_u64().unwrap() >= 50);
    assert_eq!(send(estimate(&server, "two", 50)).await.status, 204, "this app was given more");
    server.stop().await;
}

#[tokio::test]
async fn imports_take_from_the_quota_of_the_key() {
    let server = Server::with_keys(|s| s.quotas.import = Quota::new(1, 1)).await;
    let (one, two) =
        (server.key(&["one"], &[Role::Import]).await, server.key(&["two"], &[Role::Import]).await);
    let import = |key: &str| server.request(Method::POST, "/v1/imports").bearer_auth(key).body("x");
    assert_eq!(send(import(&one)).await.status, 200);
    assert_eq!(send(import(&one)).await.problem(), problem(429, "quota_exceeded"));
    assert_eq!(send(import(&two)).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn a_body_that_is_too_large_is_refused_with_its_limit() {
    let server = Server::start(|s| s.imports.max_bytes = 1000).await;
    let ten_mb = "x".repeat(10 << 20);
    let json = send(server.note("one", "", &ten_mb)).await;
    assert_eq!(json.problem(), problem(413, "body_too_large"));
    assert_eq!(json.json()["limit_bytes"], 1 << 20);
    // Without a length told in advance.
    let parts = (0..100).map(|_| Ok::<_, std::io::Error>("x".repeat(50_000)));
    let streamed = server
        .request(Method::POST, "/v1/apps/one/notes")
        .header("Content-Type", "application/json")
        .body(Body::wrap_stream(futures::stream::iter(parts)));
    assert_eq!(send(streamed).await.problem(), problem(413, "body_too_large"));

    let import = |bytes: usize| server.request(Method::POST, "/v1/imports").body("x".repeat(bytes));
    assert_eq!(send(import(1000)).await.text, "1000");
    assert_eq!(send(import(1001)).await.problem(), problem(413, "body_too_large"));
    let untold = |n: usize| {
        let parts = (0..n).map(|_| Ok::<_, std::io::Error>("x".repeat(500)));
        server.request(Method::POST, "/v1/imports").body(Body::wrap_stream(futures::stream::iter(parts)))
    };
    assert_eq!(send(untold(2)).await.text, "1000");
    assert_eq!(send(untold(3)).await.problem(), problem(400, "import_broken"));

    let zipped = server.note("one", "", "x").header("Content-Encoding", "gzip");
    assert_eq!(send(zipped).await.problem(), problem(415, "unsupported_encoding"));
    assert_eq!(send(server.get("/healthz")).await.status, 200, "others are answered as before");
    server.stop().await;
}

#[tokio::test]
async fn an_import_whose_sender_falls_silent_is_broken_off() {
    let server = Server::start(|s| s.imports.silence_seconds = 1).await;
    let first = futures::stream::iter([Ok::<_, std::io::Error>("x")]);
    let then_silent = futures::StreamExt::chain(first, futures::stream::pending());
    let request = server.request(Method::POST, "/v1/imports").body(Body::wrap_stream(then_silent));
    let started = Instant::now();
    assert_eq!(send(request).await.problem(), problem(400, "import_broken"));
    assert!(started.elapsed() < Duration::from_secs(10));
    server.stop().await;
}

#[tokio::test]
async fn over_capacity_it_refuses_at_once() {
    let server = Server::start(|s| {
        s.in_flight.job = 1;
        s.in_flight.export = 1;
    })
    .await;
    let slow = tokio::spawn(send(server.note("one", "?wait_ms=1500", "slow")));
    tokio::time::sleep(Duration::from_millis(400)).await;
    let started = Instant::now();
    assert_eq!(send(server.note("two", "", "x")).await.problem(), problem(503, "overloaded"));
    assert!(started.elapsed() < Duration::from_millis(700));
    assert_eq!(send(server.get("/v1/apps/two/notes")).await.status, 200, "other classes have room");
    assert_eq!(slow.await.unwrap().status, 201);
    assert_eq!(send(server.note("two", "", "x")).await.status, 201);

    // A stream holds its slot for as long as somebody reads it.
    let users = "/v1/apps/one/cohorts/c/users";
    let mut stream = server.get(users).send().await.unwrap();
    assert!(stream.chunk().await.unwrap().is_some());
    assert_eq!(send(server.get(users)).await.problem(), problem(503, "overloaded"));
    drop(stream);
    let freed = async {
        while server.get(users).send().await.unwrap().status() != 200 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), freed).await.expect("the slot was never freed");
    server.stop().await;
}

#[tokio::test]
async fn an_answer_that_takes_too_long_is_given_up() {
    let server = Server::start(|s| s.time_limits.job_ms = 200).await;
    let late = send(server.note("one", "?wait_ms=5000", "late")).await;
    assert_eq!(late.problem(), problem(503, "timed_out"));
    assert_eq!(send(server.note("one", "", "in time")).await.status, 201);
    assert_eq!(server.notes.count("one"), 1);
    server.stop().await;
}
