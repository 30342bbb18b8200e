//! Reads whose answer is known are held to the same as all others: the key, the app, the role, the quota, and what
//! is published now.

mod support;

use std::time::Duration;

use reqwest::header::{ALLOW, ETAG, IF_NONE_MATCH};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use support::{Client, Server};

const LABELS: &str = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n";
const PATH: &str = "/v1/apps/shop/insights/labels/1";

async fn publish(client: &Client<'_>, users: usize) {
    let rows = (0..users).map(|user| format!("20261101,shop,1,colour,u{user},1,red\n"));
    let body = LABELS.to_owned() + &rows.collect::<String>();
    assert_eq!(client.import_csv("kind=labels", &body).await["state"], "done");
    let (_, job) = client.post("/v1/apps/shop/insights/refresh", &json!({})).await;
    assert_eq!(client.wait(job["id"].as_str().unwrap()).await["state"], "done");
}

async fn read(client: &Client<'_>) -> Response {
    client.request(Method::GET, PATH).send().await.unwrap()
}

async fn refused(client: &Client<'_>, status: StatusCode, code: &str) {
    let (answered, problem) = support::json(read(client).await).await;
    assert_eq!((answered, problem["code"].as_str()), (status, Some(code)), "{problem}");
}

fn header(answer: &Response, name: &str) -> String {
    answer.headers()[name].to_str().unwrap().to_owned()
}

async fn key(admin: &Client<'_>, app: &str, role: &str) -> (String, String) {
    let (status, key) = admin.post("/v1/keys", &json!({"name": role, "apps": [app], "roles": [role]})).await;
    assert_eq!(status, StatusCode::CREATED, "{key}");
    let secret = key["secret"].as_str().or(key["key"].as_str()).unwrap();
    (key["id"].as_str().unwrap().to_owned(), secret.to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_answer_is_for_whoever_may_read_it() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let admin = server.client();
    publish(&admin, 3).await;

    let first = read(&admin).await;
    let known = admin.request(Method::GET, PATH).header("x-request-id", "mine-1").send().await.unwrap();
    assert_eq!((first.status(), known.status()), (StatusCode::OK, StatusCode::OK));
    for name in ["etag", "cache-control", "content-type", "ratelimit-limit"] {
        assert_eq!(header(&first, name), header(&known, name), "{name}");
    }
    assert_eq!(header(&known, "x-request-id"), "mine-1");
    let tag = header(&known, ETAG.as_str());
    assert_eq!(first.text().await.unwrap(), known.text().await.unwrap());
    let unchanged = admin.request(Method::GET, PATH).header(IF_NONE_MATCH, tag).send().await.unwrap();
    assert_eq!(unchanged.status(), StatusCode::NOT_MODIFIED);
    let encoded = admin.text("/v1/apps/sh%6Fp/insights/labels/1").await;
    assert_eq!(encoded, read(&admin).await.text().await.unwrap());

    // Its route is what metrics name, and other methods have none.
    let metrics = admin.text("/metrics").await;
    let line = metrics.lines().find(|line| {
        line.contains("muster_http_requests_total")
            && line.contains("route=\"/v1/apps/{app}/insights/labels/{label}\"")
            && line.contains("status=\"200\"")
    });
    let counted: u64 =
        line.unwrap_or_else(|| panic!("{metrics}")).rsplit(' ').next().unwrap().parse().unwrap();
    assert!(counted >= 4, "{counted} were counted");
    for method in [Method::HEAD, Method::POST, Method::DELETE] {
        let answer = admin.request(method.clone(), PATH).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::METHOD_NOT_ALLOWED, "{method}");
        assert_eq!(header(&answer, ALLOW.as_str()), "GET", "{method}");
    }

    // Who may not read it learns as much as if it did not exist.
    let (_, stranger) = key(&admin, "other", "admin").await;
    refused(&server.with_key(&stranger), StatusCode::NOT_FOUND, "app_not_found").await;
    let (_, importer) = key(&admin, "shop", "import").await;
    refused(&server.with_key(&importer), StatusCode::FORBIDDEN, "forbidden_role").await;
    refused(&server.with_key("mk_wrong"), StatusCode::UNAUTHORIZED, "invalid_key").await;
    let (id, reader) = key(&admin, "shop", "read").await;
    let reader = server.with_key(&reader);
    assert_eq!(read(&reader).await.status(), StatusCode::OK);
    assert_eq!(read(&reader).await.status(), StatusCode::OK);
    let revoked = admin.request(Method::DELETE, &format!("/v1/keys/{id}")).send().await.unwrap();
    assert!(revoked.status().is_success());
    refused(&reader, StatusCode::UNAUTHORIZED, "invalid_key").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_known_answer_takes_from_the_quota_and_gives_way_to_a_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    for users in [3, 2, 5] {
        publish(&client, users).await;
        for _ in 0..3 {
            let (_, answer) = client.get(PATH).await;
            assert_eq!(answer["tags"][0]["users"], users, "{answer}");
        }
    }

    let card = json!({"name": "colour", "display_names": {"en": "Colour"}});
    let put = client.request(Method::PUT, "/v1/apps/shop/labels/1").json(&card).send().await.unwrap();
    assert!(put.status().is_success());
    let quota = json!({"read": {"per_second": 1, "burst": 5}});
    let put = client.request(Method::PUT, "/v1/apps/shop/quotas").json(&quota).send().await.unwrap();
    assert!(put.status().is_success());
    let mut left = Vec::new();
    let spent = loop {
        let answer = read(&client).await;
        if answer.status() != StatusCode::OK {
            break answer;
        }
        left.push(header(&answer, "ratelimit-remaining").parse::<u64>().unwrap());
        // The old quota holds for up to two seconds.
        if left.last().is_some_and(|left| *left > 5) {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let wait = header(&spent, "retry-after");
    let (status, problem) = support::json(spent).await;
    assert_eq!((status, &problem["code"]), (StatusCode::TOO_MANY_REQUESTS, &json!("quota_exceeded")));
    assert_eq!((wait.as_str(), left.last()), ("1", Some(&0)), "{left:?}");

    let widened = json!({"read": {"per_second": 1000, "burst": 1000}});
    client.request(Method::PUT, "/v1/apps/shop/quotas").json(&widened).send().await.unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (_, usage) = client.get("/v1/apps/shop/usage?days=1").await;
    let of_reads = |field: &str| -> u64 {
        let rows = usage["items"].as_array().unwrap();
        rows.iter()
            .filter(|row: &&Value| row["class"] == "read")
            .map(|row| row[field].as_u64().unwrap())
            .sum()
    };
    assert!(of_reads("calls") > left.len() as u64, "{usage}");
    assert!(of_reads("refused") >= 1, "{usage}");
}
