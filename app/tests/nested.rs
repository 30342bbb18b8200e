//! Segments in the rules of segments: made in their order, never round in a circle, and as sets what the ids say.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Client, Server};

const LABELS: &str = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n";
const BEHAVIOR: &str = "ds,app_id,user_id,event,pv\n";
const USERS: usize = 300;

/// On day 1 label 1 has tag 1 for every second user, on day 2 for every third; label 2 is the same on both.
async fn label(client: &Client<'_>, label: usize, day: usize) {
    let mut rows = LABELS.to_owned();
    for user in 0..USERS {
        let tag = if label == 1 { usize::from(user.is_multiple_of(day + 1)) } else { user % 5 };
        writeln!(rows, "2021010{day},shop,{label},label {label},u{user},{tag},tag {tag}").unwrap();
    }
    assert_eq!(client.import_csv("kind=labels", &rows).await["state"], "done");
}

async fn visits(client: &Client<'_>, day: usize) {
    let mut rows = BEHAVIOR.to_owned();
    (0..USERS)
        .filter(|user| user % 7 < 3)
        .for_each(|user| writeln!(rows, "2021010{day},shop,u{user},visit,1").unwrap());
    assert_eq!(client.import_csv("kind=behavior", &rows).await["state"], "done");
}

async fn put(client: &Client<'_>, id: &str, rule: Value) -> (StatusCode, Value) {
    let body = json!({"name": id, "refresh": "daily", "rule": {"where": rule}});
    let path = format!("/v1/apps/shop/segments/{id}");
    support::json(client.request(Method::PUT, &path).json(&body).send().await.unwrap()).await
}

async fn create(client: &Client<'_>, on_missing: &str, rule: Value) -> String {
    let body = json!({"name": "n", "refresh": "daily", "on_missing": on_missing, "rule": {"where": rule}});
    let (status, segment) = client.post("/v1/apps/shop/segments", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{segment}");
    segment["id"].as_str().unwrap().to_owned()
}

async fn routine(client: &Client<'_>) {
    let (_, job) = client.post("/v1/apps/shop/routine", &json!({})).await;
    assert_eq!(client.wait(job["id"].as_str().unwrap()).await["state"], "done");
}

/// What the newest day of the segment came to.
async fn newest(client: &Client<'_>, segment: &str) -> Value {
    client.get(&format!("/v1/apps/shop/segments/{segment}/days")).await.1["items"][0].clone()
}

/// The members of the segment on its newest day, which was made.
async fn members(client: &Client<'_>, segment: &str, ds: u32) -> BTreeSet<String> {
    let day = newest(client, segment).await;
    assert_eq!((&day["ds"], &day["outcome"]), (&json!(ds), &json!("made")), "{day}");
    client.members("shop", &json!({"cohort_id": day["cohort_id"]})).await.into_iter().collect()
}

fn users(holds: impl Fn(usize) -> bool) -> BTreeSet<String> {
    (0..USERS).filter(|user| holds(*user)).map(|user| format!("u{user}")).collect()
}

fn fault(answer: &(StatusCode, Value)) -> (u16, &str, &str) {
    let error = &answer.1["errors"][0];
    let text = |key: &str| error[key].as_str().unwrap_or_else(|| panic!("{}", answer.1));
    (answer.0.as_u16(), text("code"), text("pointer"))
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_lie_in_segments() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    for number in [1, 2] {
        label(&client, number, 1).await;
    }
    visits(&client, 1).await;

    // The outer ones are there first, with nothing made of anything.
    let inner = create(&client, "wait", json!({"label": 1, "in": [1]})).await;
    let visitors = create(&client, "wait", json!({"event": "visit", "last_days": 1})).await;
    let both = json!({"all": [{"segment": inner}, {"not": {"segment": visitors}}]});
    let outer = create(&client, "wait", both.clone()).await;
    let of_outer = json!({"any": [{"segment": outer}, {"label": 2, "in": [3]}]});
    let top = create(&client, "last", of_outer.clone()).await;
    let skips = create(&client, "skip", json!({"label": 1, "in": [1]})).await;
    let in_vain = create(&client, "wait", json!({"segment": skips})).await;
    let never = json!({"where": {"segment": "seg_none"}});
    assert_eq!(fault(&client.estimate("shop", &never).await), (422, "unknown_segment", "/where/segment"));

    routine(&client).await;
    assert_eq!(members(&client, &inner, 20210101).await, users(|user| user.is_multiple_of(2)));
    assert_eq!(members(&client, &visitors, 20210101).await, users(|user| user % 7 < 3));
    let of_day_1 = |user: usize| user.is_multiple_of(2) && user % 7 >= 3;
    assert_eq!(members(&client, &outer, 20210101).await, users(of_day_1));
    assert_eq!(members(&client, &top, 20210101).await, users(|user| of_day_1(user) || user % 5 == 3));

    // An estimate reads the newest cohort, and says so.
    let (_, estimate) = client.estimate("shop", &json!({"where": both})).await;
    assert_eq!(estimate["count"], users(of_day_1).len(), "{estimate}");
    let fresh = &estimate["freshness"][1];
    assert_eq!(
        (&fresh["kind"], &fresh["name"], &fresh["ds"]),
        (&json!("segment"), &json!(visitors), &json!(20210101))
    );
    let early = json!({"as_of": 20201231, "where": both});
    assert_eq!(
        fault(&client.estimate("shop", &early).await),
        (422, "segment_not_made", "/where/all/0/segment")
    );
    let day = newest(&client, &outer).await;
    let cohort = day["cohort_id"].as_str().unwrap();
    let (_, why) = client.get(&format!("/v1/apps/shop/cohorts/{cohort}/users/u4")).await;
    assert_eq!(why["conditions"][1]["condition"], json!({"segment": visitors}), "{why}");
    assert_eq!((&why["member"], &why["conditions"][1]["holds"]), (&json!(true), &json!(false)), "{why}");
    let (_, verified) = client.post(&format!("/v1/apps/shop/cohorts/{cohort}/verify"), &json!({})).await;
    assert_eq!((&verified["same"], &verified["data"]), (&json!(true), &json!("same")), "{verified}");

    // The next day, of which label 1 is late: who waits for it waits, and so does who waits for that.
    label(&client, 2, 2).await;
    visits(&client, 2).await;
    routine(&client).await;
    assert_eq!(newest(&client, &inner).await["outcome"], "waiting");
    let waits = newest(&client, &outer).await;
    assert_eq!(
        (&waits["outcome"], &waits["detail"]["missing"][0]["name"]),
        (&json!("waiting"), &json!(inner))
    );
    assert_eq!(members(&client, &top, 20210102).await, users(|user| of_day_1(user) || user % 5 == 3));
    let behind = newest(&client, &top).await["detail"]["warnings"][0].clone();
    assert_eq!(
        (&behind["code"], &behind["pointer"]),
        (&json!("segment_behind"), &json!("/where/any/0")),
        "{behind}"
    );
    // Nobody waits for what is left out for good.
    assert_eq!(newest(&client, &skips).await["outcome"], "skipped");
    let refused = newest(&client, &in_vain).await;
    assert_eq!(
        (&refused["outcome"], &refused["detail"]["errors"][0]["code"]),
        (&json!("refused"), &json!("segment_not_made")),
        "{refused}"
    );
    label(&client, 1, 2).await;
    routine(&client).await;
    assert_eq!(members(&client, &inner, 20210102).await, users(|user| user.is_multiple_of(3)));
    assert_eq!(
        members(&client, &outer, 20210102).await,
        users(|user| user.is_multiple_of(3) && user % 7 >= 3)
    );

    // No way round, and nothing is pulled from under another one.
    let itself = put(&client, &inner, json!({"segment": inner})).await;
    assert_eq!(fault(&itself), (422, "segment_cycle", "/rule/where/segment"));
    let round = put(&client, &visitors, json!({"any": [{"not": {"segment": top}}]})).await;
    assert_eq!(fault(&round), (422, "segment_cycle", "/rule/where/any/0/not/segment"));
    let way = round.1["errors"][0]["detail"].as_str().unwrap();
    assert!(way.ends_with(&format!("{visitors} → {top} → {outer} → {visitors}")), "{way}");
    let delete = async |id: &str| {
        let path = format!("/v1/apps/shop/segments/{id}");
        client.request(Method::DELETE, &path).send().await.unwrap()
    };
    // An id that only resembles it: on no database does that reach past the check.
    assert!(delete(&format!("{outer}%20")).await.status().is_client_error());
    let itself = put(&client, &format!("{inner}%20"), json!({"segment": inner})).await;
    assert!(itself.0.is_client_error(), "{}", itself.1);
    let refused = support::json(delete(&outer).await).await;
    assert_eq!((refused.0, &refused.1["code"]), (StatusCode::CONFLICT, &json!("segment_in_use")));
    assert_eq!(refused.1["segments"], json!([top]));
    assert_eq!(put(&client, &outer, json!({"segment": inner})).await.0, StatusCode::OK);
    assert_eq!(delete(&visitors).await.status(), StatusCode::NO_CONTENT);
    let crowd = json!({"rule": {"where": {"segment": inner}}});
    let put = client.request(Method::PUT, "/v1/apps/shop/base-crowds/own").json(&crowd).send().await.unwrap();
    assert_eq!(put.status(), StatusCode::UNPROCESSABLE_ENTITY);
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_of_another_app_can_not_be_named() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    label(&client, 1, 1).await;
    let theirs = "20210101,other,1,colour,u1,1,red\n";
    assert_eq!(client.import_csv("kind=labels", &(LABELS.to_owned() + theirs)).await["state"], "done");
    let ours = create(&client, "last", json!({"label": 1, "in": [1]})).await;
    routine(&client).await;
    let rule = json!({"where": {"segment": ours}});
    assert_eq!(client.estimate("shop", &rule).await.1["count"], USERS / 2);
    assert_eq!(fault(&client.estimate("other", &rule).await), (422, "unknown_segment", "/where/segment"));
    let body = json!({"name": "n", "rule": rule});
    let kept = client.post("/v1/apps/other/segments", &body).await;
    assert_eq!(fault(&kept), (422, "unknown_segment", "/rule/where/segment"));
}
