//! `Idempotency-Key`: once is once, however often it is sent.

use std::time::Duration;

use muster_http::Role;
use reqwest::{Method, RequestBuilder};
use serde_json::json;

use crate::harness::{Answer, Server, problem, send};

fn keyed(request: RequestBuilder, key: &str) -> RequestBuilder {
    request.header("Idempotency-Key", key)
}

fn is_replay(answer: &Answer) -> bool {
    answer.header("idempotency-replayed") == Some("true")
}

#[tokio::test]
async fn a_repeated_request_gets_the_same_answer_and_does_nothing() {
    let server = Server::start(|_| {}).await;
    let first = send(keyed(server.note("one", "", "a"), "k")).await;
    let again = send(keyed(server.note("one", "", "a"), "k")).await;
    assert_eq!((first.status, again.status), (201, 201));
    assert_eq!(first.text, again.text);
    for name in ["location", "content-type"] {
        assert!(first.header(name).is_some());
        assert_eq!(first.header(name), again.header(name));
    }
    assert!(!is_replay(&first) && is_replay(&again));
    assert_eq!(server.notes.count("one"), 1);

    for other in
        [server.note("one", "", "b"), server.note("two", "", "a"), server.note("one", "?wait_ms=1", "a")]
    {
        let reused = send(keyed(other, "k")).await;
        assert_eq!(reused.problem(), problem(422, "idempotency_key_reused"));
    }
    assert_eq!(send(keyed(server.note("one", "", "a"), "k2")).await.status, 201);
    assert_eq!(server.notes.count("one"), 2);
    let bad = send(keyed(server.note("one", "", "a"), "no spaces")).await;
    assert_eq!(bad.problem(), problem(400, "invalid_idempotency_key"));
    server.stop().await;
}

#[tokio::test]
async fn refusals_are_replayed_and_failures_are_not() {
    let server = Server::start(|_| {}).await;
    let absent = || keyed(server.note("gone", "", "a"), "absent");
    assert_eq!(send(absent()).await.problem(), problem(404, "app_not_found"));
    let replayed = send(absent()).await;
    assert!(is_replay(&replayed));
    assert_eq!((replayed.status, &replayed.json()["code"]), (404, &json!("app_not_found")));

    let failing = || keyed(server.note("one", "?fail=true", "a"), "failing");
    for times in 1..=2 {
        assert_eq!(send(failing()).await.problem(), problem(503, "pen_broken"));
        assert_eq!(server.notes.count("one"), times, "it was tried again");
    }
    server.stop().await;
}

#[tokio::test]
async fn of_many_at_once_one_runs() {
    let server = Server::start(|_| {}).await;
    let sent = (0..8).map(|_| send(keyed(server.note("one", "?wait_ms=300", "a"), "k")));
    let answers = futures::future::join_all(sent).await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status == status).count();
    assert!(count(201) >= 1);
    assert_eq!(count(201) + count(409), 8);
    for waits in answers.iter().filter(|answer| answer.status == 409) {
        assert_eq!(waits.problem(), problem(409, "idempotency_key_running"));
        assert!(waits.number("retry-after") >= 1);
    }
    assert_eq!(server.notes.count("one"), 1);
    server.stop().await;
}

#[tokio::test]
async fn a_client_that_goes_away_finds_its_answer_when_it_comes_back() {
    let server = Server::start(|s| s.time_limits.job_ms = 600).await;
    let impatient =
        keyed(server.note("one", "?wait_ms=400", "a"), "gone").timeout(Duration::from_millis(100));
    assert!(impatient.send().await.unwrap_err().is_timeout());
    let given_up = keyed(server.note("one", "?wait_ms=1000", "b"), "slow");
    assert_eq!(send(given_up).await.problem(), problem(503, "timed_out"));
    tokio::time::sleep(Duration::from_millis(700)).await;

    for (query, text, key) in [("?wait_ms=400", "a", "gone"), ("?wait_ms=1000", "b", "slow")] {
        let back = send(keyed(server.note("one", query, text), key)).await;
        assert!(back.status == 201 && is_replay(&back), "{key}: {} {}", back.status, back.text);
    }
    assert_eq!(server.notes.count("one"), 2);
    server.stop().await;
}

#[tokio::test]
async fn keys_of_two_callers_are_two_keys() {
    let server = Server::with_keys(|_| {}).await;
    for _ in 0..2 {
        let secret = server.key(&["one"], &[Role::Segment]).await;
        let answer = send(keyed(server.note("one", "", "a"), "k").bearer_auth(secret)).await;
        assert!(answer.status == 201 && !is_replay(&answer));
    }
    assert_eq!(server.notes.count("one"), 2);
    server.stop().await;
}

#[tokio::test]
async fn a_secret_is_not_kept_for_a_repeated_request() {
    let server = Server::start(|_| {}).await;
    let body = json!({"name": "ci", "apps": "*", "roles": ["read"]});
    let make = || keyed(server.request(Method::POST, "/v1/keys").json(&body), "make");
    let made = send(make()).await;
    assert_eq!(made.status, 201);
    let again = send(make()).await;
    assert_eq!((again.status, &again.json()["code"]), (409, &json!("answer_not_kept")));
    assert_eq!(again.header("location"), made.header("location"), "which key it was can be told");
    assert_eq!(send(server.get("/v1/keys")).await.json()["items"].as_array().unwrap().len(), 1);

    let secret = made.json()["secret"].as_str().unwrap().to_owned();
    let folder = server.folder.path().to_owned();
    for file in std::fs::read_dir(folder).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        assert!(!bytes.windows(secret.len()).any(|part| part == secret.as_bytes()));
    }
    server.stop().await;
}

#[tokio::test]
async fn an_import_that_was_refused_may_be_sent_again() {
    let server = Server::start(|_| {}).await;
    let import =
        |body: &'static str, key: &str| keyed(server.request(Method::POST, "/v1/imports").body(body), key);
    for _ in 0..2 {
        assert_eq!(send(import("", "empty")).await.problem(), problem(422, "empty_import"));
    }
    assert_eq!(send(import("abc", "full")).await.text, "3");
    assert!(is_replay(&send(import("abc", "full")).await));
    assert_eq!(send(import("abcd", "full")).await.problem(), problem(422, "idempotency_key_reused"));
    server.stop().await;
}
