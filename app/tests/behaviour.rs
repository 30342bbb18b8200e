//! What the members of a cohort did, by event, day and value, and how their numbers spread: what the rows say.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Client, Server};

const USERS: usize = 600;
const PAGES: [&str; 4] = ["/sale", "/home", "/help", ""];

struct Row {
    user: usize,
    day: u32,
    event: &'static str,
    pv: i64,
    page: &'static str,
    amount: i64,
}

fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for user in 0..USERS {
        for day in [1, 2, 4] {
            let mixed = user * 7_919 + day as usize * 104_729;
            if !mixed.is_multiple_of(3) {
                let page = PAGES[mixed / 3 % PAGES.len()];
                rows.push(Row { user, day, event: "visit", pv: 1 + mixed as i64 % 5, page, amount: 0 });
            }
            if mixed.is_multiple_of(7) {
                let amount = (mixed % 1_000) as i64 - 300;
                rows.push(Row { user, day, event: "order", pv: 1, page: "/sale", amount });
            }
        }
    }
    rows
}

async fn import(client: &Client<'_>, rows: &[Row]) {
    let mut labels = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name,tag_value\n".to_owned();
    for user in 0..USERS {
        writeln!(labels, "20210104,shop,1,third,u{user},{},t{},{}", user % 3, user % 3, user * user % 101)
            .unwrap();
    }
    assert_eq!(client.import_csv("kind=labels", &labels).await["state"], "done");
    let mut behavior = "ds,app_id,user_id,event,pv,page,m_amount\n".to_owned();
    for Row { user, day, event, pv, page, amount } in rows {
        writeln!(behavior, "2021010{day},shop,u{user},{event},{pv},{page},{amount}").unwrap();
    }
    assert_eq!(client.import_csv("kind=behavior", &behavior).await["state"], "done");
}

async fn ok(client: &Client<'_>, path: &str) -> Value {
    let (status, answer) = client.get(&format!("/v1/apps/shop/{path}")).await;
    assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    answer
}

/// Users, pv and amount.
fn total<'r>(rows: impl Iterator<Item = &'r Row>) -> (usize, i64, i64) {
    let mut users = BTreeSet::new();
    let (mut pv, mut amount) = (0, 0);
    for row in rows {
        users.insert(row.user);
        (pv, amount) = (pv + row.pv, amount + row.amount);
    }
    (users.len(), pv, amount)
}

fn check<'r>(told: &Value, rows: impl Iterator<Item = &'r Row> + Clone, member: impl Fn(usize) -> bool) {
    let (users, pv, amount) = total(rows.clone().filter(|row| member(row.user)));
    let (app_users, app_pv, app_amount) = total(rows);
    assert_eq!((&told["users"], &told["pv"]), (&json!(users), &json!(pv)), "{told}");
    assert_eq!((&told["app_users"], &told["app_pv"]), (&json!(app_users), &json!(app_pv)), "{told}");
    assert_eq!(told["sums"]["m_amount"], amount, "{told}");
    assert_eq!(told["app_sums"]["m_amount"], app_amount, "{told}");
}

/// The smallest number that at least this share are at or below.
fn quantile(numbers: &[i64], q: f64) -> i64 {
    numbers[((q * numbers.len() as f64 - 1e-6).ceil() as usize).clamp(1, numbers.len()) - 1]
}

#[tokio::test(flavor = "multi_thread")]
async fn behaviour_and_spread_are_what_the_rows_say() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    let rows = rows();
    import(&client, &rows).await;
    let made = client.cohort("shop", &json!({"where": {"label": "third", "in": ["t1"]}})).await;
    let cohort = format!("cohorts/{}", made["cohort_id"].as_str().unwrap());
    let member = |user: usize| user % 3 == 1;

    let told = ok(&client, &format!("{cohort}/behaviour")).await;
    assert_eq!(
        (&told["users"], &told["app_users"], &told["to"]),
        (&json!(200), &json!(USERS), &json!(20210104))
    );
    for event in told["events"].as_array().unwrap() {
        let name = event["event"].as_str().unwrap();
        let of = |row: &&Row| row.event == name;
        check(event, rows.iter().filter(of), member);
        let days: Vec<u64> =
            event["days"].as_array().unwrap().iter().map(|day| day["ds"].as_u64().unwrap()).collect();
        assert_eq!(days, [20210101, 20210102, 20210104]);
        for day in event["days"].as_array().unwrap() {
            let on = |row: &&Row| json!(20210100 + row.day) == day["ds"];
            check(day, rows.iter().filter(of).filter(on), member);
        }
    }
    assert_eq!(told["events"].as_array().unwrap().len(), 2);
    let some = ok(&client, &format!("{cohort}/behaviour?events=order&from=20210102&to=20210103")).await;
    check(&some["events"][0], rows.iter().filter(|row| row.event == "order" && row.day == 2), member);

    let values = ok(&client, &format!("{cohort}/behaviour/visit/dimensions/page?top=2")).await;
    let mut expected: Vec<(usize, i64, &str)> = PAGES[..3]
        .iter()
        .map(|page| {
            let (users, pv, _) = total(
                rows.iter().filter(|row| row.event == "visit" && row.page == *page && member(row.user)),
            );
            (users, pv, *page)
        })
        .collect();
    expected.sort_by_key(|(users, pv, page)| (std::cmp::Reverse((*users, *pv)), *page));
    assert_eq!((&values["values_total"], values["values"].as_array().unwrap().len()), (&json!(3), 2));
    for (told, (users, pv, page)) in values["values"].as_array().unwrap().iter().zip(expected) {
        assert_eq!((&told["value"], &told["users"], &told["pv"]), (&json!(page), &json!(users), &json!(pv)));
        let in_app = total(rows.iter().filter(|row| row.event == "visit" && row.page == page));
        assert_eq!((&told["app_users"], &told["app_pv"]), (&json!(in_app.0), &json!(in_app.1)));
    }
    spreads(&client, &cohort, &rows).await;
    refusals(&client, &cohort).await;
    under_a_floor(&client, &cohort).await;
}

async fn spreads(client: &Client<'_>, cohort: &str, rows: &[Row]) {
    let mut weights: Vec<i64> =
        (0..USERS).filter(|user| user % 3 == 1).map(|user| (user * user % 101) as i64).collect();
    let mut amounts: BTreeMap<usize, i64> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.event == "order") {
        *amounts.entry(row.user).or_default() += row.amount;
    }
    let mut of_members: Vec<i64> =
        amounts.iter().filter(|(user, _)| *user % 3 == 1).map(|(_, amount)| *amount).collect();
    let mut of_all: Vec<i64> = amounts.into_values().collect();
    [&mut weights, &mut of_members, &mut of_all].into_iter().for_each(|numbers| numbers.sort_unstable());
    let agree = |told: &Value, numbers: &[i64]| {
        let sum: i64 = numbers.iter().sum();
        assert_eq!((&told["users"], &told["sum"]), (&json!(numbers.len()), &json!(sum)), "{told}");
        assert!((told["mean"].as_f64().unwrap() - sum as f64 / numbers.len() as f64).abs() < 1e-9);
        assert!(told["quantiles"].as_array().unwrap().len() >= 4);
        for told in told["quantiles"].as_array().unwrap() {
            assert_eq!(told["value"], quantile(numbers, told["q"].as_f64().unwrap()), "{told}");
        }
    };
    let told = ok(client, &format!("{cohort}/spread?label=third&tag=t1&quantiles=0,0.01,0.5,0.99,1")).await;
    agree(&told["cohort"], &weights);
    assert_eq!(told["of"], json!({"label": "third", "tag": 1, "ds": 20210104}));
    let told = ok(client, &format!("{cohort}/spread?event=order&measure=m_amount")).await;
    agree(&told["cohort"], &of_members);
    agree(&told["app"], &of_all);
    assert!(of_members[0] < 0 && of_members.len() > 50, "{of_members:?}");
    let nobody = ok(client, &format!("{cohort}/spread?label=third&tag=t2")).await;
    assert_eq!((&nobody["cohort"]["users"], &nobody["cohort"]["mean"]), (&json!(0), &Value::Null));
}

async fn refusals(client: &Client<'_>, cohort: &str) {
    for (path, status, code) in [
        ("behaviour?events=vist", 404, "event_not_found"),
        ("behaviour?from=20210105", 400, "invalid_days"),
        ("behaviour?to=x", 400, "invalid_ds"),
        ("behaviour/visit/dimensions/pgae", 404, "dimension_not_found"),
        ("behaviour/visit/dimensions/page?top=0", 400, "invalid_top"),
        ("spread", 400, "invalid_number"),
        ("spread?label=third", 400, "invalid_number"),
        ("spread?label=third&tag=t9", 404, "tag_not_found"),
        ("spread?event=order&measure=m_amont", 404, "measure_not_found"),
        ("spread?event=order&quantiles=2", 400, "invalid_quantiles"),
    ] {
        let (told, problem) = client.get(&format!("/v1/apps/shop/{cohort}/{path}")).await;
        assert_eq!((told.as_u16(), &problem["code"]), (status, &json!(code)), "{path}: {problem}");
    }
}

async fn under_a_floor(client: &Client<'_>, cohort: &str) {
    let floor = 30u64;
    let put = client.request(Method::PUT, "/v1/apps/shop/settings").json(&json!({"privacy_floor": floor}));
    assert_eq!(put.send().await.unwrap().status(), StatusCode::OK);
    let told = ok(client, &format!("{cohort}/behaviour")).await;
    let order = told["events"].as_array().unwrap().iter().find(|event| event["event"] == "order").unwrap();
    let days = order["days"].as_array().unwrap();
    let hidden = days.iter().filter(|day| day["users"].is_null());
    assert!(
        hidden.clone().count() > 0 && hidden.clone().all(|day| day["pv"].is_null() && day["sums"].is_null())
    );
    assert!(!days.iter().any(|day| day["users"].as_u64().is_some_and(|users| (1..floor).contains(&users))));
    // The days would tell the hidden one.
    assert_eq!((&order["pv"], &order["sums"], &order["users"]), (&Value::Null, &Value::Null, &Value::Null));
    let visit = told["events"].as_array().unwrap().iter().find(|event| event["event"] == "visit").unwrap();
    assert!(visit["users"].is_u64() && visit["pv"].is_i64(), "{visit}");
    let told =
        ok(client, &format!("{cohort}/spread?label=third&tag=t1&quantiles=0,0.14,0.15,0.5,0.85,0.86,1"))
            .await;
    let shown: Vec<bool> =
        told["cohort"]["quantiles"].as_array().unwrap().iter().map(|of| !of["value"].is_null()).collect();
    // Of 200 users the 30th is the first with 30 at or below.
    assert_eq!(shown, [false, false, true, true, true, false, false], "{told}");
}
