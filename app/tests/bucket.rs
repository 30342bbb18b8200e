//! A split deployment whose processes share no folder: profiles and cohorts are in a bucket.

mod support;

use std::fmt::Write;
use std::path::Path;

use muster_real_servers::{BUCKET, Maria, Redis, S3};
use reqwest::StatusCode;
use serde_json::{Value, json};
use support::{Server, Stores};

const USERS: usize = 3_000;

#[tokio::test(flavor = "multi_thread")]
async fn processes_meet_in_the_bucket_alone() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (maria, redis) = (Maria::start(), Redis::start());
    let s3 = S3::start(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let database = maria.database("muster").await;
    let stores = Stores { database, redis: redis.url(), prefix: "bucket".to_owned(), apart: true };
    let config = format!("[store]\nurl = 's3://{BUCKET}/profiles'\nendpoint = '{}'\n", s3.endpoint());
    let mut server = Server::split(&data, &stores, &config).await;
    let mut text = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n".to_owned();
    for user in 0..USERS {
        let (tag, name) = if user % 3 == 0 { (1, "red") } else { (2, "blue") };
        writeln!(text, "20261101,a,1,colour,user-{user},{tag},{name}").unwrap();
    }
    let job = server.client().import_csv("kind=labels", &text).await;
    assert_eq!((&job["state"], &job["result"]["rows_published"]), (&json!("done"), &json!(USERS)), "{job}");
    // A manifest is taken for the newest for a second.
    tokio::time::sleep(std::time::Duration::from_millis(1_100)).await;

    let rule = json!({"where": {"label": "colour", "in": ["red"]}});
    for _ in 0..4 {
        let (status, answer) = server.client().estimate("a", &rule).await;
        assert_eq!((status.as_u16(), &answer["count"]), (200, &json!(USERS / 3)), "{answer}");
    }
    assert_eq!(server.client().get("/v1/apps/a/labels").await.1["items"][0]["pairs"], USERS);
    // Made by one of two processes, read by either, and by one that begins with empty hands.
    let cohort = server.client().cohort("a", &rule).await;
    assert_eq!(cohort["size"], USERS / 3);
    for process in ["segments-1", "segments-2"] {
        let at = server.processes.iter().position(|one| one.name == process).unwrap();
        server.processes[at].kill();
        std::fs::remove_dir_all(data.join(process)).unwrap();
        assert_eq!(server.client().members("a", &cohort).await.len(), USERS / 3);
        server.processes[at].start_again();
        server.processes[at].until_ready(&server.http).await;
        assert_eq!(server.client().estimate("a", &rule).await.1["count"], USERS / 3);
    }
    downloads(&server, &cohort).await;
}

/// Any process of the role has what one of them has made, until an erasure removes it.
async fn downloads(server: &Server, cohort: &Value) {
    let client = server.client();
    let (_, job) = client.post("/v1/apps/a/deliveries", &json!({"of": cohort["cohort_id"]})).await;
    assert_eq!(client.wait(job["id"].as_str().unwrap()).await["state"], "done");
    let (_, all) = client.get("/v1/apps/a/deliveries").await;
    let file =
        format!("/v1/apps/a/deliveries/{}/files/users.ndjson", all["items"][0]["id"].as_str().unwrap());
    assert_eq!(client.text(&file).await.lines().count(), USERS / 3);
    let (_, job) = client.post("/v1/apps/a/erasures", &json!({"users": ["user-0"]})).await;
    assert_eq!(client.wait(job["job_id"].as_str().unwrap()).await["state"], "done");
    let seen = client.get(&file).await;
    assert_eq!((seen.0, &seen.1["code"]), (StatusCode::NOT_FOUND, &json!("download_removed")), "{seen:?}");
}
