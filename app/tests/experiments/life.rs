//! Experiments that are checked first, that follow their audience, and whose start is killed.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{self, Server};
use crate::{
    USERS, create, get, groups, halves, import, metrics, mix, near, order, path, position, start, third,
};

#[tokio::test(flavor = "multi_thread")]
async fn only_the_exposed_are_compared_and_a_check_finds_a_better_salt() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    import(&client).await;
    let body = json!({
        "name": "seen", "groups": halves(), "metrics": metrics(), "exposure": "seen", "pre_days": 6,
        "population": {"where": {"label": "third", "in": ["t1"]}},
    });
    let experiment = create(&client, &body).await;
    let checked = async |salts: u32| {
        let (status, job) = client.post(&path(&experiment, "/check"), &json!({"salts": salts})).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{job}");
        let job = client.wait(job["id"].as_str().unwrap()).await;
        assert_eq!(job["state"], "done", "{job}");
        job["result"].clone()
    };
    let smallest = |check: &Value| {
        let groups = check["metrics"].as_array().unwrap().iter().map(|metric| &metric["groups"][1]);
        groups.map(|group| group["against_control"]["p_value"].as_f64().unwrap()).fold(1.0, f64::min)
    };
    let first = checked(0).await;
    assert_eq!((&first["from"], &first["to"]), (&json!(20210107), &json!(20210112)));
    assert_eq!((&first["salt"], &first["salts"]), (&experiment["id"], &json!(1)));
    let best = checked(30).await;
    assert!(smallest(&best) >= smallest(&first).max(0.3) && best["balanced"] == true, "{best}");
    let draft = get(&client, &path(&experiment, "")).await;
    assert_eq!((&draft["check"], &draft["salt"]), (&best, &best["salt"]));

    // What was checked is what starts.
    let running = start(&client, &experiment, 20210109).await;
    let groups = groups(&client, &running, "cohort_id").await;
    assert_eq!(best["users"], json!(groups.iter().map(BTreeSet::len).collect::<Vec<_>>()));
    let salt = best["salt"].as_str().unwrap();
    assert!(
        (0..USERS)
            .filter(|user| third(*user) == 1)
            .all(|user| { groups[usize::from(position(salt, user) >= 500_000)].contains(&user) })
    );
    let results = get(&client, &path(&experiment, "/results?cuped=false&to=20210111")).await;
    let exposed = |user: usize, to: usize| (9..=to).any(|day| mix(user, day + 50).is_multiple_of(3));
    for (group, users) in results["metrics"][1]["groups"].as_array().unwrap().iter().zip(&groups) {
        let orders =
            |user: usize| (9..=11).filter_map(|day| order(user, day)).map(|order| order.0).sum::<i64>();
        let exposed: Vec<usize> = users.iter().copied().filter(|user| exposed(*user, 11)).collect();
        assert_eq!(group["users"], exposed.len());
        let mean = exposed.iter().map(|user| orders(*user)).sum::<i64>() as f64 / exposed.len() as f64;
        assert!(near(&group["mean"], mean), "{group}");
    }
    let by_day = results["sample_ratio_by_day"].as_array().unwrap();
    assert_eq!(by_day.len(), 3);
    for (day, told) in (9..).zip(by_day) {
        let users: Vec<usize> =
            groups.iter().map(|users| users.iter().filter(|user| exposed(**user, day)).count()).collect();
        assert_eq!((&told["ds"], &told["users"]), (&json!(20210100 + day), &json!(users)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_following_experiment_takes_in_who_comes_and_remembers_who_goes() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    import(&client).await;
    let body = |membership: &str| {
        json!({
            "name": membership, "membership": membership, "groups": halves(), "metrics": metrics(),
            "population": {"where": {"label": "third", "in": ["t0"]}},
        })
    };
    let following = create(&client, &body("following")).await;
    let frozen = create(&client, &body("frozen")).await;
    let (first, still) =
        (start(&client, &following, 20210108).await, start(&client, &frozen, 20210108).await);
    let before = groups(&client, &first, "cohort_id").await;

    // Users move on by one third.
    let mut rows = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n".to_owned();
    for user in 0..USERS {
        let now = if user.is_multiple_of(2) { third(user) } else { third(user + 1) };
        writeln!(rows, "20210112,shop,1,third,u{user},{now},t{now}").unwrap();
    }
    assert_eq!(client.import_csv("kind=labels", &rows).await["state"], "done");
    let mut second = Value::Null;
    for _ in 0..600 {
        second = get(&client, &path(&following, "")).await;
        if second["version"] == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!((&second["version"], &second["population_ds"]), (&json!(2), &json!(20210112)), "{second}");
    let (now, ever) =
        (groups(&client, &second, "cohort_id").await, groups(&client, &second, "ever_cohort_id").await);
    let salt = second["salt"].as_str().unwrap();
    for group in 0..2 {
        let in_group = |user: &usize| usize::from(position(salt, *user) >= 500_000) == group;
        let today =
            |user: &usize| if user.is_multiple_of(2) { third(*user) == 0 } else { third(*user + 1) == 0 };
        let expected: BTreeSet<usize> = (0..USERS).filter(today).filter(in_group).collect();
        assert_eq!(now[group], expected);
        assert_eq!(ever[group], &before[group] | &expected, "nobody is forgotten");
        assert!(ever[group].len() > now[group].len() && ever[group].len() > before[group].len());
    }
    let results = get(&client, &path(&following, "/results")).await;
    assert_eq!(results["metrics"][0]["groups"][0]["users"], ever[0].len());
    let by_version: Vec<u64> = results["sample_ratio_by_day"]
        .as_array()
        .unwrap()
        .iter()
        .map(|day| day["users"][0].as_u64().unwrap())
        .collect();
    assert_eq!(by_version, [before[0].len() as u64, ever[0].len() as u64]);
    let unmoved = get(&client, &path(&frozen, "")).await;
    assert_eq!((&unmoved["version"], &unmoved["members"]), (&json!(1), &still["members"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_that_was_cancelled_is_a_draft_again_and_leaves_the_layer() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    import(&client).await;
    let body = |name: &str| json!({"name": name, "groups": halves(), "metrics": metrics(), "layer": "all"});
    let (busy, cancelled) = (create(&client, &body("busy")).await, create(&client, &body("cancelled")).await);
    // One job of experiments runs at a time: the start waits behind the check.
    let (_, check) = client.post(&path(&busy, "/check"), &json!({"salts": 100})).await;
    let (status, job) = client.post(&path(&cancelled, "/start"), &json!({"from": 20210108})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    let (_, full) = client.post(&path(&busy, "/start"), &json!({})).await;
    assert_eq!(full["code"], "layer_full", "{full}");
    let id = job["id"].as_str().unwrap();
    let (status, _) = client.post(&format!("/v1/jobs/{id}/cancel"), &json!({})).await;
    assert!(status.is_success(), "{status}");
    assert_eq!(client.wait(id).await["state"], "cancelled");
    let mut draft = Value::Null;
    for _ in 0..600 {
        draft = get(&client, &path(&cancelled, "")).await;
        if draft["state"] == "draft" {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(
        (&draft["state"], &draft["failure"]["code"]),
        (&json!("draft"), &json!("cancelled")),
        "{draft}"
    );
    assert_eq!(client.wait(check["id"].as_str().unwrap()).await["state"], "done");
    start(&client, &busy, 20210108).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_start_survives_being_killed_and_makes_its_groups_once() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::start(&data).await;
    import(&server.client()).await;
    for wait in [0, 15, 60] {
        let client = server.client();
        let experiment =
            create(&client, &json!({"name": "killed", "groups": halves(), "layer": "all"})).await;
        let (status, job) = client.post(&path(&experiment, "/start"), &json!({})).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{job}");
        tokio::time::sleep(Duration::from_millis(wait)).await;
        server.kill();
        server = Server::start(&data).await;
        let client = server.client();
        let job = client.wait(job["id"].as_str().unwrap()).await;
        assert_eq!(job["state"], "done", "{job}");
        let running = get(&client, &path(&experiment, "")).await;
        assert_eq!((&running["state"], &running["version"]), (&json!("running"), &json!(1)), "{running}");
        let groups = groups(&client, &running, "cohort_id").await;
        assert_eq!(groups.iter().map(BTreeSet::len).sum::<usize>(), USERS);
        let id = experiment["id"].as_str().unwrap();
        let made = get(&client, &format!("/v1/apps/shop/cohorts?segment={id}")).await;
        assert_eq!(made["items"].as_array().unwrap().len(), 2, "{made}");
        assert_eq!(client.post(&path(&experiment, "/stop"), &json!({})).await.0, StatusCode::OK);
    }
}

/// Each day's groups are made once, whoever dies, and nothing else is left of it.
#[tokio::test(flavor = "multi_thread")]
async fn following_survives_being_killed() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::start(&data).await;
    import(&server.client()).await;
    let population = json!({"where": {"label": "third", "in": ["t0"]}});
    let body = json!({
        "name": "follows", "membership": "following", "groups": halves(), "population": population,
    });
    let experiment = create(&server.client(), &body).await;
    let first = start(&server.client(), &experiment, 20210108).await;
    let mut ever = groups(&server.client(), &first, "ever_cohort_id").await;
    let salt = first["salt"].as_str().unwrap();
    // On the last day nobody dies.
    for (day, wait) in [Some(0), Some(40), Some(120), Some(300), None].into_iter().enumerate() {
        let ds = 20210112 + day as u32;
        let mut rows = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n".to_owned();
        let now = |user: usize| third(user + mix(user, day + 200) % 2);
        for user in 0..USERS {
            writeln!(rows, "{ds},shop,1,third,u{user},{},t{}", now(user), now(user)).unwrap();
        }
        assert_eq!(server.client().import_csv("kind=labels", &rows).await["state"], "done");
        // It looks at once when it starts.
        for wait in wait.into_iter().chain(wait) {
            server.kill();
            server = Server::start(&data).await;
            tokio::time::sleep(Duration::from_millis(wait)).await;
        }
        let client = server.client();
        let mut running = Value::Null;
        for _ in 0..600 {
            running = get(&client, &path(&experiment, "")).await;
            if running["population_ds"] == ds {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(
            (&running["population_ds"], &running["version"]),
            (&json!(ds), &json!(day + 2)),
            "{running}"
        );
        let there = groups(&client, &running, "cohort_id").await;
        for (group, (there, ever)) in there.iter().zip(&mut ever).enumerate() {
            let in_group = |user: &usize| usize::from(position(salt, *user) >= 500_000) == group;
            let expected = (0..USERS).filter(|user| now(*user) == 0).filter(in_group).collect();
            assert_eq!(*there, expected);
            ever.extend(expected);
        }
        assert_eq!(groups(&client, &running, "ever_cohort_id").await, ever);
    }
    // Those of the newest two versions; what is older, and what who died has left, goes a moment after a version is there.
    let client = server.client();
    let mut kept = Vec::new();
    for _ in 0..100 {
        let id = experiment["id"].as_str().unwrap();
        let made = get(&client, &format!("/v1/apps/shop/cohorts?segment={id}")).await;
        kept = made["items"].as_array().unwrap().iter().map(|cohort| cohort["version"].clone()).collect();
        if kept.len() == 8 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{kept:?}");
}

/// What its users come from can't be deleted before it has ended, nor goes by itself.
#[tokio::test(flavor = "multi_thread")]
async fn an_audience_stays_until_its_experiment_has_ended() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    import(&client).await;
    let cohort = client.cohort("shop", &json!({"where": {"label": "third", "in": ["t0"]}})).await;
    let cohort = cohort["cohort_id"].as_str().unwrap();
    let (_, told) = client.get(&format!("/v1/apps/shop/cohorts/{cohort}")).await;
    let segment = told["segment_id"].as_str().unwrap();
    let (_, list) = client.post("/v1/apps/shop/lists", &json!({"name": "some"})).await;
    let list = list["id"].as_str().unwrap();
    let upload = client.request(Method::POST, &format!("/v1/apps/shop/lists/{list}/users?mode=add"));
    let upload = upload.header("content-type", "text/csv").body("user_id\nu1\nu2\n").send().await.unwrap();
    assert_eq!(upload.status(), StatusCode::OK);
    let population = json!({"where": {"any": [{"segment": segment}, {"list": list}, {"cohort": cohort}]}});
    let body = json!({"name": "all of them", "groups": halves(), "population": population});
    let experiment = create(&client, &body).await;
    let delete = async |kind: &str, id: &str| {
        let answer = client.request(Method::DELETE, &format!("/v1/apps/shop/{kind}s/{id}")).send().await;
        support::json(answer.unwrap()).await
    };
    let all = [("segment", segment), ("list", list), ("cohort", cohort)];
    let in_use = async || {
        for (kind, id) in all {
            let (status, problem) = delete(kind, id).await;
            assert_eq!(
                (status, &problem["code"], &problem["experiments"]),
                (StatusCode::CONFLICT, &json!(format!("{kind}_in_use")), &json!([experiment["id"]])),
                "{problem}"
            );
        }
    };
    in_use().await;
    start(&client, &experiment, 20210108).await;
    in_use().await;
    // A group of it is another one's audience.
    let running = get(&client, &path(&experiment, "")).await;
    let group = json!({"where": {"cohort": running["members"][0]["cohort_id"]}});
    let inner = create(&client, &json!({"name": "in it", "groups": halves(), "population": group})).await;
    assert_eq!(client.post(&path(&experiment, "/stop"), &json!({})).await.0, StatusCode::OK);
    let (status, problem) = delete("experiment", experiment["id"].as_str().unwrap()).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("cohort_in_use")), "{problem}");
    // What it was made of is free.
    for (kind, id) in all {
        assert_eq!(delete(kind, id).await.0, StatusCode::NO_CONTENT, "{kind}");
    }
    for one in [&inner, &experiment] {
        assert_eq!(delete("experiment", one["id"].as_str().unwrap()).await.0, StatusCode::NO_CONTENT);
    }
}
