//! Bad rows: reported exactly, twice the same, and published around when the limit allows.

mod support;

use std::fmt::Write;

use serde_json::{Value, json};
use support::{Client, Server};

/// 10,000 rows, 830 of them bad in all sorts of ways, and the lines of these.
fn file() -> (String, Vec<u64>) {
    let mut text = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name,tag_value\n".to_owned();
    let mut bad = Vec::new();
    for n in 0..10_000_u64 {
        let line = n + 2;
        let spoilt = n % 12 == 5 && bad.len() < 830;
        if !spoilt {
            writeln!(text, "20261101,mend,1,colour,u{n},{},c{},{n}", n % 3, n % 3).unwrap();
            continue;
        }
        match bad.len() % 9 {
            0 => writeln!(text, "20261301,mend,1,colour,u{n},1,c1,").unwrap(),
            8 => writeln!(text, "99991231,mend,1,colour,u{n},1,c1,").unwrap(),
            1 => writeln!(text, "20261101,mend,one,colour,u{n},1,c1,").unwrap(),
            2 => writeln!(text, "20261101,mend,1,colour,,1,c1,").unwrap(),
            3 => writeln!(text, "20261101,mend,1,colour,{},1,c1,", "x".repeat(129)).unwrap(),
            4 => writeln!(text, "20261101,mend,1,colour,u{n},1,c1,1.5").unwrap(),
            5 => writeln!(text, "20261101,mend,1,colour,u{n}").unwrap(),
            6 => writeln!(text, "20261101,,1,colour,u{n},1,c1,").unwrap(),
            _ => writeln!(text, "20261101,mend,1,colour,u{n},9223372036854775808,c1,").unwrap(),
        }
        bad.push(line);
    }
    assert_eq!(bad.len(), 830);
    (text, bad)
}

async fn reported(client: &Client<'_>, url: &Value) -> Vec<u64> {
    let text = client.text(url.as_str().unwrap()).await;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let columns: Vec<&str> = reader.headers().unwrap().iter().collect();
    assert_eq!(columns, ["file", "line", "column", "reason", "value"]);
    let rows: Vec<csv::StringRecord> = reader.records().map(|row| row.unwrap()).collect();
    assert!(rows.iter().all(|row| !row[3].is_empty()), "every row has a reason");
    rows.iter().map(|row| row[1].parse().unwrap()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_bad_rows_are_reported_and_no_others() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    let (text, bad) = file();
    for _ in 0..2 {
        let job = client.import_csv("kind=labels", &text).await;
        assert_eq!(job["state"], "failed", "{job}");
        assert_eq!(job["error"]["code"], "reject_limit_exceeded");
        let report = &job["result"];
        assert_eq!(report["rows_published"], 0);
        assert_eq!((&report["rows_read"], &report["rows_rejected"]), (&json!(10_000), &json!(830)));
        assert_eq!(reported(&client, &report["rejects_url"]).await, bad);
        let (status, _) = client.get("/v1/apps/mend").await;
        assert_eq!(status, 404, "nothing is published");
    }
    let job = client.import_csv("kind=labels&reject_limit=0.1", &text).await;
    assert_eq!(job["state"], "done", "{job}");
    assert_eq!(job["result"]["rows_published"], 9_170);
    assert_eq!(job["result"]["rows_rejected"], 830);
    assert_eq!(reported(&client, &job["result"]["rejects_url"]).await, bad);
    let rule = json!({"where": {"label": "colour", "set": true}});
    assert_eq!(client.estimate("mend", &rule).await.1["count"], 9_170);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_such_file_is_refused_with_a_reason() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    let job = client.import_csv("kind=labels", "ds,app_id,user_id\n20261101,a,1\n").await;
    assert_eq!((&job["state"], &job["error"]["code"]), (&json!("failed"), &json!("missing_column")));
    let id = client.import("kind=labels", "text/csv", true, b"no gzip at all".to_vec()).await;
    assert_eq!(client.wait(&id).await["error"]["code"], "corrupt_file");
    for (query, content_type, status) in [
        ("kind=nothing", "text/csv", 400),
        ("", "text/csv", 400),
        ("kind=labels", "image/png", 415),
        ("kind=events", "text/csv", 415),
        ("kind=labels&reject_limit=2", "text/csv", 400),
    ] {
        let request = client.request(reqwest::Method::POST, &format!("/v1/imports?{query}"));
        let (answered, problem) =
            support::json(request.header("content-type", content_type).body("x").send().await.unwrap()).await;
        assert_eq!(answered, status, "{query}: {problem}");
        assert!(problem["detail"].as_str().is_some_and(|detail| !detail.is_empty()), "{problem}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_late_or_repeated_file_replaces_its_own_part_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    let labels = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n";
    let behavior = "ds,app_id,user_id,event,pv,page\n";
    let count = async |rule: Value| client.estimate("a", &rule).await.1["count"].clone();
    let colour = |ds: u32| json!({"as_of": ds, "where": {"label": "colour", "in": ["red"]}});
    let visits = json!({"where": {"event": "visit", "pv": {"gte": 3}}});
    let orders = json!({"where": {"event": "order"}});

    let first = format!(
        "{labels}20261101,a,1,colour,u1,1,red\n20261101,a,1,colour,u2,1,red\n20261102,a,1,colour,u1,1,red\n20261101,a,2,size,u1,1,big\n"
    );
    let days =
        format!("{behavior}20261101,a,u1,visit,2,/x\n20261101,a,u1,visit,1,/y\n20261101,a,u3,order,1,\n");
    for _ in 0..2 {
        assert_eq!(client.import_csv("kind=labels", &first).await["state"], "done");
        assert_eq!(client.import_csv("kind=behavior", &days).await["state"], "done");
        assert_eq!(count(colour(20261101)).await, 2);
        assert_eq!(count(colour(20261102)).await, 1);
        assert_eq!(count(visits.clone()).await, 1, "two imports of one file count once");
        assert_eq!(count(orders.clone()).await, 1);
    }
    let late = format!("{labels}20261101,a,1,colour,u9,1,red\n");
    assert_eq!(client.import_csv("kind=labels", &late).await["state"], "done");
    assert_eq!(count(colour(20261101)).await, 1, "the day's label is replaced whole");
    assert_eq!(count(colour(20261102)).await, 1);
    assert_eq!(count(json!({"where": {"label": "size", "in": [1]}})).await, 1);
    let corrected = format!("{behavior}20261101,a,u1,visit,1,/x\n");
    assert_eq!(client.import_csv("kind=behavior", &corrected).await["state"], "done");
    assert_eq!(count(visits).await, 0);
    assert_eq!(count(orders).await, 1, "another event of the day stays");
    // Everyone who was ever named: u1, u2, u3, u9.
    assert_eq!(count(json!({"where": {"all": []}})).await, 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sum_past_64_bits_fails_with_its_place_and_tells_what_is_published() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    let text = "ds,app_id,user_id,event,pv,m_amount\n20261101,fine,u,order,1,5\n\
        20261101,wide,u,order,1,9223372036854775807\n20261101,wide,u,order,1,1\n";
    let job = client.import_csv("kind=behavior", text).await;
    assert_eq!((&job["state"], &job["error"]["code"]), (&json!("failed"), &json!("sum_too_large")), "{job}");
    assert!(job["error"]["detail"].as_str().unwrap().contains("`order` of 20261101"), "{job}");
    assert_eq!(job["result"]["apps_published"], json!(["fine"]), "{job}");
    assert_eq!(client.get("/v1/apps/wide").await.0, 404);
    assert_eq!(client.get("/v1/apps/fine").await.0, 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_app_that_lost_its_manifest_is_not_tidied_away() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data).await;
    let client = server.client();
    let text = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n20261101,a,1,c,u1,1,red\n";
    assert_eq!(client.import_csv("kind=labels", text).await["state"], "done");
    let folder = data.join("store/apps/a");
    let files = || {
        std::fs::read_dir(&folder)
            .unwrap()
            .filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".mst"))
            .count()
    };
    let before = files();
    std::fs::rename(folder.join("manifest"), dir.path().join("kept")).unwrap();
    let id = client.import("kind=labels", "text/csv", false, text.as_bytes().to_vec()).await;
    while client.get(&format!("/v1/jobs/{id}")).await.1["error"].is_null() {
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert_eq!(files(), before, "no data file is gone");
    std::fs::rename(dir.path().join("kept"), folder.join("manifest")).unwrap();
    assert_eq!(client.wait(&id).await["state"], "done", "with the manifest back, the import goes through");
}

/// MariaDB takes `shop` and `shop ` for one name in its tables.
#[tokio::test(flavor = "multi_thread")]
async fn names_that_differ_by_white_space_at_their_ends_are_no_two_names() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    let rows = "ds,app_id,user_id,event,pv\n20261101,shop,u1,visit,1\n20261101,shop ,u2,visit,1\n20261101,shop,u3,visit ,1\n";
    let job = client.import_csv("kind=behavior&reject_limit=1", rows).await;
    assert_eq!((&job["state"], &job["result"]["rows_rejected"]), (&json!("done"), &json!(2)), "{job}");
    assert_eq!(reported(&client, &job["result"]["rejects_url"]).await, [3, 4]);
    let dimension = "ds,app_id,user_id,event,pv,page \n20261101,shop,u1,visit,1,/x\n";
    let job = client.import_csv("kind=behavior", dimension).await;
    assert_eq!(job["error"]["code"], "invalid_column", "{job}");

    let put = async |path: &str, body: Value| {
        support::json(client.request(reqwest::Method::PUT, path).json(&body).send().await.unwrap()).await
    };
    let (status, changed) = put("/v1/apps/shop/settings", json!({"event_days": 400})).await;
    assert_eq!(status, 200, "{changed}");
    let refused = async |path: &str, status: u16, code: &str| {
        let (answered, problem) = client.get(path).await;
        assert_eq!((answered.as_u16(), problem["code"].as_str()), (status, Some(code)), "{path}: {problem}");
    };
    refused("/v1/apps/shop%20/settings", 400, "invalid_app").await;
    refused("/v1/apps/%20shop/segments", 400, "invalid_app").await;
    refused("/v1/apps/shop%20/quotas", 400, "invalid_app").await;
    refused("/v1/jobs?app=shop%20", 400, "invalid_app").await;
    for (path, body) in [
        ("/v1/apps/shop%20/settings", json!({"event_days": 1})),
        ("/v1/apps/shop%20/quotas", json!({"read": {"per_second": 1, "burst": 1}})),
    ] {
        let (status, problem) = put(path, body).await;
        assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("invalid_app")), "{path}: {problem}");
    }
    let (status, problem) = put("/v1/apps/shop/events/visit%20", json!({"trade": true})).await;
    assert_eq!((status.as_u16(), &problem["errors"][0]["code"]), (422, &json!("invalid_name")), "{problem}");
    let key = json!({"name": "n", "apps": ["shop "], "roles": ["read"]});
    let (status, problem) = client.post("/v1/keys", &key).await;
    assert!(status.is_client_error() && problem.to_string().contains("white space"), "{problem}");
    let import = client.request(reqwest::Method::POST, "/v1/imports?kind=behavior&app=shop%20").body("x");
    let (status, problem) = support::json(import.send().await.unwrap()).await;
    assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("invalid_app")), "{problem}");
    assert_eq!(client.get("/v1/apps/shop/settings").await.1["event_days"], 400);
    assert_eq!(client.get("/v1/apps/shop").await.1["users"], 1);
}
