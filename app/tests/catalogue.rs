//! What a team says of its data, from the gateway to every number that depends on it.

mod support;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Client, Server};

const LABELS: &str = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n";
const BEHAVIOR: &str = "ds,app_id,user_id,event,pv\n";

async fn put(client: &Client<'_>, path: &str, body: Value) -> Value {
    let answer = client.request(Method::PUT, path).json(&body).send().await.unwrap();
    let (status, body) = support::json(answer).await;
    assert_eq!(status, StatusCode::OK, "{path}: {body}");
    body
}

async fn count(client: &Client<'_>, app: &str, rule: Value) -> (u64, u64) {
    let (status, answer) = client.estimate(app, &rule).await;
    assert_eq!(status, StatusCode::OK, "{rule}: {answer}");
    (answer["count"].as_u64().unwrap(), answer["universe_count"].as_u64().unwrap())
}

/// Waits until the profile is worked out of what is published and said now.
async fn settle(client: &Client<'_>, app: &str) {
    let (status, job) = client.post(&format!("/v1/apps/{app}/insights/refresh"), &json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    client.wait(job["id"].as_str().unwrap()).await;
    for state in ["queued", "running"] {
        let (_, page) = client.get(&format!("/v1/jobs?app={app}&kind=metrics&state={state}")).await;
        for job in page["items"].as_array().unwrap() {
            client.wait(job["id"].as_str().unwrap()).await;
        }
    }
}

async fn insight(client: &Client<'_>, crowd: &str) -> (StatusCode, Value) {
    client.get(&format!("/v1/apps/shop/insights/labels/colour?crowd={crowd}")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn base_crowds_and_what_events_count_as_reach_every_number() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    let mut labels = LABELS.to_owned();
    let mut behavior = BEHAVIOR.to_owned();
    for user in 0..60 {
        labels += &format!("20261110,shop,1,colour,u{user},{},c{}\n", user % 3, user % 3);
        let event = if user % 4 == 0 { "ping" } else { "visit" };
        behavior += &format!("20261110,shop,u{user},{event},{}\n", user % 5 + 1);
    }
    client.import_csv("kind=labels", &labels).await;
    client.import_csv("kind=behavior", &behavior).await;

    let heavy =
        json!({"universe": "active_7d", "where": {"event": "visit", "last_days": 7, "pv": {"gte": 4}}});
    put(&client, "/v1/apps/shop/base-crowds/heavy", json!({"rule": heavy, "owner": "crm"})).await;
    let in_heavy = (0..60).filter(|user| user % 4 != 0 && user % 5 >= 3).count() as u64;
    assert_eq!(
        count(&client, "shop", json!({"universe": "heavy", "where": {"all": []}})).await,
        (in_heavy, in_heavy)
    );
    let red = json!({"universe": "heavy", "where": {"label": "colour", "in": ["c1"]}});
    let others = json!({"universe": "heavy", "where": {"not": {"label": "colour", "in": ["c1"]}}});
    let (red_count, _) = count(&client, "shop", red.clone()).await;
    assert_eq!(red_count + count(&client, "shop", others).await.0, in_heavy);
    let cohort = client.cohort("shop", &red).await;
    assert_eq!(client.members("shop", &cohort).await.len() as u64, red_count);
    let proof = format!("/v1/apps/shop/cohorts/{}/users/u0", cohort["cohort_id"].as_str().unwrap());
    let (_, proof) = client.get(&proof).await;
    let universe = json!({"name": "heavy", "holds": false});
    assert_eq!((&proof["member"], &proof["universe"]), (&json!(false), &universe), "{proof}");

    settle(&client, "shop").await;
    let (status, answer) = insight(&client, "heavy").await;
    assert_eq!((status, &answer["crowd_users"]), (StatusCode::OK, &json!(in_heavy)), "{answer}");
    let cell = answer["tags"].as_array().unwrap().iter().find(|tag| tag["name"] == "c1").unwrap().clone();
    assert_eq!(cell["users"], red_count);
    let (_, answer) = insight(&client, "heavi").await;
    assert_eq!(answer["errors"][0]["nearest"], "heavy", "{answer}");

    // Heartbeats make nobody active from now on.
    put(&client, "/v1/apps/shop/events/ping", json!({"active": false})).await;
    settle(&client, "shop").await;
    let (_, answer) = insight(&client, "active_7d").await;
    let visitors = (0..60).filter(|user| user % 4 != 0).count();
    assert_eq!(answer["crowd_users"], visitors);
    assert_eq!(
        count(&client, "shop", json!({"universe": "active_7d", "where": {"all": []}})).await.1,
        visitors as u64
    );

    // Another rule under the same code; then it is retired.
    let light = json!({"where": {"event": "visit", "pv": {"lt": 4}}});
    put(&client, "/v1/apps/shop/base-crowds/heavy", json!({"rule": light})).await;
    settle(&client, "shop").await;
    let (_, answer) = insight(&client, "heavy").await;
    assert_eq!(answer["crowd_users"], 60 - in_heavy);
    put(&client, "/v1/apps/shop/base-crowds/heavy", json!({"rule": light, "retired": true})).await;
    let (_, answer) = client.estimate("shop", &red).await;
    assert_eq!(answer["warnings"][0]["code"], "retired", "{answer}");
    put(&client, "/v1/apps/shop/labels/colour", json!({"retired": true})).await;
    let (_, answer) = client.estimate("shop", &json!({"where": {"label": "colour", "set": true}})).await;
    assert_eq!(
        (&answer["count"], &answer["warnings"][0]["code"]),
        (&json!(60), &json!("retired")),
        "{answer}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_refuses_unknown_labels_says_which_rows() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    put(&client, "/v1/apps/shop/settings", json!({"unknown_labels": "refuse", "buckets": 4})).await;
    let rows = format!(
        "{LABELS}20261110,shop,1,colour,u1,1,red\n20261110,shop,2,size,u1,1,big\n20261110,free,2,size,u1,1,big\n"
    );
    let job = client.import_csv("kind=labels&reject_limit=1", &rows).await;
    assert_eq!(
        (&job["result"]["rows_published"], &job["result"]["rows_rejected"]),
        (&json!(1), &json!(2)),
        "{job}"
    );
    let report = client.text(job["result"]["rejects_url"].as_str().unwrap()).await;
    assert!(report.contains("label_id") && report.contains("not a label of the app's catalogue"), "{report}");

    put(&client, "/v1/apps/shop/labels/1", json!({"name": "colour"})).await;
    let job = client.import_csv("kind=labels&reject_limit=1", &rows).await;
    assert_eq!(job["result"]["rows_rejected"], 1, "{job}");
    let (_, app) = client.get("/v1/apps/shop").await;
    assert_eq!((&app["users"], &app["buckets"]), (&json!(1), &json!(4)), "{app}");
    put(&client, "/v1/apps/shop/labels/1", json!({"retired": true})).await;
    let job = client.import_csv("kind=labels&reject_limit=1", &rows).await;
    assert_eq!(job["result"]["rows_rejected"], 2, "{job}");
}

/// Each app counts its days in its own zone: around midnight there, and on the days on which the clocks of
/// Los Angeles change, which have 23 and 25 hours.
#[tokio::test(flavor = "multi_thread")]
async fn a_calendar_day_is_the_apps_own() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    let zones = [
        ("la", "America/Los_Angeles"),
        ("fix", "Etc/GMT+8"),
        ("in", "Asia/Kolkata"),
        ("cn", "Asia/Shanghai"),
    ];
    for (app, zone) in zones {
        put(&client, &format!("/v1/apps/{app}/settings"), json!({"time_zone": zone})).await;
    }
    // App, instant, and the day that it belongs to there.
    let cases = [
        ("fix", "2026-11-10T07:59:59Z", 20261109),
        ("fix", "2026-11-10T08:00:00Z", 20261110),
        ("in", "2026-11-09T18:29:59Z", 20261109),
        ("in", "2026-11-09T18:30:00Z", 20261110),
        ("cn", "2026-11-09T15:59:59Z", 20261109),
        ("cn", "2026-11-09T16:00:00Z", 20261110),
        // 2026-03-08: from UTC-8 to UTC-7 at two in the morning.
        ("la", "2026-03-08T07:59:59Z", 20260307),
        ("la", "2026-03-08T08:00:00Z", 20260308),
        ("la", "2026-03-09T06:59:59Z", 20260308),
        ("la", "2026-03-09T07:00:00Z", 20260309),
        // 2026-11-01: back to UTC-8.
        ("la", "2026-11-01T06:59:59Z", 20261031),
        ("la", "2026-11-01T07:00:00Z", 20261101),
        ("la", "2026-11-02T07:59:59Z", 20261101),
        ("la", "2026-11-02T08:00:00Z", 20261102),
    ];
    let mut lines = String::new();
    for (n, (app, time, _)) in cases.iter().enumerate() {
        lines +=
            &json!({"time": time, "app_id": app, "user_id": format!("u{n}"), "event": "visit"}).to_string();
        lines.push('\n');
    }
    let id = client.import("kind=events", "application/x-ndjson", false, lines.into_bytes()).await;
    assert_eq!(client.wait(&id).await["result"]["rows_published"], cases.len());
    for (n, (app, time, ds)) in cases.iter().enumerate() {
        let rule = json!({"universe": "active_1d", "as_of": ds, "where": {"event": "visit", "last_days": 1}});
        let cohort = client.cohort(app, &rule).await;
        let members = client.members(app, &cohort).await;
        assert!(members.contains(&format!("u{n}")), "{app} {time} {ds}: {members:?}");
        let same_day = cases.iter().filter(|(other, _, day)| (other, day) == (app, ds)).count();
        assert_eq!(members.len(), same_day, "{app} {ds}");
    }
}

/// A floor of 5 among 60 users: who are too few is neither counted nor listed, by whatever way.
#[tokio::test(flavor = "multi_thread")]
async fn crowds_below_the_privacy_floor_are_not_shown() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    let mut labels = LABELS.to_owned();
    for user in 0..60 {
        let tag = if user < 3 { 1 } else { 2 + user % 2 };
        labels += &format!("20261110,shop,1,colour,u{user},{tag},c{tag}\n");
    }
    client.import_csv("kind=labels", &labels).await;
    let rare = json!({"label": "colour", "in": ["c1"]});
    let of_rare = json!({"where": rare});
    let early = client.cohort("shop", &of_rare).await;
    assert_eq!(early["size"], 3);
    put(&client, "/v1/apps/shop/settings", json!({"privacy_floor": 5})).await;

    let common = json!({"label": "colour", "in": ["c2"]});
    let hidden =
        [of_rare.clone(), json!({"where": {"not": rare}}), json!({"where": {"all": [common, rare.clone()]}})];
    for (rule, shown) in hidden.iter().zip([false, false, true]) {
        let (_, answer) = client.estimate("shop", rule).await;
        assert_eq!(answer["count"].is_u64(), shown, "{answer}");
        assert_eq!((&answer["universe_count"], &answer["privacy_floor"]), (&json!(60), &json!(5)));
    }
    let (_, answer) = client.estimate("shop", &hidden[2]).await;
    assert_eq!(answer["leaves"]["/where/all/1"], Value::Null, "{answer}");
    assert!(answer["leaves"]["/where/all/0"].is_u64(), "{answer}");

    let (_, tags) = client.get("/v1/apps/shop/labels/colour/tags").await;
    let users: Vec<bool> =
        tags["items"].as_array().unwrap().iter().map(|tag| tag["users"].is_u64()).collect();
    assert_eq!(users, [false, true, true], "{tags}");

    // No cohort is made any more, and the one that was made tells nothing.
    let segment = json!({"name": "rare", "rule": of_rare, "refresh": "manual"});
    let (_, segment) = client.post("/v1/apps/shop/segments", &segment).await;
    let run = format!("/v1/apps/shop/segments/{}/run", segment["id"].as_str().unwrap());
    let (_, job) = client.post(&run, &json!({})).await;
    let job = client.wait(job["id"].as_str().unwrap()).await;
    assert_eq!((&job["state"], &job["error"]["code"]), (&json!("failed"), &json!("below_floor")), "{job}");
    let cohort = format!("/v1/apps/shop/cohorts/{}", early["cohort_id"].as_str().unwrap());
    assert_eq!(client.get(&cohort).await.1["size"], Value::Null);
    for path in ["users", "users/u1"] {
        let (status, problem) = client.get(&format!("{cohort}/{path}")).await;
        assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("below_floor")), "{problem}");
    }
}
