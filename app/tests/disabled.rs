//! Apps that are disabled: what becomes of their files, what is kept of them, and who is refused.

mod support;

use muster_days::{Ds, Tz};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Client, Server};

const LABELS: &str = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n";
const BEHAVIOR: &str = "ds,app_id,user_id,event,pv,page\n";

async fn put(client: &Client<'_>, path: &str, body: Value) {
    let answer = client.request(Method::PUT, path).json(&body).send().await.unwrap();
    let (status, body) = support::json(answer).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
}

async fn enable(client: &Client<'_>, app: &str, enabled: bool) {
    put(client, &format!("/v1/apps/{app}/settings"), json!({ "enabled": enabled })).await;
}

async fn count(client: &Client<'_>, app: &str, rule: Value) -> (u64, u64) {
    let (status, answer) = client.estimate(app, &rule).await;
    assert_eq!(status, StatusCode::OK, "{rule}: {answer}");
    (answer["count"].as_u64().unwrap(), answer["universe_count"].as_u64().unwrap())
}

/// Asserts that it is refused because the app is disabled, and that the refusal says what to do.
fn is_disabled((status, problem): &(StatusCode, Value)) {
    assert_eq!((*status, &problem["code"]), (StatusCode::CONFLICT, &json!("app_disabled")), "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("\"enabled\": true"), "{problem}");
}

/// Neither counted nor kept.
async fn refused(client: &Client<'_>, app: &str, rule: &Value) {
    is_disabled(&client.estimate(app, rule).await);
    let segment = json!({"name": "a test", "rule": rule});
    is_disabled(&client.post(&format!("/v1/apps/{app}/segments"), &segment).await);
}

async fn lifecycle(client: &Client<'_>, app: &str) -> Value {
    let (_, job) = client.post(&format!("/v1/apps/{app}/lifecycle"), &json!({})).await;
    client.wait(job["id"].as_str().unwrap()).await["result"].clone()
}

/// The number of files that are kept aside.
fn kept_aside(data: &std::path::Path) -> usize {
    let mut files = 0;
    for folder in walk(data).iter().filter(|path| path.ends_with(".aside")) {
        files += walk(folder).iter().filter(|path| path.extension().is_some_and(|it| it == "body")).count();
    }
    files
}

fn walk(folder: &std::path::Path) -> Vec<std::path::PathBuf> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let mut found = Vec::new();
    for path in entries.map(|entry| entry.unwrap().path()) {
        found.extend(walk(&path));
        found.push(path);
    }
    found
}

/// Waits until no job of the app is left.
async fn quiet(client: &Client<'_>, app: &str) {
    for state in ["queued", "running", "queued"] {
        let (_, page) = client.get(&format!("/v1/jobs?app={app}&state={state}")).await;
        for job in page["items"].as_array().unwrap() {
            assert_eq!(client.wait(job["id"].as_str().unwrap()).await["state"], "done");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disabled_app_keeps_its_files_aside_until_it_is_enabled() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start_with(&data, "[ingest]\nstart_disabled = true\n").await;
    let client = server.client();
    enable(&client, "on", true).await;
    let rows = |ds: u32, tag: &str| {
        let row = |app: &str, user: &str| format!("{ds},{app},1,colour,{user},1,{tag}\n");
        format!("{LABELS}{}{}{}", row("on", "u1"), row("shop", "u1"), row("shop", "u2"))
    };
    for (ds, tag) in [(20261109, "red"), (20261110, "blue")] {
        let job = client.import_csv("kind=labels", &rows(ds, tag)).await;
        let result = &job["result"];
        assert_eq!((&result["rows_published"], &result["rows_set_aside"]), (&json!(1), &json!(2)), "{job}");
        assert_eq!(result["apps_set_aside"], json!(["shop"]));
    }
    assert_eq!(client.get("/v1/apps/on").await.1["users"], 1);
    assert_eq!(client.get("/v1/apps/shop").await.0, StatusCode::NOT_FOUND);
    assert_eq!(kept_aside(dir.path()), 2);

    enable(&client, "shop", true).await;
    quiet(&client, "shop").await;
    let (_, jobs) = client.get("/v1/jobs?app=shop&kind=take_in").await;
    let result = &jobs["items"][0]["result"];
    assert_eq!(
        (&result["files"], &result["rows_published"], &result["bytes_before"]),
        (&json!(2), &json!(4), &json!(0))
    );
    assert!(result["bytes_after"].as_u64().unwrap() > 0, "{jobs}");
    let blue = json!({"where": {"label": "colour", "in": ["blue"]}});
    assert_eq!(count(&client, "shop", blue.clone()).await, (2, 2));
    assert_eq!(kept_aside(dir.path()), 0);

    // Disabled again: nothing is built any more, and the lifecycle drops what was.
    enable(&client, "shop", false).await;
    client.import_csv("kind=labels", &rows(20261111, "green")).await;
    refused(&client, "shop", &blue).await;
    assert_eq!(client.get("/v1/apps/shop").await.1["bytes"], result["bytes_after"]);
    let dropped = lifecycle(&client, "shop").await;
    assert_eq!((&dropped["disabled"], &dropped["label_days"]), (&json!(true), &json!(2)), "{dropped}");
    let (before, after) = (dropped["bytes_before"].as_u64(), dropped["bytes_after"].as_u64());
    assert!(after < before, "{dropped}");
    assert_eq!(client.get("/v1/apps/shop").await.1["bytes"].as_u64(), after);
    refused(&client, "shop", &blue).await;
    enable(&client, "shop", true).await;
    quiet(&client, "shop").await;
    let green = json!({"where": {"label": "colour", "in": [1]}});
    assert_eq!(count(&client, "shop", green).await, (2, 2));
    assert_eq!(client.get("/v1/apps/on").await.1["labels"], 1);
}

/// Apps that are enabled by the deployment, without a word of their own, take in what was kept for them.
#[tokio::test(flavor = "multi_thread")]
async fn a_deployment_that_no_longer_starts_disabled_takes_in_what_was_kept() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::start_with(&data, "[ingest]\nstart_disabled = true\n").await;
    let rows = format!("{LABELS}20261110,shop,1,colour,u1,1,red\n20261110,other,1,colour,u1,1,red\n");
    let job = server.client().import_csv("kind=labels", &rows).await;
    assert_eq!((&job["result"]["rows_published"], &job["result"]["rows_set_aside"]), (&json!(0), &json!(2)));
    server.kill();

    let server = Server::start_with(&data, "").await;
    let client = server.client();
    let red = json!({"where": {"label": "colour", "in": ["red"]}});
    for app in ["shop", "other"] {
        let began = std::time::Instant::now();
        while client.estimate(app, &red).await.1["count"] != 1 {
            assert!(began.elapsed().as_secs() < 60, "{app} never takes it in");
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        quiet(&client, app).await;
    }
    assert_eq!(kept_aside(dir.path()), 0);
}

const BASICS: &str = "[ingest]\nbasics_when_disabled = true\n";

fn today() -> Ds {
    Ds::of(chrono::Utc::now(), Tz::UTC).unwrap()
}

/// A label and an event of thirty users, on the newest day and on days before it.
async fn import(client: &Client<'_>, newest: Ds, back: &[i64]) {
    let (mut labels, mut behavior) = (LABELS.to_owned(), BEHAVIOR.to_owned());
    for ds in back.iter().map(|days| newest.plus(-days)) {
        for user in 0..30 {
            labels += &format!("{ds},shop,1,colour,u{user},{},c{}\n", user % 3, user % 3);
            if user % 2 == 0 {
                behavior += &format!("{ds},shop,u{user},visit,{},/p{}\n", user % 5 + 1, user % 4);
            }
        }
    }
    for (kind, rows) in [("behavior", behavior), ("labels", labels)] {
        let job = client.import_csv(&format!("kind={kind}"), &rows).await;
        assert_eq!(
            (&job["state"], &job["result"]["rows_set_aside"]),
            (&json!("done"), &Value::Null),
            "{job}"
        );
    }
    quiet(client, "shop").await;
}

/// The profile of a day: base crowds by labels, events, and the values of dimensions.
async fn profile(client: &Client<'_>, ds: Ds) -> Vec<Value> {
    let mut answers = Vec::new();
    for path in [
        format!("labels/colour?crowd=active_180d&ds={ds}"),
        format!("labels/colour?ds={ds}"),
        format!("events?ds={ds}"),
        format!("events/visit/dimensions/page?ds={ds}"),
    ] {
        let (status, mut answer) = client.get(&format!("/v1/apps/shop/insights/{path}")).await;
        assert_eq!(status, StatusCode::OK, "{path}: {answer}");
        // It may have been worked out again, and come to the same.
        answer.as_object_mut().unwrap().remove("computed_at");
        // What is published by now is another matter.
        answer.as_object_mut().unwrap().remove("published_ds");
        if let Some(completeness) = answer["completeness"].as_object_mut() {
            completeness.remove("windows");
        }
        answers.push(answer);
    }
    answers
}

/// A disabled app has the profile of its newest day, and little else; rules are refused in every form.
#[tokio::test(flavor = "multi_thread")]
async fn where_there_are_basics_a_disabled_app_keeps_its_daily_profile() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with(&dir.path().join("data"), BASICS).await;
    let client = server.client();
    // Yesterday, as days come, and as far back as the longest window reaches, and a day beyond.
    let newest = today().plus(-1);
    import(&client, newest, &[200, 180, 179, 30, 1, 0]).await;
    let red = json!({"where": {"label": "colour", "in": ["c1"]}});
    let early = client.cohort("shop", &red).await;
    let (_, segments) = client.get("/v1/apps/shop/segments").await;
    let segment = segments["items"][0]["id"].as_str().unwrap().to_owned();
    let (full, before) = (profile(&client, newest).await, profile(&client, newest.plus(-1)).await);

    enable(&client, "shop", false).await;
    import(&client, newest, &[0]).await;
    refused(&client, "shop", &red).await;
    let of_segment = format!("/v1/apps/shop/segments/{segment}");
    let replace = client.request(Method::PUT, &of_segment).json(&json!({"name": "b", "rule": red}));
    is_disabled(&support::json(replace.send().await.unwrap()).await);
    is_disabled(&client.post(&format!("{of_segment}/run"), &json!({})).await);
    let cohort = format!("/v1/apps/shop/cohorts/{}", early["cohort_id"].as_str().unwrap());
    for path in ["users", "users?format=csv", "users/u1"] {
        is_disabled(&client.get(&format!("{cohort}/{path}")).await);
    }
    // What is known of it can be looked at.
    assert_eq!(client.get(&cohort).await.1["size"], early["size"]);
    assert_eq!(client.get(&of_segment).await.1["name"], "a test");

    let dropped = lifecycle(&client, "shop").await;
    quiet(&client, "shop").await;
    let days = (&dropped["label_days"], &dropped["event_days"], &dropped["disabled"]);
    assert_eq!(days, (&json!(5), &json!(2), &json!(true)), "{dropped}");
    assert_eq!(dropped["labels_from"], json!(newest), "{dropped}");
    let (before_bytes, after_bytes) = (dropped["bytes_before"].as_u64(), dropped["bytes_after"].as_u64());
    assert!(after_bytes < before_bytes && after_bytes > Some(0), "{dropped}");
    let (_, app) = client.get("/v1/apps/shop").await;
    assert_eq!((app["bytes"].as_u64(), &app["newest_ds"]), (after_bytes, &json!(newest)), "{app}");
    // The newest day is as it was, and so are those before it that were worked out in their time.
    assert_eq!(profile(&client, newest).await, full);
    assert_eq!(profile(&client, newest.plus(-1)).await, before);
    let again = lifecycle(&client, "shop").await;
    assert_eq!((&again["label_days"], &again["event_days"]), (&json!(0), &json!(0)), "{again}");

    // The next day comes, and is profiled.
    import(&client, today(), &[0]).await;
    assert_eq!(profile(&client, today()).await[0]["crowd_users"], 15);
    assert_eq!(profile(&client, newest).await, full);

    enable(&client, "shop", true).await;
    assert_eq!(count(&client, "shop", red.clone()).await, (10, 30));
    assert_eq!(client.members("shop", &early).await.len(), 10);
    assert_eq!(client.cohort("shop", &red).await["size"], 10);
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_were_kept_aside_are_taken_in_once_there_are_basics() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::start_with(&data, "[ingest]\nstart_disabled = true\n").await;
    let rows = format!("{LABELS}{},shop,1,colour,u1,1,red\n", today());
    let job = server.client().import_csv("kind=labels", &rows).await;
    assert_eq!(job["result"]["rows_set_aside"], 1, "{job}");
    // Nobody has said anything of it, and nothing is published: there is no such app yet.
    let red = json!({"where": {"label": "colour", "in": ["red"]}});
    assert_eq!(server.client().estimate("shop", &red).await.0, StatusCode::NOT_FOUND);
    server.kill();

    let server = Server::start_with(&data, &format!("{BASICS}start_disabled = true\n")).await;
    let client = server.client();
    let began = std::time::Instant::now();
    while client.get("/v1/apps/shop").await.0 != StatusCode::OK {
        assert!(began.elapsed().as_secs() < 60, "it is never taken in");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    quiet(&client, "shop").await;
    assert_eq!(kept_aside(dir.path()), 0);
    refused(&client, "shop", &red).await;
    enable(&client, "shop", true).await;
    assert_eq!(count(&client, "shop", red).await, (1, 1));
}
