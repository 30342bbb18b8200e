//! Followed cohorts: what is told of a day is what the plain rows come to, of the cohort, everybody else and the app.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Client, Server};

const USERS: usize = 600;
const DAYS: [usize; 3] = [1, 2, 3];

fn mix(user: usize, day: usize) -> usize {
    ((user + 11) * 2_654_435_761 + (day + 5) * 40_503_000_017) >> 9
}

/// pv and amount of the event on the day.
fn did(event: &str, user: usize, day: usize) -> Option<(i64, i64)> {
    let of = mix(user, day * 7 + event.len());
    let may = if event == "visit" { of % 10 < 4 } else { of.is_multiple_of(9) };
    may.then(|| (1 + (of / 16 % 5) as i64, (of / 64 % 200) as i64 - 20))
}

/// Every fourth user moves on by a third each day.
fn third(user: usize, day: usize) -> usize {
    (user + if user.is_multiple_of(4) { day } else { 0 }) % 3
}

async fn labels(client: &Client<'_>, day: usize) {
    let mut rows = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n".to_owned();
    for user in 0..USERS {
        let third = third(user, day);
        writeln!(rows, "2021010{day},shop,1,third,u{user},{third},t{third}").unwrap();
    }
    assert_eq!(client.import_csv("kind=labels", &rows).await["state"], "done");
}

/// `more` is added to what each user's visits come to.
async fn behaviour(client: &Client<'_>, day: usize, more: i64) {
    let mut rows = "ds,app_id,user_id,event,pv,m_amount\n".to_owned();
    for user in 0..USERS {
        for event in ["visit", "order"] {
            let Some((pv, amount)) = did(event, user, day) else { continue };
            let pv = if event == "visit" { pv + more } else { pv };
            writeln!(rows, "2021010{day},shop,u{user},{event},{pv},{amount}").unwrap();
        }
    }
    assert_eq!(client.import_csv("kind=behavior", &rows).await["state"], "done");
}

fn users(holds: impl Fn(usize) -> bool) -> BTreeSet<usize> {
    (0..USERS).filter(|user| holds(*user)).collect()
}

/// What the users come to on the day.
fn expected(users: &BTreeSet<usize>, day: usize, more: i64) -> Value {
    let mut events = serde_json::Map::new();
    let (mut pv_of_all, mut trade_pv) = (0, 0);
    for (event, more) in [("visit", more), ("order", 0)] {
        let did: Vec<(i64, i64)> = users.iter().filter_map(|user| did(event, *user, day)).collect();
        let pv: i64 = did.iter().map(|did| did.0 + more).sum();
        let amount: i64 = did.iter().map(|did| did.1).sum();
        pv_of_all += pv;
        trade_pv += if event == "order" { pv } else { 0 };
        events.insert(event.into(), json!({"users": did.len(), "pv": pv, "measures": {"m_amount": amount}}));
    }
    let traded = users.iter().filter(|user| did("order", **user, day).is_some()).count();
    json!({
        "users": users.len(), "active": active(users, day), "pv": pv_of_all, "trades": traded, "trade_pv": trade_pv,
        "events": events,
    })
}

fn active(users: &BTreeSet<usize>, day: usize) -> usize {
    let is_active = |user: usize| did("visit", user, day).is_some() || did("order", user, day).is_some();
    users.iter().filter(|user| is_active(**user)).count()
}

async fn track(client: &Client<'_>, id: &str, body: &Value) -> (StatusCode, Value) {
    let request = client.request(Method::PUT, &format!("/v1/apps/shop/tracking/{id}")).json(body);
    support::json(request.send().await.unwrap()).await
}

/// Once every day is worked out that has data, and `done` says so.
async fn series(client: &Client<'_>, id: &str, done: impl Fn(&Value) -> bool) -> Value {
    let mut series = Value::Null;
    for _ in 0..600 {
        let (status, answer) = client.get(&format!("/v1/apps/shop/tracking/{id}")).await;
        assert_eq!(status, StatusCode::OK, "{answer}");
        series = answer;
        let waits = series["missing_days"].as_array().unwrap().iter().any(|day| day["why"] == "not_yet");
        if !waits && done(&series) {
            return series;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the series is not finished: {series}");
}

fn check(series: &Value, members: impl Fn(usize) -> BTreeSet<usize>, first: &BTreeSet<usize>, more: i64) {
    let all = users(|_| true);
    let days = series["days"].as_array().unwrap();
    assert_eq!((days.len(), &series["missing_days"]), (DAYS.len(), &json!([])), "{series}");
    for (day, told) in DAYS.into_iter().zip(days) {
        let more = if day == 2 { more } else { 0 };
        let cohort = members(day);
        let rest = &all - &cohort;
        assert_eq!(told["ds"], 20210100 + day);
        assert_eq!(told["cohort"], expected(&cohort, day, more), "day {day}");
        assert_eq!(told["rest"], expected(&rest, day, more), "day {day}");
        assert_eq!(told["app"], expected(&all, day, more), "day {day}");
        let retained = active(first, day);
        assert_eq!(told["retained"], retained, "day {day}");
        let share = retained as f64 / first.len() as f64;
        assert!((told["retention"].as_f64().unwrap() - share).abs() < 1e-12, "day {day}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn days_are_what_the_rows_come_to() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::start(&data).await;
    let client = server.client();
    let body = json!({"name": "t0", "rule": {"where": {"label": "third", "in": ["t0"]}}});
    let mut segment = String::new();
    let mut first = String::new();
    for day in DAYS {
        labels(&client, day).await;
        behaviour(&client, day, 0).await;
        if segment.is_empty() {
            segment = client.post("/v1/apps/shop/segments", &body).await.1["id"].as_str().unwrap().to_owned();
            assert_eq!(track(&client, &segment, &json!({})).await.1["errors"][0]["code"], "no_cohort");
        }
        let run = format!("/v1/apps/shop/segments/{segment}/run");
        let (_, job) = client.post(&run, &json!({})).await;
        let job = client.wait(job["id"].as_str().unwrap()).await;
        if first.is_empty() {
            first = job["result"]["cohort_id"].as_str().unwrap().to_owned();
            let (status, tracked) = track(&client, &segment, &json!({})).await;
            assert_eq!((status, &tracked["kind"]), (StatusCode::CREATED, &json!("dynamic")), "{tracked}");
            assert_eq!((&tracked["from"], &tracked["first_cohort"]), (&json!(20210101), &json!(first)));
            let (status, tracked) = track(&client, &first, &json!({"from": 20210101})).await;
            assert_eq!((status, &tracked["kind"]), (StatusCode::CREATED, &json!("static")), "{tracked}");
            assert_eq!(track(&client, &first, &json!({})).await.0, StatusCode::OK, "it is followed already");
        }
    }
    let on = |day: usize| users(|user| third(user, day) == 0);
    let whole =
        |series: &Value| series["days"].as_array().unwrap().last().is_some_and(|day| day["ds"] == 20210103);
    // The last run's cohort may come after the day was worked out with the one before.
    let today =
        |series: &Value| whole(series) && series["days"][2]["cohort_id"] != series["days"][1]["cohort_id"];
    check(&series(&client, &segment, today).await, on, &on(1), 0);
    check(&series(&client, &first, whole).await, |_| on(1), &on(1), 0);

    // A day that comes anew changes that day, also when everything is killed meanwhile.
    let before = series(&client, &first, whole).await;
    behaviour(&client, 2, 3).await;
    server.kill();
    server = Server::start(&data).await;
    let client = server.client();
    let anew = |series: &Value| series["days"][1]["app"]["pv"] != before["days"][1]["app"]["pv"];
    check(&series(&client, &segment, |series| today(series) && anew(series)).await, on, &on(1), 3);
    let after = series(&client, &first, anew).await;
    check(&after, |_| on(1), &on(1), 3);
    assert_eq!((&after["days"][0], &after["days"][2]), (&before["days"][0], &before["days"][2]));
    let (_, part) = client.get(&format!("/v1/apps/shop/tracking/{first}?from=20210102&to=20210102")).await;
    assert_eq!(part["days"], json!([after["days"][1]]));
    floors(&client, &first).await;
    refusals(&server, &client, (&segment, &first)).await;
}

/// Active are fewer than that, everybody is more.
async fn floors(client: &Client<'_>, cohort: &str) {
    let settings = |floor: u64| {
        client.request(Method::PUT, "/v1/apps/shop/settings").json(&json!({"privacy_floor": floor})).send()
    };
    assert_eq!(settings(120).await.unwrap().status(), StatusCode::OK);
    let (_, series) = client.get(&format!("/v1/apps/shop/tracking/{cohort}")).await;
    assert_eq!(series["privacy_floor"], 120);
    for day in series["days"].as_array().unwrap() {
        for crowd in ["cohort", "rest"] {
            assert!(day[crowd]["users"].is_number(), "{day}");
            for key in ["active", "pv", "trades", "trade_pv"] {
                assert_eq!(day[crowd][key], Value::Null, "{crowd} {key}: {day}");
            }
            assert_eq!(
                day[crowd]["events"]["order"],
                json!({"users": null, "pv": null, "measures": {"m_amount": null}})
            );
        }
        assert_eq!((&day["retained"], &day["retention"]), (&Value::Null, &Value::Null), "{day}");
        assert!(day["app"]["active"].is_number(), "{day}");
    }
    assert_eq!(settings(250).await.unwrap().status(), StatusCode::OK);
    let (_, series) = client.get(&format!("/v1/apps/shop/tracking/{cohort}")).await;
    assert_eq!(
        (&series["days"][0]["cohort"]["users"], &series["first_users"]),
        (&Value::Null, &Value::Null),
        "{series}"
    );
    assert_eq!(settings(0).await.unwrap().status(), StatusCode::OK);
}

async fn refusals(server: &Server, client: &Client<'_>, (segment, cohort): (&str, &str)) {
    for id in ["seg_none", "coh_none", "lst_none", "x"] {
        let (status, problem) = track(client, id, &json!({})).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::NOT_FOUND, &json!("cohort_not_found")),
            "{problem}"
        );
    }
    let early = track(client, segment, &json!({"from": 20201231})).await;
    assert_eq!(early.0, StatusCode::OK, "it is followed already, and stays as it is");
    for (role, apps, allowed) in
        [("read", "shop", [200, 403]), ("segment", "shop", [200, 200]), ("segment", "other", [404, 404])]
    {
        let key = json!({"name": role, "apps": [apps], "roles": [role, "read"]});
        let (_, key) = client.post("/v1/keys", &key).await;
        let own = server.with_key(key["secret"].as_str().or(key["key"].as_str()).unwrap());
        let told = [
            own.get(&format!("/v1/apps/shop/tracking/{segment}")).await.0,
            track(&own, segment, &json!({})).await.0,
        ];
        assert_eq!(told.map(|status| status.as_u16()), allowed, "{role} of {apps}");
    }
    // What is deleted keeps its days; what is followed no more has none.
    let delete = |path: String| client.request(Method::DELETE, &path).send();
    assert_eq!(
        delete(format!("/v1/apps/shop/cohorts/{cohort}")).await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
    let (_, kept) = client.get(&format!("/v1/apps/shop/tracking/{cohort}")).await;
    assert_eq!(kept["days"].as_array().unwrap().len(), DAYS.len(), "{kept}");
    let (_, all) = client.get("/v1/apps/shop/tracking").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 2, "{all}");
    let path = format!("/v1/apps/shop/tracking/{cohort}");
    assert_eq!(delete(path.clone()).await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(delete(path.clone()).await.unwrap().status(), StatusCode::NOT_FOUND);
    assert_eq!(client.get(&path).await.0, StatusCode::NOT_FOUND);
}
