//! Daily segments: a cohort of every data day, once, whatever comes late and whoever dies.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Client, Server};

const LABELS: &str = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n";
const BEHAVIOR: &str = "ds,app_id,user_id,event,pv\n";

/// One label's day and one event's, of users drawn at random.
async fn import_day(client: &Client<'_>, random: &mut StdRng, ds: u32, labels: &[i64]) {
    let (mut tags, mut visits) = (LABELS.to_owned(), BEHAVIOR.to_owned());
    for user in 0..400 {
        for label in labels {
            let tag = random.random_range(1..4);
            writeln!(tags, "{ds},shop,{label},label {label},u{user},{tag},tag {tag}").unwrap();
        }
        if random.random_bool(0.4) {
            writeln!(visits, "{ds},shop,u{user},visit,1").unwrap();
        }
    }
    for (kind, file) in [("labels", tags), ("behavior", visits)] {
        if file.lines().count() > 1 {
            assert_eq!(client.import_csv(&format!("kind={kind}"), &file).await["state"], "done");
        }
    }
}

async fn create(client: &Client<'_>, name: &str, on_missing: &str, rule: Value) -> String {
    let body = json!({"name": name, "refresh": "daily", "on_missing": on_missing, "rule": rule});
    let (status, segment) = client.post("/v1/apps/shop/segments", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{segment}");
    assert_eq!(segment["on_missing"], on_missing);
    segment["id"].as_str().unwrap().to_owned()
}

async fn routine(client: &Client<'_>) -> Value {
    let (status, job) = client.post("/v1/apps/shop/routine", &json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    let job = client.wait(job["id"].as_str().unwrap()).await;
    assert_eq!(job["state"], "done", "{job}");
    job["result"].clone()
}

/// Day and outcome, newest first.
async fn days(client: &Client<'_>, segment: &str) -> Vec<(u64, String)> {
    let (status, list) = client.get(&format!("/v1/apps/shop/segments/{segment}/days")).await;
    assert_eq!(status, StatusCode::OK, "{list}");
    let day = |day: &Value| (day["ds"].as_u64().unwrap(), day["outcome"].as_str().unwrap().to_owned());
    list["items"].as_array().unwrap().iter().map(day).collect()
}

fn came_to(days: &[(u64, &str)]) -> Vec<(u64, String)> {
    days.iter().map(|(ds, outcome)| (*ds, (*outcome).to_owned())).collect()
}

async fn cohorts(client: &Client<'_>, segment: &str) -> Vec<Value> {
    let (_, list) = client.get(&format!("/v1/apps/shop/cohorts?segment={segment}&limit=1000")).await;
    list["items"].as_array().unwrap().clone()
}

/// Asserts that each cohort has the members that its rule has on its day, and that what entered and left is
/// what the ids say.
async fn check_cohorts(client: &Client<'_>, segment: &str, rule: &Value) {
    let mut before: Option<(Value, BTreeSet<String>)> = None;
    let mut all = cohorts(client, segment).await;
    all.sort_by_key(|cohort| cohort["ds"].as_u64());
    for cohort in &all {
        let asked = json!({"as_of": cohort["ds"], "where": rule["where"]});
        let (_, estimate) = client.estimate("shop", &asked).await;
        assert_eq!(cohort["size"], estimate["count"], "{cohort}");
        let members: BTreeSet<String> = {
            let of = json!({"cohort_id": cohort["id"]});
            client.members("shop", &of).await.into_iter().collect()
        };
        assert_eq!(cohort["size"], members.len(), "{cohort}");
        match &before {
            None => assert_eq!((&cohort["previous"], &cohort["entered"]), (&Value::Null, &Value::Null)),
            Some((previous, had)) => {
                assert_eq!(cohort["previous"], *previous, "{cohort}");
                assert_eq!(cohort["entered"], members.difference(had).count(), "{cohort}");
                assert_eq!(cohort["left"], had.difference(&members).count(), "{cohort}");
            }
        }
        let path = format!("/v1/apps/shop/cohorts/{}/verify", cohort["id"].as_str().unwrap());
        let (status, verified) = client.post(&path, &json!({})).await;
        assert_eq!(
            (status, &verified["same"], &verified["data"]),
            (StatusCode::OK, &json!(true), &json!("same"))
        );
        before = Some((cohort["id"].clone(), members));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cohort_of_every_day() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    let mut random = StdRng::seed_from_u64(21);
    import_day(&client, &mut random, 20210101, &[1, 2]).await;
    let rule = json!({"where": {"all": [{"label": 1, "in": [1]}, {"label": 2, "in": [1, 2]}]}});
    let visits = json!({"where": {"event": "visit", "last_days": 2}});
    let [last, wait, skip] = ["last", "wait", "skip"];
    let last = create(&client, "last", last, rule.clone()).await;
    let wait = create(&client, "wait", wait, rule.clone()).await;
    let skip = create(&client, "skip", skip, rule.clone()).await;
    let visitors = create(&client, "visitors", "wait", visits.clone()).await;
    // A run of its own may come before ours at any moment: what counts is what the days came to.
    routine(&client).await;
    for segment in [&last, &wait, &skip, &visitors] {
        assert_eq!(days(&client, segment).await, came_to(&[(20210101, "made")]));
    }
    assert_eq!(routine(&client).await["days"], json!({}), "nothing is made twice");

    // Label 2 of the next day is late.
    import_day(&client, &mut random, 20210102, &[1]).await;
    routine(&client).await;
    for (segment, outcome) in [(&last, "made"), (&visitors, "made"), (&wait, "waiting"), (&skip, "skipped")] {
        assert_eq!(days(&client, segment).await[0], (20210102, outcome.to_owned()));
    }
    let (_, list) = client.get(&format!("/v1/apps/shop/segments/{wait}/days")).await;
    let missing = &list["items"][0]["detail"]["missing"];
    assert_eq!((&missing[0]["name"], &missing[0]["ds"]), (&json!("label 2"), &json!(20210101)), "{list}");
    let mut late = LABELS.to_owned();
    (0..400).for_each(|user| writeln!(late, "20210102,shop,2,label 2,u{user},{},t", user % 3 + 1).unwrap());
    assert_eq!(client.import_csv("kind=labels", &late).await["state"], "done");
    routine(&client).await;
    assert_eq!(days(&client, &wait).await, came_to(&[(20210102, "made"), (20210101, "made")]));
    assert_eq!(days(&client, &skip).await, came_to(&[(20210102, "skipped"), (20210101, "made")]));

    // Two days that nobody made: they are made up for, in their order.
    import_day(&client, &mut random, 20210103, &[1, 2]).await;
    import_day(&client, &mut random, 20210104, &[1, 2]).await;
    routine(&client).await;
    for segment in [&wait, &visitors] {
        let made: Vec<u64> = days(&client, segment).await.iter().map(|(ds, _)| *ds).collect();
        assert_eq!(made, [20210104, 20210103, 20210102, 20210101]);
        let of: Vec<Value> =
            cohorts(&client, segment).await.iter().map(|cohort| cohort["ds"].clone()).collect();
        assert_eq!(of, [20210104, 20210103, 20210102, 20210101], "newest first");
    }
    check_cohorts(&client, &wait, &rule).await;
    check_cohorts(&client, &visitors, &visits).await;

    // `last` was made of the data there were: worked out again, it tells that they are newer.
    let of_second =
        cohorts(&client, &last).await.into_iter().find(|cohort| cohort["ds"] == 20210102).unwrap();
    let path = format!("/v1/apps/shop/cohorts/{}/verify", of_second["id"].as_str().unwrap());
    let (_, verified) = client.post(&path, &json!({})).await;
    assert_eq!((&verified["same"], &verified["data"]), (&json!(false), &json!("newer")), "{verified}");
    floor_and_faults(&client, &mut random, &visitors).await;
}

/// Retention is taken of the first cohort, which stays for it while others go.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_followed_keeps_its_first_cohort() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with(&dir.path().join("data"), "[segments]\nkept_days = 1\n").await;
    let client = server.client();
    let mut random = StdRng::seed_from_u64(22);
    import_day(&client, &mut random, 20210101, &[1]).await;
    let rule = json!({"where": {"event": "visit", "last_days": 2}});
    let followed = create(&client, "followed", "wait", rule.clone()).await;
    let other = create(&client, "other", "wait", rule).await;
    routine(&client).await;
    let tracking = format!("/v1/apps/shop/tracking/{followed}");
    let put = client.request(Method::PUT, &tracking).send().await.unwrap();
    assert_eq!(put.status(), StatusCode::CREATED);
    let kept = async |segment: &str| -> BTreeSet<u64> {
        cohorts(&client, segment).await.iter().map(|cohort| cohort["ds"].as_u64().unwrap()).collect()
    };
    for ds in [20210102, 20210103] {
        import_day(&client, &mut random, ds, &[1]).await;
        routine(&client).await;
    }
    assert_eq!(kept(&followed).await, BTreeSet::from([20210101, 20210103]));
    assert_eq!(kept(&other).await, BTreeSet::from([20210103]));
    let put = client.request(Method::DELETE, &tracking).send().await.unwrap();
    assert_eq!(put.status(), StatusCode::NO_CONTENT);
    routine(&client).await;
    assert_eq!(kept(&followed).await, BTreeSet::from([20210103]));
}

async fn floor_and_faults(client: &Client<'_>, random: &mut StdRng, visitors: &str) {
    let few = create(client, "few", "last", json!({"where": {"not": {"label": 1, "in": [1, 2, 3]}}})).await;
    let nobody = json!({"where": {"all": [{"label": 1, "in": [1]}, {"not": {"label": 1, "in": [1]}}]}});
    let nobody = create(client, "nobody", "last", nobody).await;
    let settings = |body: Value| client.request(Method::PUT, "/v1/apps/shop/settings").json(&body);
    let answer = settings(json!({"routine_at": "25:00"})).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::UNPROCESSABLE_ENTITY);
    let answer = settings(json!({"privacy_floor": 5, "routine_at": "23:59"})).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{:?}", answer.text().await);
    // A user of no tag: one is fewer than five; nobody may be shown.
    let visit = format!("{BEHAVIOR}20210105,shop,somebody,visit,1\n");
    assert_eq!(client.import_csv("kind=behavior", &visit).await["state"], "done");
    import_day(client, random, 20210105, &[1, 2]).await;
    routine(client).await;
    assert_eq!(days(client, &few).await, came_to(&[(20210105, "below_floor")]));
    assert_eq!(days(client, &nobody).await, came_to(&[(20210105, "made")]));
    let cohort = &cohorts(client, visitors).await[0];
    assert_eq!(cohort["ds"], 20210105);
    for (body, code) in [
        (
            json!({"name": "x", "refresh": "daily", "on_missing": "never", "rule": {"where": {"all": []}}}),
            "unknown_on_missing",
        ),
        (json!({"name": "x", "refresh": "hourly", "rule": {"where": {"all": []}}}), "unknown_refresh"),
    ] {
        let (status, problem) = client.post("/v1/apps/shop/segments", &body).await;
        assert_eq!((status, &problem["errors"][0]["code"]), (StatusCode::UNPROCESSABLE_ENTITY, &json!(code)));
    }
    let (status, problem) = client.post("/v1/apps/none/routine", &json!({})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::NOT_FOUND, &json!("app_not_found")));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_day_is_made_once_whoever_dies() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut random = StdRng::seed_from_u64(22);
    let mut server = Server::start(&data).await;
    import_day(&server.client(), &mut random, 20210101, &[1, 2]).await;
    let mut segments = Vec::new();
    for number in 0..60 {
        let rule = json!({"where": {"any": [
            {"label": 1, "in": [number % 3 + 1]}, {"event": "visit", "last_days": number % 7 + 1}]}});
        segments.push(create(&server.client(), &format!("number {number}"), "wait", rule).await);
    }
    for ds in 20210102..=20210105 {
        import_day(&server.client(), &mut random, ds, &[1, 2]).await;
        let (status, _) = server.client().post("/v1/apps/shop/routine", &json!({})).await;
        assert_eq!(status, StatusCode::ACCEPTED);
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(random.random_range(0..150))).await;
            server.kill();
            server = Server::start(&data).await;
        }
        let client = server.client();
        routine(&client).await;
        for segment in &segments {
            let days = days(&client, segment).await;
            assert_eq!(days[0], (u64::from(ds), "made".to_owned()));
            let made = cohorts(&client, segment).await;
            assert_eq!(made.iter().filter(|cohort| cohort["ds"] == ds).count(), 1, "{segment} on {ds}");
            assert_eq!(made.len(), days.len(), "{segment}");
        }
    }
    let rule = json!({"where": {"any": [{"label": 1, "in": [1]}, {"event": "visit", "last_days": 1}]}});
    check_cohorts(&server.client(), &segments[0], &rule).await;
}
