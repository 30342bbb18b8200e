//! A cohort from rule to user ids: estimate, job, export and membership proof tell one story.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::Server;

/// Ids that are easily broken on their way: large integers, quotes, commas, spaces, leading zeros.
const AWKWARD: [&str; 7] =
    ["9007199254740993", "18446744073709551615", "007", "7", "a,\"b\"", "naïve user", "-1"];

#[tokio::test(flavor = "multi_thread")]
async fn estimate_cohort_export_and_proof_agree() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    let mut labels = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name,tag_value\n".to_owned();
    let mut behavior = "ds,app_id,user_id,event,pv,page,m_amount\n".to_owned();
    for (n, user) in AWKWARD.iter().enumerate() {
        let quoted = user.replace('"', "\"\"");
        writeln!(labels, "20261101,a,1,level,\"{quoted}\",{},l{},{}", n % 2, n % 2, n * 10).unwrap();
        writeln!(behavior, "20261031,a,\"{quoted}\",order,1,/x,{}", n as i64 * 100 - 200).unwrap();
    }
    assert_eq!(client.import_csv("kind=labels", &labels).await["state"], "done");
    assert_eq!(client.import_csv("kind=behavior", &behavior).await["state"], "done");

    let rule = json!({"universe": "active_7d", "where": {"all": [
        {"label": "level", "weight": {"gte": 20}},
        {"event": "order", "last_days": 7, "sum": {"m_amount": {"gte": 0}}},
        {"not": {"event": "order", "where": {"page": {"in": ["/y"]}}}}]}});
    let (_, estimate) = client.estimate("a", &rule).await;
    assert_eq!(estimate["count"], 5, "{estimate}");
    assert_eq!(estimate["warnings"][0]["code"], "unknown_value", "{estimate}");
    let cohort = client.cohort("a", &rule).await;
    assert_eq!(cohort["size"], 5);
    let members = client.members("a", &cohort).await;
    assert_eq!(
        members.iter().map(String::as_str).collect::<BTreeSet<_>>(),
        AWKWARD[2..].iter().copied().collect()
    );

    let id = cohort["cohort_id"].as_str().unwrap();
    let ndjson = client.text(&format!("/v1/apps/a/cohorts/{id}/users?format=ndjson")).await;
    let named: BTreeSet<String> = ndjson
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["user_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(named, members.into_iter().collect());

    for (n, user) in AWKWARD.iter().enumerate() {
        let mut url = reqwest::Url::parse(&server.url).unwrap();
        url.path_segments_mut().unwrap().extend(["v1", "apps", "a", "cohorts", id, "users", user]);
        let (_, proof) = support::json(server.http.get(url).send().await.unwrap()).await;
        assert_eq!(proof["member"], named.contains(*user), "{proof}");
        assert_eq!(proof["data"], "same");
        assert_eq!(proof["universe"], json!({"name": "active_7d", "holds": true}));
        let total = n as i64 * 100 - 200;
        let spent = &proof["conditions"][1];
        assert_eq!(spent["evidence"], json!({"total": total}), "{proof}");
        assert_eq!(spent["holds"], total >= 0);
        assert_eq!(spent["condition"]["event"], "order");
    }
    let (status, nobody) = client.get(&format!("/v1/apps/a/cohorts/{id}/users/nobody")).await;
    assert_eq!((status, &nobody["member"], &nobody["known"]), (StatusCode::OK, &json!(false), &json!(false)));

    cohorts_in_rules(&client, id).await;
}

async fn cohorts_in_rules(client: &support::Client<'_>, id: &str) {
    for (rule, expected) in [(json!({"cohort": id}), 5), (json!({"not": {"cohort": id}}), 2)] {
        let (status, answer) = client.estimate("a", &json!({"where": rule})).await;
        assert_eq!((status, &answer["count"]), (StatusCode::OK, &json!(expected)), "{answer}");
    }
    let delete =
        async |path: String| support::json(client.request(Method::DELETE, &path).send().await.unwrap()).await;
    let body = json!({"name": "uses it", "rule": {"where": {"not": {"cohort": id}}}});
    let (_, segment) = client.post("/v1/apps/a/segments", &body).await;
    let (status, problem) = delete(format!("/v1/apps/a/cohorts/{id}")).await;
    assert_eq!((status, &problem["segments"]), (StatusCode::CONFLICT, &json!([segment["id"]])), "{problem}");
    delete(format!("/v1/apps/a/segments/{}", segment["id"].as_str().unwrap())).await;
    let (status, _) = delete(format!("/v1/apps/a/cohorts/{id}")).await;
    assert_eq!(status, StatusCode::NO_CONTENT);
    let (status, answer) = client.estimate("a", &json!({"where": {"cohort": id}})).await;
    assert_eq!(
        (status, &answer["errors"][0]["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/where/cohort"))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_segment_has_versions_and_cohorts_keep_theirs() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    let text = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n20261101,a,1,c,u1,1,red\n20261101,a,1,c,u2,2,blue\n";
    assert_eq!(client.import_csv("kind=labels", text).await["state"], "done");
    let rule =
        |tags: Value| json!({"name": "s", "rule": {"where": {"label": "c", "in": tags}}, "refresh": "daily"});
    let (_, first) = client.post("/v1/apps/a/segments", &rule(json!(["red"]))).await;
    let path = format!("/v1/apps/a/segments/{}", first["id"].as_str().unwrap());
    assert_eq!((&first["version"], &first["refresh"]), (&json!(1), &json!("daily")));
    let put = async |body: Value| {
        support::json(client.request(Method::PUT, &path).json(&body).send().await.unwrap()).await.1
    };
    assert_eq!(put(rule(json!(["red"]))).await["version"], 1, "the same rule is no new version");
    assert_eq!(put(rule(json!(["red", "blue"]))).await["version"], 2);
    let (_, versions) = client.get(&format!("{path}/versions")).await;
    assert_eq!(versions["items"].as_array().unwrap().len(), 2);
    let (_, job) = client.post(&format!("{path}/run"), &json!({"as_of": 20261101})).await;
    let job = client.wait(job["id"].as_str().unwrap()).await;
    assert_eq!((&job["result"]["size"], &job["result"]["segment_version"]), (&json!(2), &json!(2)), "{job}");
    let (_, shown) = client.get(&path).await;
    assert_eq!(shown["last_cohort"]["id"], job["result"]["cohort_id"]);
    let gone = client.request(Method::DELETE, &path).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    assert_eq!(client.get(&path).await.0, StatusCode::NOT_FOUND);
    let cohort = format!("/v1/apps/a/cohorts/{}", job["result"]["cohort_id"].as_str().unwrap());
    assert_eq!(client.get(&cohort).await.1["size"], 2, "cohorts of a deleted segment stay");
}

/// The server's memory does not grow with the number of ids that stream out.
#[tokio::test(flavor = "multi_thread")]
async fn an_export_of_many_ids_takes_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    let users = 300_000;
    let mut text = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n".to_owned();
    (0..users).for_each(|n| {
        writeln!(text, "20261101,a,1,c,a-rather-long-user-id-that-takes-room-{n},1,red").unwrap()
    });
    let job = client.import("kind=labels", "text/csv", false, text.into_bytes()).await;
    assert_eq!(client.wait(&job).await["state"], "done");
    let cohort = client.cohort("a", &json!({"where": {"label": "c", "in": ["red"]}})).await;
    let path = format!("/v1/apps/a/cohorts/{}/users", cohort["cohort_id"].as_str().unwrap());
    client.text(&path).await;
    let before = server.memory();
    for _ in 0..4 {
        assert_eq!(client.text(&path).await.lines().count(), users);
    }
    let grown = server.memory().saturating_sub(before);
    assert!(grown < 16 << 20, "{grown} bytes more after four exports of 16 MB each");
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_nothing_shows_are_swept_up() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let cohort = {
        let mut server = Server::start(&data).await;
        let client = server.client();
        let labels = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n20261101,a,1,l,u1,1,t\n20261101,a,1,l,u2,2,t\n";
        assert_eq!(client.import_csv("kind=labels", labels).await["state"], "done");
        let cohort = client.cohort("a", &json!({"where": {"label": "l", "in": [1]}})).await;
        server.kill();
        cohort
    };
    let folder = data.join("store/apps/a/cohorts");
    let kept = folder.join(format!("{}.mst", cohort["cohort_id"].as_str().unwrap()));
    let strays = ["coh_stray.mst", "coh_stray-report.mst", "coh_aside.mst.tmp"].map(|name| folder.join(name));
    let young = folder.join("coh_young.mst");
    strays.iter().chain([&young]).for_each(|path| _ = std::fs::copy(&kept, path).unwrap());
    let long_ago = std::time::SystemTime::now() - std::time::Duration::from_secs(3_700);
    for path in strays.iter().chain([&kept]) {
        std::fs::File::options().append(true).open(path).unwrap().set_modified(long_ago).unwrap();
    }

    let server = Server::start(&data).await;
    let until = std::time::Instant::now() + std::time::Duration::from_secs(30);
    while strays.iter().any(|path| path.exists()) {
        assert!(std::time::Instant::now() < until, "the strays are still there");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(young.exists(), "its row may follow");
    assert_eq!(server.client().members("a", &cohort).await, ["u1"]);
}
