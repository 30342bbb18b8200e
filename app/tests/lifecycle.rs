//! Days past their retention go, from the store and from the tables, by themselves or when asked, whoever
//! dies; what is kept counts as before.

mod support;

use std::fmt::Write;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use muster_days::{Ds, Tz};
use reqwest::StatusCode;
use serde_json::{Value, json};
use support::{Client, Server};

const KEPT: &str = "[lifecycle]\nlabel_days = 5\nevent_days = 5\n[metrics]\nkept_days = 5\n";

fn today() -> Ds {
    Ds::of(chrono::Utc::now(), Tz::UTC).unwrap()
}

/// Thirty days of a label and an event; a second label on one old day.
async fn fill(client: &Client<'_>) {
    let mut labels = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n".to_owned();
    let mut behavior = "ds,app_id,user_id,event,pv\n".to_owned();
    for (number, ds) in today().plus(-29).through(today()).enumerate() {
        for user in 0..60 {
            writeln!(labels, "{ds},shop,1,colour,u{user},{},tag", user % 4).unwrap();
            if (user + number) % 3 == 0 {
                writeln!(behavior, "{ds},shop,u{user},visit,1").unwrap();
            }
        }
    }
    writeln!(labels, "{},shop,2,size,u1,1,large", today().plus(-20)).unwrap();
    for (kind, file) in [("labels", labels), ("behavior", behavior)] {
        assert_eq!(client.import_csv(&format!("kind={kind}"), &file).await["state"], "done");
    }
}

/// Waits until no job of the app waits or runs.
async fn settle(client: &Client<'_>) {
    for state in ["queued", "running", "queued"] {
        let (_, page) = client.get(&format!("/v1/jobs?app=shop&state={state}")).await;
        for job in page["items"].as_array().unwrap() {
            assert_eq!(client.wait(job["id"].as_str().unwrap()).await["state"], "done");
        }
    }
}

async fn estimate(client: &Client<'_>, back: i64, condition: Value) -> Value {
    let rule = json!({"as_of": today().plus(-back), "where": condition});
    let (status, answer) = client.estimate("shop", &rule).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer
}

/// Counts that rest on days that are kept: of each label, and of the event, from today and five days ago.
async fn counts(client: &Client<'_>) -> Vec<Value> {
    let mut counts = Vec::new();
    for (back, window) in [(0, 6), (5, 1)] {
        for condition in [
            json!({"label": "colour", "in": [1]}),
            json!({"label": "size", "in": ["large"]}),
            json!({"event": "visit", "last_days": window, "pv": {"gte": 2}}),
            json!({"event": "visit", "last_days": window}),
        ] {
            counts.push(estimate(client, back, condition).await["count"].clone());
        }
    }
    let insights = format!("/v1/apps/shop/insights/labels/colour?ds={}", today().plus(-5));
    let (status, answer) = client.get(&insights).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    counts.push(answer["tags"].clone());
    counts
}

/// Asks for it and waits; the job's result.
async fn lifecycle(client: &Client<'_>) -> Value {
    let (status, job) = client.post("/v1/apps/shop/lifecycle", &json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    let job = client.wait(job["id"].as_str().unwrap()).await;
    assert_eq!(job["state"], "done", "{job}");
    settle(client).await;
    job["result"].clone()
}

/// Asserts that what is old is gone, and that whoever asks for it is told.
async fn gone(client: &Client<'_>) {
    let (_, events) = client.get("/v1/apps/shop/events").await;
    assert!(!events.to_string().contains(&today().plus(-6).to_string()), "{events}");
    let answer = estimate(client, 0, json!({"event": "visit", "last_days": 8})).await;
    let missing = json!([today().plus(-7), today().plus(-6)]);
    let parts = answer["freshness"].as_array().unwrap();
    assert!(parts.iter().any(|part| part["missing_days"] == missing), "{answer}");
    let insights = format!("/v1/apps/shop/insights/labels/colour?ds={}", today().plus(-6));
    let (status, answer) = client.get(&insights).await;
    assert_eq!((status, &answer["code"]), (StatusCode::NOT_FOUND, &json!("not_computed")), "{answer}");
    assert_eq!(answer["first"], json!(today().plus(-5)), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn old_days_go_and_what_is_kept_counts_as_before() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::start(&data).await;
    fill(&server.client()).await;
    settle(&server.client()).await;
    let before = counts(&server.client()).await;
    // Nothing is dropped unless somebody has said so.
    let idle = lifecycle(&server.client()).await;
    assert_eq!((&idle["label_days"], &idle["event_days"]), (&json!(0), &json!(0)), "{idle}");
    assert_eq!(idle["bytes_before"], idle["bytes_after"]);

    // Killed before, while and after it does so by itself.
    for wait in [0, 5, 20, 60, 150] {
        server.kill();
        server = Server::start_with(&data, KEPT).await;
        assert_eq!(counts(&server.client()).await[..8], before[..8]);
        tokio::time::sleep(Duration::from_millis(wait)).await;
    }
    let client = server.client();
    let (status, page) = client.get("/v1/jobs?app=shop&kind=lifecycle").await;
    assert_eq!(status, StatusCode::OK);
    assert!(page["items"].as_array().unwrap().iter().any(|job| job["owner"] == "local"), "{page}");
    for _ in 0..2 {
        lifecycle(&client).await;
        assert_eq!(counts(&client).await, before);
        gone(&client).await;
    }
    assert_eq!(client.post("/v1/apps/none/lifecycle", &json!({})).await.1["code"], "app_not_found");
    command(&server.url, &data);
}

/// A window that has lost a day can't be counted again: what was worked out of it stays, whatever comes later.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_worked_out_of_days_that_are_gone_stays() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with(&dir.path().join("data"), "[lifecycle]\nevent_days = 10\n").await;
    let client = server.client();
    fill(&client).await;
    settle(&client).await;
    let seen = async || {
        let mut seen = Vec::new();
        for back in [0, 5, 9, 12, 20] {
            let ds = today().plus(-back);
            for of in ["labels/colour?crowd=active_7d", "labels/colour?crowd=active_1d", "crowds?"] {
                let (status, answer) = client.get(&format!("/v1/apps/shop/insights/{of}&ds={ds}")).await;
                assert_eq!((status, &answer["ds"]), (StatusCode::OK, &json!(ds)), "{answer}");
                let crowds: Vec<Value> = answer["crowds"].as_array().into_iter().flatten().cloned().collect();
                let size = |crowd: &Value| {
                    ["crowd", "users", "new_users", "earlier_from"].map(|key| crowd[key].clone())
                };
                seen.push((ds, of, answer["tags"].clone(), crowds.iter().map(size).collect::<Vec<_>>()));
            }
        }
        seen
    };
    let before = seen().await;
    let done = lifecycle(&client).await;
    assert!(done["event_days"].as_u64() > Some(10), "{done}");
    assert_eq!(seen().await, before);
    // A day that is whole is counted again: nobody came today but one.
    let visit = format!("ds,app_id,user_id,event,pv\n{},shop,u1,visit,1\n", today());
    assert_eq!(client.import_csv("kind=behavior", &visit).await["state"], "done");
    settle(&client).await;
    let after = seen().await;
    assert_ne!(after[1], before[1], "active_1d of today");
    assert_eq!(after[3..], before[3..], "days before today");
}

/// The command does every app and says what it came to.
fn command(url: &str, data: &Path) {
    let run = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        command.current_dir(data.parent().unwrap()).arg("lifecycle").args(["--server", url]).args(args);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let told = run(&[]);
    assert!(told.contains("BYTES AFTER") && told.contains("shop"), "{told}");
    let jobs: Value = serde_json::from_str(&run(&["--app", "shop", "--json"])).unwrap();
    let result = &jobs["items"][0]["result"];
    assert_eq!((&result["label_days"], &result["labels_from"]), (&json!(0), &json!(today().plus(-5))));
}
