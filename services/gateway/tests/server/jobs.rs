//! Jobs: seen by whom they belong to, cancelled, and followed to their end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use muster_http::Role;
use muster_jobs::{Failure, Handler, Job, NewJob, Priority, Run};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::oneshot;

use crate::harness::{Server, problem, send};

async fn enqueue(server: &Server, app: Option<&str>, owner: &str) -> Job {
    let new = NewJob {
        id: None,
        app_id: app.map(str::to_owned),
        owner: owner.into(),
        kind: "count",
        payload: json!({"to": 3}),
        priority: Priority::Interactive,
    };
    server.jobs.enqueue(new).await.unwrap()
}

async fn key_id(server: &Server, root: &str, at: usize) -> String {
    let keys = send(server.get("/v1/keys").bearer_auth(root)).await.json();
    keys["items"][at]["id"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_job_is_seen_by_its_owner_its_app_and_the_administrator() {
    let server = Server::with_keys(|_| {}).await;
    let root = server.key(&[], &[Role::Admin]).await;
    let one = server.key(&["one"], &[Role::Read]).await;
    let one_id = key_id(&server, &root, 1).await;
    let of_app = enqueue(&server, Some("one"), "somebody").await;
    let own = enqueue(&server, None, &one_id).await;
    let foreign = enqueue(&server, Some("two"), "somebody").await;
    let of_none = enqueue(&server, None, "somebody").await;

    for (job, sees) in [(&of_app, true), (&own, true), (&foreign, false), (&of_none, false)] {
        let path = format!("/v1/jobs/{}", job.id);
        let answer = send(server.get(&path).bearer_auth(&one)).await;
        assert_eq!(answer.status, if sees { 200 } else { 404 }, "{}", answer.text);
        assert_eq!(send(server.get(&path).bearer_auth(&root)).await.status, 200);
    }
    let ids = async |query: &str, key: &str| {
        let page = send(server.get(&format!("/v1/jobs{query}")).bearer_auth(key)).await.json();
        let id = |job: &Value| job["id"].as_str().unwrap().to_owned();
        page["items"].as_array().unwrap().iter().map(id).collect::<Vec<_>>()
    };
    assert_eq!(ids("", &one).await, [own.id.clone(), of_app.id.clone()], "newest first");
    assert_eq!(ids("?app=one&state=queued&kind=count", &one).await, std::slice::from_ref(&of_app.id));
    assert_eq!(ids("?state=done", &one).await, [""; 0]);
    assert_eq!(ids("", &root).await.len(), 4);
    let asked = send(server.get("/v1/jobs?app=two").bearer_auth(&one)).await;
    assert_eq!(asked.problem(), problem(404, "app_not_found"));

    // Pages of a caller who sees some of the jobs lead to all of those and to no other.
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = send(server.get(&format!("/v1/jobs?limit=1{cursor}")).bearer_auth(&one)).await.json();
        seen.extend(
            page["items"].as_array().unwrap().iter().map(|job| job["id"].as_str().unwrap().to_owned()),
        );
        let Some(next) = page["next"].as_str() else { break };
        cursor = format!("&cursor={next}");
    }
    assert_eq!(seen, [own.id, of_app.id]);
    server.stop().await;
}

#[tokio::test]
async fn cancelling_needs_more_than_reading() {
    let server = Server::with_keys(|_| {}).await;
    let reader = server.key(&["one"], &[Role::Read]).await;
    let writer = server.key(&["one"], &[Role::Segment]).await;
    let job = enqueue(&server, Some("one"), "somebody").await;
    let cancel =
        |key: &str| server.request(Method::POST, &format!("/v1/jobs/{}/cancel", job.id)).bearer_auth(key);
    assert_eq!(send(cancel(&reader)).await.problem(), problem(403, "forbidden_role"));
    let cancelled = send(cancel(&writer)).await;
    assert_eq!((cancelled.status, &cancelled.json()["state"]), (200, &json!("cancelled")));
    assert_eq!(send(cancel(&writer)).await.status, 200, "cancelling twice is cancelling once");
    server.stop().await;
}

/// Counts up, with a step of progress for each number.
struct Count;

#[async_trait]
impl Handler for Count {
    fn kind(&self) -> &'static str {
        "count"
    }

    fn concurrency(&self) -> usize {
        1
    }

    async fn run(&self, run: &Run) -> Result<Value, Failure> {
        let to = run.job.payload["to"].as_u64().unwrap();
        for n in 1..=to {
            tokio::time::sleep(Duration::from_millis(400)).await;
            run.progress(n as f64 / to as f64);
        }
        Ok(json!({"counted": to}))
    }
}

#[tokio::test]
async fn a_followed_job_tells_each_change_and_ends() {
    let server = Server::start(|_| {}).await;
    let job = enqueue(&server, Some("one"), "local").await;
    let (stop, stopped) = oneshot::channel::<()>();
    let jobs = server.jobs.clone();
    let following = tokio::spawn(send(server.get(&format!("/v1/jobs/{}/events", job.id))));
    tokio::time::sleep(Duration::from_millis(400)).await;
    let workers = tokio::spawn(async move {
        let stopped = async {
            let _ = stopped.await;
        };
        jobs.run_workers(vec![Arc::new(Count)], stopped).await
    });

    let answer = tokio::time::timeout(Duration::from_secs(30), following).await.expect("it ends").unwrap();
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    let events: Vec<Value> = answer
        .text
        .split("\n\n")
        .filter_map(|event| event.strip_prefix("event: job\ndata: "))
        .map(|data| serde_json::from_str(data).unwrap())
        .collect();
    let (first, last) = (&events[0], &events[events.len() - 1]);
    assert_eq!((&first["state"], &first["id"]), (&json!("queued"), &json!(job.id)));
    assert_eq!((&last["state"], &last["result"]), (&json!("done"), &json!({"counted": 3})));
    assert!(events.iter().any(|event| event["state"] == "running"), "{events:?}");

    let finished = server.request(Method::POST, &format!("/v1/jobs/{}/cancel", job.id));
    assert_eq!(send(finished).await.problem(), problem(409, "job_finished"));
    stop.send(()).unwrap();
    workers.await.unwrap().unwrap();
    server.stop().await;
}

#[tokio::test]
async fn a_follower_does_not_hold_up_a_stop() {
    let server = Server::start(|s| s.shutdown_seconds = 20).await;
    let job = enqueue(&server, Some("one"), "local").await;
    let mut following = server.get(&format!("/v1/jobs/{}/events", job.id)).send().await.unwrap();
    assert!(following.chunk().await.unwrap().is_some());
    let started = Instant::now();
    server.stop().await;
    assert!(started.elapsed() < Duration::from_secs(5), "{:?}", started.elapsed());
}
