//! What events come to by day: equal to what the imported rows add up to, and a day that is published anew
//! changes nothing but itself.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Client, Server};

const DAYS: [u32; 4] = [20261101, 20261102, 20261104, 20261105];

/// Values of a dimension that the server keeps: fewer than there are.
const KEPT: usize = 8;

/// Event, user, page, pv.
type Row = (&'static str, u32, u32, u64);

fn rows(random: &mut StdRng) -> Vec<Row> {
    let row = |random: &mut StdRng| {
        let event = ["visit", "order"][random.random_range(0..2)];
        (event, random.random_range(0..80), random.random_range(0..12), random.random_range(0..5))
    };
    (0..300).map(|_| row(random)).collect()
}

async fn publish(client: &Client<'_>, days: &BTreeMap<u32, Vec<Row>>) {
    let mut file = "ds,app_id,user_id,event,pv,page\n".to_owned();
    for (ds, rows) in days {
        for (event, user, page, pv) in rows {
            writeln!(file, "{ds},shop,u{user},{event},{pv},/p{page}").unwrap();
        }
    }
    assert_eq!(client.import_csv("kind=behavior", &file).await["state"], "done");
    let (status, job) = client.post("/v1/apps/shop/insights/refresh", &json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    assert_eq!(client.wait(job["id"].as_str().unwrap()).await["state"], "done");
}

/// pv and users of the event.
fn totals(rows: &[Row], event: &str) -> (u64, usize) {
    let own = rows.iter().filter(|row| row.0 == event);
    let users: BTreeSet<u32> = own.clone().map(|row| row.1).collect();
    (own.map(|row| row.3).sum(), users.len())
}

async fn get(client: &Client<'_>, rest: &str) -> Value {
    let (status, answer) = client.get(&format!("/v1/apps/shop/insights/events{rest}")).await;
    assert_eq!(status, StatusCode::OK, "{rest}: {answer}");
    answer
}

/// pv and users of each page, that with most pv first.
fn pages(rows: &[Row], event: &str) -> Vec<(u64, usize, String)> {
    let mut pages: BTreeMap<u32, (u64, BTreeSet<u32>)> = BTreeMap::new();
    for (_, user, page, pv) in rows.iter().filter(|row| row.0 == event) {
        let page = pages.entry(*page).or_default();
        page.0 += pv;
        page.1.insert(*user);
    }
    let page = |(page, (pv, users)): (u32, (u64, BTreeSet<u32>))| (pv, users.len(), format!("/p{page}"));
    let mut pages: Vec<_> = pages.into_iter().map(page).collect();
    pages.sort_by(|a, b| b.cmp(a));
    pages
}

/// Asserts that the first values of a dimension, and what the rest comes to, are what the rows add up to.
async fn check_pages(client: &Client<'_>, ds: u32, rows: &[Row]) {
    for (event, top) in [("visit", 100), ("order", 3)] {
        let answer = get(client, &format!("/{event}/dimensions/page?ds={ds}&top={top}")).await;
        let expected = pages(rows, event);
        let pv: u64 = expected.iter().map(|page| page.0).sum();
        assert_eq!((&answer["ds"], &answer["pv"]), (&json!(ds), &json!(pv)));
        assert_eq!(answer["values_total"], expected.len());
        let shown = expected.len().min(top).min(KEPT);
        let mut found = Vec::new();
        for value in answer["values"].as_array().unwrap() {
            let (pv, users) = (value["pv"].as_u64().unwrap(), value["users"].as_u64().unwrap() as usize);
            assert!(
                (value["share"].as_f64().unwrap() * answer["pv"].as_f64().unwrap() - pv as f64).abs() < 1e-6
            );
            let value = (pv, users, value["value"].as_str().unwrap().to_owned());
            assert!(expected.contains(&value), "{value:?} of {event} on {ds}");
            found.push((value.0, value.1));
        }
        let most: Vec<(u64, usize)> = expected[..shown].iter().map(|page| (page.0, page.1)).collect();
        assert_eq!(found, most, "{event} on {ds}");
        assert_eq!(answer["rest_values"], expected.len() - shown);
        assert_eq!(answer["rest_pv"], expected[shown..].iter().map(|page| page.0).sum::<u64>());
    }
}

async fn check(client: &Client<'_>, days: &BTreeMap<u32, Vec<Row>>) {
    for event in ["visit", "order"] {
        let trend = get(client, &format!("/{event}?from=20261031&to=20261105")).await;
        let expected: Vec<Value> = days
            .iter()
            .map(|(ds, rows)| (ds, totals(rows, event)))
            .map(|(ds, (pv, users))| json!({"ds": ds, "pv": pv, "users": users}))
            .collect();
        assert_eq!(trend["days"], json!(expected), "{event}");
        assert_eq!(trend["missing_days"], json!([20261031, 20261103]));
    }
    for (ds, rows) in days {
        check_pages(client, *ds, rows).await;
        let list = get(client, &format!("?ds={ds}")).await;
        assert_eq!((&list["ds"], &list["missing"]), (&json!(ds), &json!([])));
        let events = list["events"].as_array().unwrap();
        assert_eq!(events.len(), 2, "{list}");
        for total in events {
            let (pv, users) = totals(rows, total["event"].as_str().unwrap());
            assert_eq!((&total["pv"], &total["users"]), (&json!(pv), &json!(users)), "{ds}");
        }
        assert!(events[0]["pv"].as_u64() >= events[1]["pv"].as_u64());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn events_come_to_what_was_imported() {
    let dir = tempfile::tempdir().unwrap();
    let server =
        Server::start_with(&dir.path().join("data"), &format!("[metrics]\ndimension_values = {KEPT}")).await;
    let client = server.client();
    let mut random = StdRng::seed_from_u64(3);
    let mut days: BTreeMap<u32, Vec<Row>> = DAYS.map(|ds| (ds, rows(&mut random))).into();
    publish(&client, &days).await;
    check(&client, &days).await;

    // A day between counts with the newest one before it, and what somebody has is not sent again.
    assert_eq!(get(&client, "?ds=20261103").await["ds"], 20261102);
    let path = "/v1/apps/shop/insights/events/visit?to=20261104";
    let first = client.request(Method::GET, path).send().await.unwrap();
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    let again = client.request(Method::GET, path).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::NOT_MODIFIED);

    let anew = rows(&mut random);
    days.insert(20261102, anew.clone());
    publish(&client, &BTreeMap::from([(20261102, anew)])).await;
    check(&client, &days).await;
    let again = client.request(Method::GET, path).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::OK, "published anew");

    for (rest, status, code) in [
        ("/visits", 404, "event_not_found"),
        ("/visit/dimensions/pag", 404, "dimension_not_found"),
        ("/visit/dimensions/page?top=0", 400, "invalid_top"),
        ("?ds=20261301", 400, "invalid_ds"),
        ("?ds=20251110", 404, "not_computed"),
        ("/visit?to=20251110", 404, "not_computed"),
        ("/visit?from=20261105&to=20261101", 400, "invalid_days"),
        ("/visit?from=20201110", 400, "invalid_days"),
    ] {
        let (found, problem) = client.get(&format!("/v1/apps/shop/insights/events{rest}")).await;
        assert_eq!((found.as_u16(), &problem["code"]), (status, &json!(code)), "{rest}: {problem}");
    }
    let (_, problem) = client.get("/v1/apps/shop/insights/events/visits").await;
    assert_eq!(problem["errors"][0]["nearest"], "visit", "{problem}");
}
