//! Experiments: groups are those of the documented hash, layers and holdouts keep users apart, and results are those
//! of the plain rows.

mod groups;
mod life;
mod results;
#[path = "../support/mod.rs"]
mod support;

use std::collections::BTreeSet;
use std::fmt::Write;

use reqwest::StatusCode;
use serde_json::{Value, json};
use support::Client;

const USERS: usize = 3_000;
const DAYS: std::ops::RangeInclusive<usize> = 1..=12;

fn mix(user: usize, day: usize) -> usize {
    ((user + 7) * 2_654_435_761 + (day + 3) * 40_503_000_017) >> 9
}

/// How often and for how much a user buys on a day.
fn order(user: usize, day: usize) -> Option<(i64, i64)> {
    let (habit, today) = (mix(user, 99), mix(user, day));
    (today % 10 < 1 + habit % 6)
        .then(|| (1 + (today % 4) as i64, (habit % 700 + today / 16 % 300) as i64 - 50))
}

fn third(user: usize) -> usize {
    user % 3
}

async fn import(client: &Client<'_>) {
    let mut rows = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n".to_owned();
    for user in 0..USERS {
        writeln!(rows, "20210101,shop,1,third,u{user},{},t{}", third(user), third(user)).unwrap();
    }
    assert_eq!(client.import_csv("kind=labels", &rows).await["state"], "done");
    let mut rows = "ds,app_id,user_id,event,pv,m_amount\n".to_owned();
    for day in DAYS {
        for user in 0..USERS {
            if let Some((pv, amount)) = order(user, day) {
                writeln!(rows, "202101{day:02},shop,u{user},order,{pv},{amount}").unwrap();
            }
            if mix(user, day + 50).is_multiple_of(3) {
                writeln!(rows, "202101{day:02},shop,u{user},seen,1,0").unwrap();
            }
        }
    }
    assert_eq!(client.import_csv("kind=behavior", &rows).await["state"], "done");
}

/// As the API describes it.
fn position(salt: &str, user: usize) -> u64 {
    let hash = xxhash_rust::xxh3::xxh3_64(format!("{salt}/u{user}").as_bytes());
    ((u128::from(hash) * 1_000_000) >> 64) as u64
}

async fn create(client: &Client<'_>, body: &Value) -> Value {
    let (status, experiment) = client.post("/v1/apps/shop/experiments", body).await;
    assert_eq!((status, &experiment["state"]), (StatusCode::CREATED, &json!("draft")), "{experiment}");
    experiment
}

fn path(experiment: &Value, rest: &str) -> String {
    format!("/v1/apps/shop/experiments/{}{rest}", experiment["id"].as_str().unwrap())
}

async fn get(client: &Client<'_>, path: &str) -> Value {
    let (status, answer) = client.get(path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    answer
}

/// Starts it and waits until it runs.
async fn start(client: &Client<'_>, experiment: &Value, from: u32) -> Value {
    let (status, job) = client.post(&path(experiment, "/start"), &json!({"from": from})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    let job = client.wait(job["id"].as_str().unwrap()).await;
    assert_eq!(job["state"], "done", "{job}");
    let running = get(client, &path(experiment, "")).await;
    assert_eq!(running["state"], "running", "{running}");
    running
}

/// The users of each group, from the groups' cohorts.
async fn groups(client: &Client<'_>, experiment: &Value, cohort: &str) -> Vec<BTreeSet<usize>> {
    let mut groups = Vec::new();
    for group in experiment["members"].as_array().unwrap() {
        let users = client.members("shop", &json!({"cohort_id": group[cohort]})).await;
        groups.push(users.iter().map(|user| user[1..].parse().unwrap()).collect());
    }
    groups
}

fn halves() -> Value {
    json!([{"name": "control", "share": 0.5}, {"name": "blue", "share": 0.5}])
}

fn near(seen: &Value, expected: f64) -> bool {
    (seen.as_f64().unwrap() - expected).abs() <= 1e-9 * expected.abs().max(1e-3)
}

fn metrics() -> Value {
    json!([
        {"name": "buyers", "event": "order", "of": "users"},
        {"name": "orders", "event": "order", "of": "pv"},
        {"name": "amount", "event": "order", "of": "sum", "measure": "m_amount"},
    ])
}
