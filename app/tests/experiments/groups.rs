//! Who is in which group, and who may see it.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{self, Client, Server};
use crate::{USERS, create, get, groups, halves, import, path, position, start, third};

#[tokio::test(flavor = "multi_thread")]
async fn groups_are_those_of_the_hash() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    import(&client).await;
    let holdout = client.request(Method::PUT, "/v1/apps/shop/holdout").json(&json!({"share": 0.1}));
    assert_eq!(support::json(holdout.send().await.unwrap()).await, (StatusCode::OK, json!({"share": 0.1})));
    let body = |name: &str, traffic: f64| {
        json!({
            "name": name, "layer": "checkout", "traffic": traffic,
            "population": {"where": {"label": "third", "in": ["t0", "t1"]}},
            "groups": [
                {"name": "control", "share": 0.5}, {"name": "blue", "share": 0.3}, {"name": "red", "share": 0.2}],
        })
    };
    let first = create(&client, &body("first", 0.4)).await;
    let second = create(&client, &body("second", 0.6)).await;
    let third_one = create(&client, &body("third", 0.1)).await;
    let running = start(&client, &first, 20210108).await;
    let other = start(&client, &second, 20210108).await;

    let held = |user: usize| position("shop/holdout", user) < 100_000;
    let layer = |user: usize| position("shop/layer/checkout", user);
    let expected = |experiment: &Value, from: u64, to: u64| {
        let salt = experiment["salt"].as_str().unwrap().to_owned();
        let mut groups = vec![BTreeSet::new(); 3];
        for user in (0..USERS).filter(|user| third(*user) < 2 && !held(*user)) {
            if (from..to).contains(&layer(user)) {
                let place = position(&salt, user);
                groups[usize::from(place >= 500_000) + usize::from(place >= 800_000)].insert(user);
            }
        }
        groups
    };
    let seen = groups(&client, &running, "cohort_id").await;
    assert_eq!(seen, expected(&running, 0, 400_000));
    assert_eq!(groups(&client, &other, "cohort_id").await, expected(&other, 400_000, 1_000_000));
    for (group, users) in running["members"].as_array().unwrap().iter().zip(&seen) {
        assert_eq!((&group["users"], &group["ever_users"]), (&json!(users.len()), &json!(users.len())));
        assert_eq!(group["cohort_id"], group["ever_cohort_id"]);
    }
    assert_eq!(running["assignment"]["traffic"]["ranges"], json!([{"from": 0, "to": 400_000}]));

    // Where each user stands, and why.
    for user in 0..40 {
        let place = get(&client, &path(&first, &format!("/users/u{user}"))).await;
        let group = seen.iter().position(|users| users.contains(&user));
        let name = group.map(|group| ["control", "blue", "red"][group]);
        let why = match (held(user), layer(user) < 400_000, third(user) < 2) {
            (true, ..) => "held_out",
            (_, false, _) => "no_traffic",
            (.., false) => "not_in_population",
            _ => "group",
        };
        assert_eq!((&place["group"], &place["why"]), (&json!(name), &json!(why)), "u{user}: {place}");
    }
    assert_eq!(get(&client, &path(&first, "/users/ghost")).await["why"], "unknown");

    // The layer is full until one of them ends.
    let (status, full) = client.post(&path(&third_one, "/start"), &json!({})).await;
    assert_eq!(
        (status, &full["code"], &full["free"]),
        (StatusCode::CONFLICT, &json!("layer_full"), &json!(0.0))
    );
    let (status, stopped) = client.post(&path(&first, "/stop"), &json!({"to": 20210110})).await;
    assert_eq!(
        (status, &stopped["state"], &stopped["to"]),
        (StatusCode::OK, &json!("stopped"), &json!(20210110))
    );
    let late = start(&client, &third_one, 20210108).await;
    assert_eq!(groups(&client, &late, "cohort_id").await, expected(&late, 0, 100_000));
    refusals(&client, &second, &stopped).await;
    keys(&server, &client, &second).await;
}

async fn refusals(client: &Client<'_>, running: &Value, stopped: &Value) {
    let conflict = |answer: (StatusCode, Value), code: &str| {
        assert_eq!((answer.0, &answer.1["code"]), (StatusCode::CONFLICT, &json!(code)), "{}", answer.1);
    };
    conflict(client.post(&path(running, "/start"), &json!({})).await, "experiment_state");
    conflict(client.post(&path(stopped, "/stop"), &json!({})).await, "experiment_state");
    let change =
        client.request(Method::PUT, &path(running, "")).json(&json!({"name": "x", "groups": halves()}));
    conflict(support::json(change.send().await.unwrap()).await, "experiment_state");
    let delete = |path: String| client.request(Method::DELETE, &path).send();
    conflict(support::json(delete(path(running, "")).await.unwrap()).await, "experiment_state");
    let cohort = stopped["members"][0]["cohort_id"].as_str().unwrap();
    let of_group = format!("/v1/apps/shop/cohorts/{cohort}");
    conflict(support::json(delete(of_group.clone()).await.unwrap()).await, "cohort_in_use");
    // A segment uses a group: both stay.
    let body = json!({"name": "uses", "rule": {"where": {"cohort": cohort}}});
    let (_, segment) = client.post("/v1/apps/shop/segments", &body).await;
    conflict(support::json(delete(path(stopped, "")).await.unwrap()).await, "cohort_in_use");
    let segment = format!("/v1/apps/shop/segments/{}", segment["id"].as_str().unwrap());
    assert_eq!(delete(segment).await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(delete(path(stopped, "")).await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_eq!(client.get(&of_group).await.0, StatusCode::NOT_FOUND);
    assert_eq!(client.get(&path(stopped, "")).await.0, StatusCode::NOT_FOUND);

    let metric = |event: &str, of: &str| json!([{"name": "m", "event": event, "of": of}]);
    for (change, code, pointer) in [
        (json!({"groups": [{"name": "one", "share": 1.0}]}), "groups", "/groups"),
        (json!({"groups": [{"name": "a", "share": 0.5}, {"name": "b", "share": 0.4}]}), "shares", "/groups"),
        (
            json!({"groups": [{"name": "a", "share": 0.5}, {"name": "a", "share": 0.5}]}),
            "repeated",
            "/groups/1/name",
        ),
        (json!({"traffic": 0.0}), "traffic", "/traffic"),
        (json!({"pre_days": 1000}), "pre_days", "/pre_days"),
        (json!({"salt": "shop/holdout"}), "reserved_salt", "/salt"),
        (json!({"salt": running["id"]}), "reserved_salt", "/salt"),
        (json!({"exposure": "sene"}), "unknown_event", "/exposure"),
        (json!({"metrics": metric("oder", "pv")}), "unknown_event", "/metrics/0/event"),
        (json!({"metrics": metric("order", "sum")}), "measure", "/metrics/0/measure"),
        (
            json!({"population": {"where": {"label": "thrid", "in": ["t0"]}}}),
            "unknown_label",
            "/population/where/label",
        ),
        (
            json!({"population": {"where": {"segment": "seg_none"}}}),
            "unknown_segment",
            "/population/where/segment",
        ),
    ] {
        let mut body = json!({"name": "bad", "groups": halves()});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let (status, problem) = client.post("/v1/apps/shop/experiments", &body).await;
        assert_eq!(status, StatusCode::UNPROCESSABLE_ENTITY, "{body}: {problem}");
        let first = &problem["errors"][0];
        assert_eq!((&first["code"], &first["pointer"]), (&json!(code), &json!(pointer)), "{problem}");
    }
    let body = json!({"name": "own salt", "groups": halves(), "salt": "blue"});
    assert_eq!(client.post("/v1/apps/shop/experiments", &body).await.0, StatusCode::CREATED);
    let (_, twice) = client.post("/v1/apps/shop/experiments", &body).await;
    assert_eq!(twice["errors"][0]["code"], "repeated", "{twice}");
    let early = client.post(&path(running, "/stop"), &json!({"to": 20210107})).await;
    assert_eq!(
        (early.0.as_u16(), &early.1["errors"][0]["code"]),
        (422, &json!("before_from")),
        "{}",
        early.1
    );
    let holdout = client.request(Method::PUT, "/v1/apps/shop/holdout").json(&json!({"share": 0.9}));
    assert_eq!(holdout.send().await.unwrap().status(), StatusCode::UNPROCESSABLE_ENTITY);
}

/// What each role may, and that nothing is another app's.
async fn keys(server: &Server, client: &Client<'_>, running: &Value) {
    for (role, apps, allowed) in [
        ("read", "shop", [200, 200, 403, 403]),
        ("segment", "shop", [200, 200, 201, 403]),
        ("export", "shop", [200, 200, 403, 200]),
        ("segment", "other", [404, 404, 404, 404]),
    ] {
        let key = json!({"name": role, "apps": [apps], "roles": [role, "read"]});
        let (_, key) = client.post("/v1/keys", &key).await;
        let own = server.with_key(key["secret"].as_str().or(key["key"].as_str()).unwrap());
        let body = json!({"name": "by a key", "groups": halves()});
        let told = [
            own.get(&path(running, "")).await.0,
            own.get("/v1/apps/shop/holdout").await.0,
            own.post("/v1/apps/shop/experiments", &body).await.0,
            own.get(&path(running, "/users/u1")).await.0,
        ];
        assert_eq!(told.map(|status| status.as_u16()), allowed, "{role} of {apps}");
    }
}
