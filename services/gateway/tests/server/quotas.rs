//! Quotas that change while the server runs, gateways that share them, and what was used of them.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use muster_gateway::{Quota, Settings, build, run};
use muster_http::Role;
use muster_jobs::{Jobs, QueueAt};
use muster_real_servers::Redis;
use muster_sql::Db;
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::harness::{Server, problem, send, users};
use crate::notes::{self, Notes};

fn put(server: &Server, app: &str, body: &Value) -> RequestBuilder {
    server.request(Method::PUT, &format!("/v1/apps/{app}/quotas")).json(body)
}

#[tokio::test]
async fn a_quota_changes_while_the_server_runs() {
    let server = Server::start(|_| {}).await;
    let read = || server.get("/v1/apps/one/notes");
    assert_eq!(send(read()).await.number("ratelimit-limit"), 10_000);
    let set = send(put(&server, "one", &json!({"read": {"per_second": 1, "burst": 2}}))).await;
    let expected = json!({"per_second": 1, "burst": 2, "source": "catalogue"});
    assert_eq!((set.status, &set.json()["quotas"]["read"]), (200, &expected));
    assert_eq!((send(read()).await.status, send(read()).await.status), (200, 200));
    assert_eq!(send(read()).await.problem(), problem(429, "quota_exceeded"));
    assert_eq!(send(server.get("/v1/apps/two/notes")).await.number("ratelimit-limit"), 10_000);

    let back = send(put(&server, "one", &json!({ "read": null }))).await;
    assert_eq!(back.json()["quotas"]["read"]["source"], "default");
    assert_eq!(send(read()).await.status, 200);
    server.stop().await;
}

#[tokio::test]
async fn what_is_no_quota_is_refused_and_only_root_sets_one() {
    let server = Server::with_keys(|_| {}).await;
    let root = server.key(&[], &[Role::Admin]).await;
    let own = server.key(&["one"], &[Role::Admin]).await;
    let ask = async |key: &str, app: &str, body: Value| send(put(&server, app, &body).bearer_auth(key)).await;
    for (body, code) in [
        (json!({"red": null}), "invalid_quota"),
        (json!({"import": {"per_second": 1, "burst": 1}}), "invalid_quota"),
        (json!({"read": {"per_second": 0, "burst": 1}}), "invalid_quota"),
        (json!({"read": {"per_second": 1}}), "invalid_body"),
        (json!({"read": {"per_second": 1, "burst": 1, "speed": 1}}), "invalid_body"),
        (json!([]), "invalid_body"),
    ] {
        assert_eq!(ask(&root, "one", body).await.problem(), problem(422, code));
    }
    let good = json!({"read": {"per_second": 9, "burst": 9}});
    assert_eq!(ask(&own, "one", good.clone()).await.status, 403);
    assert_eq!(ask(&own, "two", good.clone()).await.problem(), problem(404, "app_not_found"));
    assert_eq!(ask(&root, "gone", good.clone()).await.problem(), problem(404, "app_not_found"));
    assert_eq!(ask(&root, "one", good).await.status, 200);
    let shown = send(server.get("/v1/apps/one/quotas").bearer_auth(&own)).await.json();
    assert_eq!(
        (&shown["quotas"]["read"]["burst"], &shown["quotas"]["job"]["source"]),
        (&json!(9), &json!("default"))
    );
    server.stop().await;
}

#[tokio::test]
async fn an_app_sees_what_it_used() {
    let server = Server::start(|s| s.quotas.estimate = Quota::new(1, 5)).await;
    let rule = json!({"where": {"label": "l", "in": ["x"]}});
    let estimate = || server.request(Method::POST, "/v1/apps/one/segments/estimate").json(&rule);
    let mut answered = Vec::new();
    for _ in 0..8 {
        answered.push(send(estimate()).await.status);
    }
    send(server.get("/v1/apps/gone/notes")).await;
    let used = send(server.get("/v1/apps/one/usage")).await.json();
    let estimates =
        used["items"].as_array().unwrap().iter().find(|item| item["class"] == "estimate").unwrap();
    let refused = answered.iter().filter(|status| **status == 429).count();
    assert!(refused >= 2, "{answered:?}");
    assert_eq!((&estimates["calls"], &estimates["refused"]), (&json!(8), &json!(refused)));
    assert!(estimates["units"].as_u64().unwrap() >= (8 - refused) as u64);
    assert_eq!(send(server.get("/v1/apps/one/usage?days=91")).await.problem(), problem(400, "invalid_days"));
    server.stop().await;
}

struct Gateway {
    base: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn gateway(db: &Db, queue: &QueueAt, redis: &Redis) -> Gateway {
    let jobs = Jobs::new(db.clone(), queue, muster_jobs::Settings::default()).await.unwrap();
    let mut settings = Settings { shutdown_seconds: 5, ..Settings::default() };
    settings.quotas.read = Quota::new(1, 40);
    let services = vec![notes::service(Arc::new(Notes::default()))];
    let QueueAt::Redis { connection, prefix } = QueueAt::redis(&redis.url(), "quotas").unwrap() else {
        unreachable!("a Redis was asked for");
    };
    let gateway = build(settings, db.clone(), jobs, services).unwrap();
    let gateway = gateway.with_redis(connection, &prefix).with_users(users());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let task =
        tokio::spawn(async move { run(gateway, listener, async { _ = stopped.await }).await.unwrap() });
    Gateway { base, stop, task }
}

impl Gateway {
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }

    /// How many of so many reads in a row are answered.
    async fn reads(&self, client: &reqwest::Client, count: usize) -> usize {
        let mut answered = 0;
        for _ in 0..count {
            let answer = send(client.get(format!("{}/v1/apps/one/notes", self.base))).await;
            assert_eq!(answer.number("ratelimit-limit"), 40, "the whole quota is told");
            answered += usize::from(answer.status == 200);
        }
        answered
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_gateways_share_a_quota() {
    let folder = tempfile::tempdir().unwrap();
    let db = muster_real_servers::database(folder.path()).await;
    let redis = Redis::start();
    let queue = QueueAt::File(folder.path().join("queue.db"));
    let client = reqwest::Client::new();
    let (one, two) = (gateway(&db, &queue, &redis).await, gateway(&db, &queue, &redis).await);
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    let both = one.reads(&client, 40).await + two.reads(&client, 40).await;
    assert!((40..=46).contains(&both), "{both} of a burst of 40, which grows by one a second");
    two.stop().await;
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let alone = one.reads(&client, 60).await;
    assert!((40..=44).contains(&alone), "{alone}: the whole quota is left to the one that lives");

    // A read, too: it must fit the quota.
    tokio::time::sleep(Duration::from_millis(1_200)).await;
    let used = send(client.get(format!("{}/v1/apps/one/usage", one.base))).await.json();
    let reads = used["items"].as_array().unwrap().iter().find(|item| item["class"] == "read").unwrap();
    assert_eq!(reads["calls"], 140, "of both gateways: {used}");
    one.stop().await;
}
