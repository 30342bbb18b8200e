//! Estimates that may be less than exact: they keep to what was asked, and say what they are.

mod support;

use std::fmt::Write;

use reqwest::StatusCode;
use serde_json::{Value, json};
use support::{Client, Server};

const USERS: usize = 40_000;

/// Tag 1 is carried by every second user, tag 2 by every hundredth; every fourth has a visit.
async fn shop(client: &Client<'_>) {
    let mut labels = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n".to_owned();
    let mut behavior = "ds,app_id,user_id,event,pv\n".to_owned();
    for n in 0..USERS {
        writeln!(labels, "20261101,a,1,half,u{n},{},t", 1 + n % 2).unwrap();
        if n % 100 == 0 {
            writeln!(labels, "20261101,a,2,rare,u{n},1,t").unwrap();
        }
        if n % 4 == 0 {
            writeln!(behavior, "20261101,a,u{n},visit,1").unwrap();
        }
    }
    assert_eq!(client.import_csv("kind=labels", &labels).await["state"], "done");
    assert_eq!(client.import_csv("kind=behavior", &behavior).await["state"], "done");
}

/// The answer without the one thing that differs from time to time.
async fn ask(client: &Client<'_>, rule: &Value, query: &str) -> Value {
    let (status, mut answer) = client.post(&format!("/v1/apps/a/segments/estimate{query}"), rule).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    assert!(answer.as_object_mut().unwrap().remove("took_ms").is_some());
    answer
}

fn held(interval: &Value, count: u64) -> bool {
    let end = |place: usize| interval[place].as_u64().unwrap();
    end(0) <= count && count <= end(1) && end(0) < end(1)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_estimate_is_as_good_as_it_is_asked_to_be() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    shop(&client).await;
    let half = json!({"where": {"label": "half", "in": [1]}});
    let rare = json!({"where": {"label": "rare", "in": [1]}});
    let active = json!({"universe": "active_7d", "where": {"label": "half", "in": [1]}});

    let exact = json!({
        "count": 20_000, "universe_count": USERS, "as_of": 20261101, "exact": true,
        "leaves": {"/where": 20_000}, "warnings": [],
        "freshness": [{"pointer": "/where", "kind": "label", "name": "half", "ds": 20261101, "missing_days": []}],
    });
    assert_eq!(ask(&client, &half, "").await, exact);

    let sampled = ask(&client, &half, "?within=0.1").await;
    assert_eq!((&sampled["exact"], &sampled["evaluated"]), (&json!(false), &json!(0.125)), "{sampled}");
    assert!(held(&sampled["interval"], 20_000), "{sampled}");
    assert_eq!(sampled["leaves"]["/where"], sampled["count"]);
    assert_eq!((&sampled["universe_count"], sampled.get("universe_interval")), (&json!(USERS), None));
    assert_eq!((&sampled["freshness"], &sampled["as_of"]), (&exact["freshness"], &exact["as_of"]));
    assert_eq!(ask(&client, &half, "?within=0.1").await, sampled, "asked again");
    assert_eq!(ask(&client, &half, "?within=0.1&budget_ms=60000").await, sampled, "whatever comes first");

    let hurried = ask(&client, &rare, "?budget_ms=0.001").await;
    assert_eq!((&hurried["exact"], &hurried["evaluated"]), (&json!(false), &json!(0.125)), "{hurried}");
    assert!(held(&hurried["interval"], 400), "{hurried}");
    for query in ["?within=0.02", "?budget_ms=60000"] {
        let all = ask(&client, &rare, query).await;
        assert_eq!(
            (&all["count"], &all["exact"], &all["evaluated"]),
            (&json!(400), &json!(true), &json!(1.0))
        );
        assert_eq!((all.get("interval"), all.get("universe_interval")), (None, None), "{all}");
    }

    let active = ask(&client, &active, "?within=0.2").await;
    assert_eq!(active["exact"], false, "{active}");
    assert!(held(&active["universe_interval"], 10_000), "{active}");
}

#[tokio::test(flavor = "multi_thread")]
async fn contracts_that_can_not_be_meant_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    assert_eq!(
        client.import_csv("kind=behavior", "ds,app_id,user_id,event,pv\n20261101,a,u,visit,1\n").await["state"],
        "done"
    );
    let rule = json!({"where": {"event": "visit"}});
    let refused = async |query: &str, code: &str| {
        let (status, problem) = client.post(&format!("/v1/apps/a/segments/estimate?{query}"), &rule).await;
        assert_eq!((status, &problem["code"]), (StatusCode::BAD_REQUEST, &json!(code)), "{query}: {problem}");
        problem
    };
    for query in ["within=0", "within=-0.1", "within=1.5", "within=NaN", "within=inf"] {
        let problem = refused(query, "invalid_parameter").await;
        assert_eq!(
            (&problem["errors"][0]["pointer"], &problem["errors"][0]["code"]),
            (&json!("within"), &json!("not_a_share"))
        );
    }
    for query in
        ["budget_ms=0", "budget_ms=-5", "budget_ms=NaN", "budget_ms=inf", "within=0.1&budget_ms=1e300"]
    {
        let problem = refused(query, "invalid_parameter").await;
        assert_eq!(
            (&problem["errors"][0]["pointer"], &problem["errors"][0]["code"]),
            (&json!("budget_ms"), &json!("not_a_time"))
        );
    }
    for query in ["within=much", "within=", "budget_ms=2ms", "within=0.1&within=0.2"] {
        refused(query, "invalid_query").await;
    }
    let only = ask(&client, &rule, "?within=1").await;
    assert_eq!((&only["count"], &only["exact"], &only["evaluated"]), (&json!(1), &json!(true), &json!(1.0)));
}
