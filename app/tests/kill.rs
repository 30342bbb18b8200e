//! kill -9 at any moment: what was acknowledged is done in the end, once, and nothing is ever half seen.

mod support;

use std::fmt::Write;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use support::Server;

const USERS: usize = 40_000;

/// Every user carries the tag `version` of two labels.
fn file(version: usize) -> Vec<u8> {
    let mut text = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name,tag_value\n".to_owned();
    for label in ["left", "right"] {
        for user in 0..USERS {
            let id = if label == "left" { 1 } else { 2 };
            writeln!(text, "20261101,a,{id},{label},user-{user},{version},v{version},{user}").unwrap();
        }
    }
    text.into_bytes()
}

/// The version that both labels show, to everybody or nobody.
async fn shown(server: &Server, versions: usize) -> usize {
    let mut found = Vec::new();
    for version in 1..=versions {
        let rule = json!({"where": {"all": [
            {"label": "left", "in": [version]}, {"label": "right", "in": [version]}]}});
        let (status, answer) = server.client().estimate("a", &rule).await;
        if status != 200 {
            // No file was published yet, or none with this version.
            let code = if status == 404 { &answer["code"] } else { &answer["errors"][0]["code"] };
            assert!(code == "app_not_found" || code == "unknown_tag", "{status}: {answer}");
            continue;
        }
        let counts: Vec<u64> = ["/where/all/0", "/where/all/1"]
            .iter()
            .map(|leaf| answer["leaves"][leaf].as_u64().unwrap())
            .collect();
        assert!(
            counts == [0, 0] || counts == [USERS as u64, USERS as u64],
            "version {version} is half published: {answer}"
        );
        if counts[0] > 0 {
            found.push(version);
        }
    }
    assert!(found.len() <= 1, "two versions at once: {found:?}");
    found.first().copied().unwrap_or(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_survives_being_killed_anywhere() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut random = StdRng::seed_from_u64(9);
    let mut server = Server::start(&data).await;
    for version in 1..=6 {
        let query = "kind=labels";
        let job = server.client().import(query, "text/csv", false, file(version)).await;
        for _ in 0..2 {
            tokio::time::sleep(Duration::from_millis(random.random_range(0..900))).await;
            server.kill();
            server = Server::start(&data).await;
            let now = shown(&server, version).await;
            assert!(now == version || now + 1 == version, "version {now} while {version} comes in");
        }
        let job = server.client().wait(&job).await;
        assert_eq!(job["state"], "done", "{job}");
        assert_eq!(job["result"]["rows_published"], 2 * USERS);
        assert_eq!(shown(&server, version).await, version);
    }
    let everyone = json!({"where": {"all": []}});
    assert_eq!(server.client().estimate("a", &everyone).await.1["count"], USERS, "nobody is there twice");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_job_survives_and_makes_its_cohort_once() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut random = StdRng::seed_from_u64(10);
    let mut server = Server::start(&data).await;
    let job = server.client().import("kind=labels", "text/csv", false, file(1)).await;
    assert_eq!(server.client().wait(&job).await["state"], "done");
    let rule = json!({"where": {"label": "left", "weight": {"gte": 1000}}});
    let body = json!({"name": "heavy", "rule": rule});
    let (_, segment) = server.client().post("/v1/apps/a/segments", &body).await;
    let run = format!("/v1/apps/a/segments/{}/run", segment["id"].as_str().unwrap());
    let mut jobs = Vec::new();
    for _ in 0..5 {
        for _ in 0..4 {
            let (status, job) = server.client().post(&run, &json!({})).await;
            assert_eq!(status, 202, "{job}");
            jobs.push(job["id"].as_str().unwrap().to_owned());
        }
        tokio::time::sleep(Duration::from_millis(random.random_range(0..400))).await;
        server.kill();
        server = Server::start(&data).await;
    }
    let mut hashes = Vec::new();
    for job in &jobs {
        let job = server.client().wait(job).await;
        assert_eq!(job["state"], "done", "{job}");
        assert_eq!(job["result"]["size"], USERS - 1000);
        hashes.push(job["result"]["hash"].clone());
    }
    hashes.dedup();
    assert_eq!(hashes.len(), 1, "the same members have the same hash on every run");
    let (_, cohorts) = server.client().get("/v1/apps/a/cohorts?limit=1000").await;
    let made: Vec<&Value> =
        cohorts["items"].as_array().unwrap().iter().map(|cohort| &cohort["job_id"]).collect();
    assert_eq!(made.len(), jobs.len(), "a cohort per job");
    assert!(jobs.iter().all(|job| made.contains(&&json!(job))));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_import_shows_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    let job = client.import("kind=labels", "text/csv", false, file(1)).await;
    let (status, cancelled) = client.post(&format!("/v1/jobs/{job}/cancel"), &json!({})).await;
    assert_eq!(status, 200, "{cancelled}");
    assert_eq!(client.wait(&job).await["state"], "cancelled");
    tokio::time::sleep(Duration::from_millis(1500)).await;
    assert_eq!(client.get("/v1/apps/a").await.0, 404);
    // The next import of the same app is not in its way.
    let job = client.import("kind=labels", "text/csv", false, file(2)).await;
    assert_eq!(client.wait(&job).await["state"], "done");
    assert_eq!(shown(&server, 2).await, 2);
}
