//! Rules that can't be: each gets a 4xx that names the place, and others are served meanwhile.

mod support;

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Client, Server};

async fn refused(client: &Client<'_>, body: String) -> (StatusCode, Value) {
    let request = client.request(Method::POST, "/v1/apps/a/segments/estimate");
    let answer = request.header("content-type", "application/json").body(body).send().await.unwrap();
    let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
    assert_eq!(kind, "application/problem+json");
    support::json(answer).await
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_names_its_place_and_others_are_served() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    let text = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n20261101,a,1,gender,u1,1,male\n";
    assert_eq!(client.import_csv("kind=labels", text).await["state"], "done");

    let others = async {
        let rule = json!({"where": {"label": "gender", "in": ["male"]}});
        for _ in 0..50 {
            let (status, answer) = server.client().estimate("a", &rule).await;
            assert_eq!((status, &answer["count"]), (StatusCode::OK, &json!(1)));
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::join!(others, hostile(&client));
}

async fn hostile(client: &Client<'_>) {
    let (status, problem) =
        refused(client, r#"{"where": {"all": [{"label": "gendre", "in": ["male"]}]}}"#.into()).await;
    assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY);
    assert_eq!(problem["errors"][0]["pointer"], "/where/all/0/label");
    assert_eq!(problem["errors"][0]["nearest"], "gender");

    let (status, problem) = refused(client, r#"{"where": {"label": "gender", "in": "male"}}"#.into()).await;
    assert_eq!((status.as_u16(), &problem["errors"][0]["pointer"]), (422, &json!("/where/in")));

    let deep =
        format!("{{\"where\": {}{{\"label\": \"gender\"}}{}}}", "{\"not\": ".repeat(500), "}".repeat(500));
    let (status, problem) = refused(client, deep.clone()).await;
    assert!(status.is_client_error(), "{status}");
    let pointer = problem["errors"][0]["pointer"].as_str().unwrap();
    assert!(pointer.starts_with("/where/not/not"), "{problem}");
    let request =
        client.request(Method::POST, "/v1/apps/a/segments").header("content-type", "application/json");
    let body = format!("{{\"name\": \"deep\", \"rule\": {deep}}}");
    let (status, problem) = support::json(request.body(body).send().await.unwrap()).await;
    assert!(status.is_client_error(), "{status}");
    assert!(problem["errors"][0]["pointer"].as_str().unwrap().starts_with("/rule/where/not"), "{problem}");

    let large = format!("{{\"where\": {{\"label\": \"gender\", \"in\": [\"{}\"]}}}}", "x".repeat(10 << 20));
    let (status, problem) = refused(client, large).await;
    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE);
    assert_eq!(problem["limit_bytes"], 1 << 20, "{problem}");

    let (status, problem) = refused(client, "{\"where\": ".into()).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    assert!(problem["detail"].as_str().unwrap().contains("line 1"), "{problem}");

    let regex = r#"{"where": {"label": "gender", "in": ["male"], "weight": {"gte": 1.5}}}"#;
    let (_, problem) = refused(client, regex.into()).await;
    assert_eq!(problem["errors"][0]["pointer"], "/where/weight/gte", "{problem}");
}
