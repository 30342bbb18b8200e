//! How many users the crowds have, who of them is new, and with what weight they carry a tag.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use muster_days::Ds;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Client, Server};

const LABELS: &str = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name,tag_value\n";
const BEHAVIOR: &str = "ds,app_id,user_id,event,pv\n";
const WINDOWS: [(&str, i64); 7] = [
    ("active_1d", 1),
    ("active_7d", 7),
    ("active_30d", 30),
    ("active_180d", 180),
    ("trade_1d", 1),
    ("trade_7d", 7),
    ("trade_30d", 30),
];

type Visits = Vec<(Ds, usize, &'static str)>;

async fn settle(client: &Client<'_>) {
    let (status, job) = client.post("/v1/apps/shop/insights/refresh", &json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    assert_eq!(client.wait(job["id"].as_str().unwrap()).await["state"], "done");
}

async fn insight(client: &Client<'_>, rest: &str) -> Value {
    let (status, answer) = client.get(&format!("/v1/apps/shop/insights/{rest}")).await;
    assert_eq!(status, StatusCode::OK, "{rest}: {answer}");
    answer
}

fn day(number: i64) -> Ds {
    Ds::from_number(number).unwrap()
}

fn csv(visits: &Visits) -> String {
    let mut text = BEHAVIOR.to_owned();
    visits.iter().for_each(|(ds, user, event)| writeln!(text, "{ds},shop,u{user},{event},1").unwrap());
    text
}

/// Users, new and returning, of a window; and the first day looked at. Counted row by row.
fn expected(visits: &Visits, crowd: &str, days: i64, ds: Ds) -> (usize, Option<(usize, usize)>, Option<Ds>) {
    let counts = |event: &str| crowd.starts_with("active") || event == "order";
    let rows = || visits.iter().filter(|(_, _, event)| counts(event));
    let ago = |(day, ..): &&(Ds, usize, &str)| ds.days_since(*day);
    let within: BTreeSet<usize> =
        rows().filter(|row| (0..days).contains(&ago(row))).map(|row| row.1).collect();
    let before = || rows().filter(|row| (days..days + 180).contains(&ago(row)));
    let earlier: BTreeSet<usize> = before().map(|row| row.1).collect();
    let from = before().map(|row| row.0).min();
    let returning = within.intersection(&earlier).count();
    (within.len(), from.map(|_| (within.len() - returning, returning)), from)
}

async fn check(client: &Client<'_>, visits: &Visits, ds: Ds) {
    let answer = insight(client, &format!("crowds?ds={ds}")).await;
    assert_eq!(answer["ds"], ds.number());
    assert_eq!(answer["missing"], json!([]));
    let crowds = answer["crowds"].as_array().unwrap();
    assert_eq!(crowds[0]["crowd"], "all");
    assert_eq!((&crowds[0]["new_users"], crowds.len()), (&Value::Null, 8), "{answer}");
    let by_name: BTreeMap<&str, &Value> =
        crowds.iter().map(|crowd| (crowd["crowd"].as_str().unwrap(), crowd)).collect();
    for (crowd, days) in WINDOWS {
        let (users, split, from) = expected(visits, crowd, days, ds);
        let found = by_name[crowd];
        assert_eq!(found["users"], users, "{crowd} on {ds}");
        assert_eq!(found["new_users"], json!(split.map(|(new, _)| new)), "{crowd} on {ds}: {found}");
        assert_eq!(found["returning_users"], json!(split.map(|(_, old)| old)), "{crowd} on {ds}");
        assert_eq!(found["earlier_from"], json!(from.map(Ds::number)), "{crowd} on {ds}");
        let trend = insight(client, &format!("crowds/{crowd}?from={ds}&to={ds}")).await;
        assert_eq!(trend["days"], json!([found]), "{crowd} on {ds}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn new_users_and_returning_ones() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    let mut random = StdRng::seed_from_u64(9);
    // One day that the short windows don't look back to, one before the longest, and some lately. Nobody
    // orders before October the 20th.
    let days = [20260401, 20260510, 20260920, 20261020, 20261102, 20261108, 20261109, 20261110].map(day);
    let mut visits: Visits = Vec::new();
    for user in 0..300 {
        for _ in 0..random.random_range(1..4) {
            let ds = days[random.random_range(0..days.len())];
            let event = if ds >= day(20261020) && random.random_bool(0.5) { "order" } else { "visit" };
            visits.push((ds, user, event));
        }
    }
    let first = csv(&visits);
    assert_eq!(client.import_csv("kind=behavior", &first).await["state"], "done");
    settle(&client).await;
    for ds in [20261110, 20261109, 20261020] {
        check(&client, &visits, day(ds)).await;
    }
    // Both kinds of answers were seen: with numbers, and without.
    assert_eq!(expected(&visits, "active_180d", 180, day(20261110)).2, Some(day(20260401)));
    assert_eq!(expected(&visits, "active_30d", 30, day(20261110)).2, Some(day(20260510)));
    assert_eq!(expected(&visits, "trade_30d", 30, day(20261110)).2, None);

    // A day that comes late, before the windows of the last week: whoever had been new may return.
    let late: Visits = (0..150).map(|user| (day(20261028), user, "visit")).collect();
    let before = insight(&client, "crowds/active_7d").await;
    assert_eq!(client.import_csv("kind=behavior", &csv(&late)).await["state"], "done");
    settle(&client).await;
    visits.extend(late);
    for ds in [20261110, 20261109, 20261028, 20261020] {
        check(&client, &visits, day(ds)).await;
    }
    let after = insight(&client, "crowds/active_7d").await;
    let newest = |trend: &Value, key: &str| trend["days"].as_array().unwrap().last().unwrap()[key].clone();
    assert_eq!(newest(&before, "users"), newest(&after, "users"));
    assert!(newest(&before, "new_users").as_u64() > newest(&after, "new_users").as_u64(), "{before} {after}");

    for (path, status, code) in [
        ("crowds/active_7", StatusCode::BAD_REQUEST, "unknown_crowd"),
        ("crowds?ds=x", StatusCode::BAD_REQUEST, "invalid_ds"),
        ("crowds?ds=20250101", StatusCode::NOT_FOUND, "not_computed"),
        ("crowds/all?from=20261110&to=20261109", StatusCode::BAD_REQUEST, "invalid_days"),
    ] {
        let (found, problem) = client.get(&format!("/v1/apps/shop/insights/{path}")).await;
        assert_eq!((found, &problem["code"]), (status, &json!(code)), "{path}: {problem}");
    }
    floor_and_retired(&client).await;
}

/// Few new users are not shown, nor the others then; a retired crowd is not listed.
async fn floor_and_retired(client: &Client<'_>) {
    let list = insight(client, "crowds").await;
    let crowds = list["crowds"].as_array().unwrap();
    let least = crowds.iter().filter_map(|crowd| {
        let few = crowd["new_users"].as_u64()?.min(crowd["returning_users"].as_u64()?);
        (few > 0).then(|| (few, crowd["crowd"].as_str().unwrap()))
    });
    let (few, crowd) = least.min().expect("a crowd with new users and old");
    let put = async |path: &str, body: Value| {
        let request = client.request(Method::PUT, &format!("/v1/apps/shop/{path}")).json(&body);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{:?}", answer.text().await);
    };
    put("settings", json!({"privacy_floor": few + 1})).await;
    let floored = insight(client, &format!("crowds/{crowd}")).await;
    let newest = floored["days"].as_array().unwrap().last().unwrap();
    assert_eq!((&newest["new_users"], &newest["returning_users"]), (&Value::Null, &Value::Null), "{newest}");
    let rule =
        json!({"universe": "active_30d", "where": {"event": "order", "last_days": 7, "pv": {"gte": 1}}});
    put("base-crowds/buyers", json!({"rule": rule})).await;
    settle(client).await;
    let names = async || {
        let list = insight(client, "crowds").await;
        let crowds = list["crowds"].as_array().unwrap().clone();
        crowds.iter().map(|crowd| crowd["crowd"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert!(names().await.contains(&"buyers".to_owned()));
    put("base-crowds/buyers", json!({"rule": rule, "retired": true})).await;
    settle(client).await;
    assert!(!names().await.contains(&"buyers".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn weights_of_a_cell() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    let (mut labels, mut visits): (String, Visits) = (LABELS.to_owned(), Vec::new());
    for user in 0..60_i64 {
        // Tag 1: every second one has a weight, some below zero. Tag 2: nobody has. Tag 3: too great a sum.
        let weight = if user % 2 == 0 { (user * user - 500).to_string() } else { String::new() };
        writeln!(labels, "20261110,shop,1,score,u{user},1,one,{weight}").unwrap();
        writeln!(labels, "20261110,shop,1,score,u{user},2,two,").unwrap();
        writeln!(labels, "20261110,shop,1,score,u{user},3,three,{}", i64::MAX - user).unwrap();
        if user < 20 {
            visits.push((day(20261110), user as usize, "visit"));
        }
    }
    for (kind, file) in [("labels", &labels), ("behavior", &csv(&visits))] {
        assert_eq!(client.import_csv(&format!("kind={kind}"), file).await["state"], "done");
    }
    settle(&client).await;
    for (crowd, users) in [("all", 0..60_i64), ("active_7d", 0..20)] {
        let answer = insight(&client, &format!("labels/score?crowd={crowd}")).await;
        let tag = |id: i64| {
            let tags = answer["tags"].as_array().unwrap();
            tags.iter().find(|tag| tag["id"] == id).unwrap()["weight"].clone()
        };
        let weights: Vec<i64> = users.step_by(2).map(|user| user * user - 500).collect();
        let (count, sum) = (weights.len(), weights.iter().sum::<i64>());
        assert_eq!(tag(1)["users"], count, "{answer}");
        assert_eq!(tag(1)["sum"], sum, "{answer}");
        assert!((tag(1)["mean"].as_f64().unwrap() - sum as f64 / count as f64).abs() < 1e-9, "{answer}");
        assert_eq!(tag(2), Value::Null, "{answer}");
        assert_eq!((&tag(3)["sum"], &tag(3)["mean"]), (&Value::Null, &Value::Null), "{answer}");
    }
    // Published again without weights: they are gone.
    let again = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n20261110,shop,1,score,u1,1,one\n";
    assert_eq!(client.import_csv("kind=labels", again).await["state"], "done");
    settle(&client).await;
    let answer = insight(&client, "labels/score").await;
    assert_eq!((answer["tags"].as_array().unwrap().len(), &answer["tags"][0]["users"]), (1, &json!(1)));
    assert_eq!(answer["tags"][0]["weight"], Value::Null, "{answer}");
}
