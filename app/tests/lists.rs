//! Lists of uploaded ids: every row is accounted for, and rules, cohorts and exports see who is on them.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Client, Server};

const USERS: usize = 300;

async fn users(client: &Client<'_>) {
    let mut rows = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n".to_owned();
    for user in 0..USERS {
        writeln!(rows, "20210101,shop,1,third,u{user},{},t", user % 3).unwrap();
    }
    writeln!(rows, "20210101,shop,1,third,42,0,t\n20210101,shop,1,third,\"a,\"\"b\"\"\",0,t").unwrap();
    assert_eq!(client.import_csv("kind=labels", &rows).await["state"], "done");
}

async fn create(client: &Client<'_>) -> String {
    let (status, list) = client.post("/v1/apps/shop/lists", &json!({"name": "VIPs"})).await;
    assert_eq!((status, &list["newest"]), (StatusCode::CREATED, &Value::Null), "{list}");
    list["id"].as_str().unwrap().to_owned()
}

async fn upload(client: &Client<'_>, list: &str, query: &str, body: &str) -> (StatusCode, Value) {
    let request = client.request(Method::POST, &format!("/v1/apps/shop/lists/{list}/users?{query}"));
    let request = request.header("content-type", "text/csv").body(format!("user_id\n{body}"));
    support::json(request.send().await.unwrap()).await
}

async fn on_list(client: &Client<'_>, list: &str) -> BTreeSet<String> {
    let (_, list) = client.get(&format!("/v1/apps/shop/lists/{list}")).await;
    client.members("shop", &list["newest"]).await.into_iter().collect()
}

fn names(holds: impl Fn(usize) -> bool) -> BTreeSet<String> {
    (0..USERS).filter(|user| holds(*user)).map(|user| format!("u{user}")).collect()
}

fn rows(users: &BTreeSet<String>) -> String {
    users.iter().map(|user| format!("{user}\n")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_row_is_accounted_for() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    users(&client).await;
    let list = create(&client).await;
    let rule = json!({"where": {"list": list}});
    let (status, refused) = client.estimate("shop", &rule).await;
    assert_eq!((status.as_u16(), &refused["errors"][0]["code"]), (422, &json!("list_not_filled")));

    // The header is line 1.
    let body = "u1\nu2\nu1\nghost\n\nghost\n\"a,\"\"b\"\"\"\nnobody,more\n\"x,\ty\"\n";
    let (status, version) = upload(&client, &list, "mode=add&reject_limit=0.2", body).await;
    assert_eq!(status, StatusCode::OK, "{version}");
    let count = |key: &str| version[key].as_u64().unwrap();
    // A line without anything is no row of a CSV file.
    assert_eq!(["rows_read", "rows_rejected", "rows_repeated", "unknown_users"].map(count), [8, 1, 2, 2]);
    assert_eq!(["users", "entered", "left", "version", "ds"].map(count), [3, 3, 0, 1, 20210101]);
    let report = client.text(version["report_url"].as_str().unwrap()).await;
    let expected = "line,user_id,reason\n5,ghost,unknown\n9,nobody,unknown\n10,,holds a control character\n";
    assert_eq!(report, expected);
    assert_eq!(on_list(&client, &list).await, ["u1", "u2", "a,\"b\""].map(str::to_owned).into());
    assert_eq!(client.estimate("shop", &rule).await.1["count"], 3);

    // NDJSON, packed, with a number for an id.
    let mut packed = GzEncoder::new(Vec::new(), Compression::fast());
    packed.write_all(b"{\"user_id\": 42, \"x\": 1}\n\n{\"user_id\":\"u2\"}\n{\"user_id\": 4.5}\n[]").unwrap();
    let path = format!("/v1/apps/shop/lists/{list}/users?mode=replace&reject_limit=0.5");
    let request = client.request(Method::POST, &path).header("content-type", "application/x-ndjson");
    let request = request.header("content-encoding", "gzip").body(packed.finish().unwrap());
    let (status, version) = support::json(request.send().await.unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{version}");
    assert_eq!((&version["users"], &version["entered"], &version["left"]), (&json!(2), &json!(1), &json!(2)));
    let report = client.text(version["report_url"].as_str().unwrap()).await;
    let expected = "line,user_id,reason\n4,,neither text nor a whole number\n5,,no object with a `user_id`\n";
    assert_eq!(report, expected);
    let (_, version) = upload(&client, &list, "mode=remove", "u2\nu3\n").await;
    assert_eq!((&version["left"], &version["version"]), (&json!(1), &json!(3)), "{version}");
    assert_eq!(on_list(&client, &list).await, ["42".to_owned()].into());
    let (_, versions) = client.get(&format!("/v1/apps/shop/lists/{list}/versions?limit=2")).await;
    assert_eq!((&versions["items"][0]["version"], &versions["next"]), (&json!(3), &json!("2")), "{versions}");

    // Why: the list as it is now.
    let cohort = version["cohort_id"].as_str().unwrap();
    let (_, why) = client.get(&format!("/v1/apps/shop/cohorts/{cohort}/users/42")).await;
    assert_eq!((&why["member"], &why["conditions"][0]["holds"]), (&json!(true), &json!(true)), "{why}");
    let (_, verified) = client.post(&format!("/v1/apps/shop/cohorts/{cohort}/verify"), &json!({})).await;
    assert_eq!((&verified["same"], &verified["data"]), (&json!(true), &json!("same")), "{verified}");
    refusals(&client, &list, cohort).await;
    keys(&server, &client).await;
}

/// What each role may.
async fn keys(server: &Server, client: &Client<'_>) {
    let list = create(client).await;
    let (_, version) = upload(client, &list, "mode=add", "u1\nu2\n").await;
    let cohort = version["cohort_id"].as_str().unwrap();
    let membership = json!({"users": ["u1"], "cohorts": [list]});
    for (role, allowed) in
        [("read", [false, false, true]), ("segment", [true, false, true]), ("export", [false, true, true])]
    {
        let key = json!({"name": role, "apps": ["shop"], "roles": [role, "read"]});
        let (_, key) = client.post("/v1/keys", &key).await;
        let own = server.with_key(key["secret"].as_str().or(key["key"].as_str()).unwrap());
        let told = [
            upload(&own, &list, "mode=add", "u3\n").await.0,
            own.post("/v1/apps/shop/cohorts/membership", &membership).await.0,
            own.get(&format!("/v1/apps/shop/cohorts/{cohort}/profile")).await.0,
        ];
        let expected = allowed.map(|may| if may { StatusCode::OK } else { StatusCode::FORBIDDEN });
        assert_eq!(told, expected, "{role}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_quote_that_is_left_open_spoils_one_row() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    users(&client).await;
    let list = create(&client).await;
    let body = "\u{feff}name,user_id\r\nx,u1\r\n\"abc,u2\r\n\"y, z\",u3\r\nw\r\nx,u4";
    let path = format!("/v1/apps/shop/lists/{list}/users?mode=add&reject_limit=0.5");
    let request = client.request(Method::POST, &path).header("content-type", "text/csv").body(body);
    let (status, version) = support::json(request.send().await.unwrap()).await;
    assert_eq!(status, StatusCode::OK, "{version}");
    assert_eq!((&version["rows_read"], &version["rows_rejected"]), (&json!(5), &json!(2)), "{version}");
    assert_eq!(on_list(&client, &list).await, ["u1", "u3", "u4"].map(str::to_owned).into());
    let report = client.text(version["report_url"].as_str().unwrap()).await;
    assert_eq!(report, "line,user_id,reason\n3,,a quote is opened and never closed\n5,,empty\n");
}

/// Nothing of what is refused counts.
async fn refusals(client: &Client<'_>, list: &str, cohort: &str) {
    let refused = async |query: &str, kind: &str, body: &str| {
        let request = client.request(Method::POST, &format!("/v1/apps/shop/lists/{list}/users?{query}"));
        let request = request.header("content-type", kind).body(body.to_owned());
        let (status, problem) = support::json(request.send().await.unwrap()).await;
        (status.as_u16(), problem["code"].as_str().unwrap_or_default().to_owned())
    };
    let fails = |status, code: &str| (status, code.to_owned());
    assert_eq!(refused("", "text/csv", "user_id\nu1\n").await, fails(400, "invalid_parameter"));
    assert_eq!(refused("mode=merge", "text/csv", "user_id\nu1\n").await, fails(400, "invalid_parameter"));
    assert_eq!(refused("mode=replace", "text/csv", "id\nu1\n").await, fails(422, "no_user_id"));
    assert_eq!(refused("mode=replace", "text/csv", "user_id\n").await, fails(422, "no_users"));
    assert_eq!(refused("mode=replace", "text/csv", "").await, fails(422, "no_users"));
    assert_eq!(refused("mode=replace", "text/csv", "user_id\nghost\n").await, fails(422, "no_known_users"));
    // Refused by its first line while the rest is still coming.
    let large = "not an id\n".repeat(1 << 20);
    assert_eq!(refused("mode=add", "text/csv", &large).await, fails(422, "no_user_id"));
    let long = format!("user_id\nu1\n{}", "a".repeat(2 << 20));
    assert_eq!(refused("mode=add", "text/csv", &long).await, fails(422, "line_too_long"));
    let bad = "{}\n{\"user_id\": \"u1\"}\n";
    assert_eq!(
        refused("mode=replace", "application/x-ndjson", bad).await,
        fails(422, "reject_limit_exceeded")
    );
    assert_eq!(refused("mode=replace", "text/plain", "u1").await, fails(415, "unsupported_media_type"));
    assert_eq!(on_list(client, list).await, ["42".to_owned()].into());

    let delete = async |path: &str| {
        let path = format!("/v1/apps/shop/{path}");
        support::json(client.request(Method::DELETE, &path).send().await.unwrap()).await
    };
    let (status, problem) = delete(&format!("cohorts/{cohort}")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("cohort_in_use")));
    let body = json!({"name": "not on it", "rule": {"where": {"not": {"list": list}}}});
    let (status, segment) = client.post("/v1/apps/shop/segments", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{segment}");
    let (status, problem) = delete(&format!("lists/{list}")).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("list_in_use")));
    // An id that only resembles it: on no database does that reach past the check.
    let (status, _) = delete(&format!("lists/{list}%20")).await;
    assert!(status.is_client_error(), "{status}");
    assert_eq!(
        delete(&format!("segments/{}", segment["id"].as_str().unwrap())).await.0,
        StatusCode::NO_CONTENT
    );
    assert_eq!(delete(&format!("lists/{list}")).await.0, StatusCode::NO_CONTENT);
    assert_eq!(client.get(&format!("/v1/apps/shop/lists/{list}")).await.0, StatusCode::NOT_FOUND);
    assert_eq!(client.get(&format!("/v1/apps/shop/cohorts/{cohort}")).await.0, StatusCode::NOT_FOUND);
    let (status, problem) = client.estimate("shop", &json!({"where": {"list": list}})).await;
    assert_eq!((status.as_u16(), &problem["errors"][0]["code"]), (422, &json!("unknown_list")));
}

#[tokio::test(flavor = "multi_thread")]
async fn uploads_at_once_all_count() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    users(&client).await;
    let list = create(&client).await;
    let pieces: Vec<BTreeSet<String>> = (0..8).map(|piece| names(|user| user % 10 == piece)).collect();
    let bodies: Vec<String> = pieces.iter().map(rows).collect();
    let uploads = bodies.iter().map(|body| upload(&client, &list, "mode=add", body));
    for (status, version) in futures::future::join_all(uploads).await {
        assert_eq!((status, &version["entered"]), (StatusCode::OK, &json!(30)), "{version}");
    }
    assert_eq!(on_list(&client, &list).await, names(|user| user % 10 < 8));
    let (_, versions) = client.get(&format!("/v1/apps/shop/lists/{list}/versions")).await;
    let numbers =
        versions["items"].as_array().unwrap().iter().map(|version| version["version"].as_u64().unwrap());
    assert_eq!(numbers.collect::<Vec<_>>(), (1..=8).rev().collect::<Vec<_>>());

    // In a rule of a daily segment, with all else that rules hold.
    let rule = json!({"where": {"all": [{"label": "third", "in": [0]}, {"not": {"list": list}}]}});
    let body = json!({"name": "n", "refresh": "daily", "on_missing": "wait", "rule": rule});
    let (_, segment) = client.post("/v1/apps/shop/segments", &body).await;
    let (_, job) = client.post("/v1/apps/shop/routine", &json!({})).await;
    assert_eq!(client.wait(job["id"].as_str().unwrap()).await["state"], "done");
    let segment = format!("/v1/apps/shop/segments/{}", segment["id"].as_str().unwrap());
    let (_, days) = client.get(&format!("{segment}/days")).await;
    let members = client.members("shop", &json!({"cohort_id": days["items"][0]["cohort_id"]})).await;
    let mut expected = names(|user| user % 3 == 0 && user % 10 >= 8);
    expected.extend(["42".to_owned(), "a,\"b\"".to_owned()]);
    assert_eq!(members.into_iter().collect::<BTreeSet<_>>(), expected);

    // Thirty versions are kept as cohorts.
    let first = versions["items"][7]["cohort_id"].as_str().unwrap();
    let path = format!("/v1/apps/shop/cohorts/{first}");
    for _ in 0..22 {
        assert_eq!(upload(&client, &list, "mode=add", "u1\n").await.0, StatusCode::OK);
    }
    assert_eq!(client.get(&path).await.0, StatusCode::OK);
    assert_eq!(upload(&client, &list, "mode=add", "u1\n").await.0, StatusCode::OK);
    assert_eq!(client.get(&path).await.0, StatusCode::NOT_FOUND);
    let (_, versions) = client.get(&format!("/v1/apps/shop/lists/{list}/versions?cursor=2")).await;
    assert_eq!(
        (&versions["items"][0]["users"], &versions["items"][0]["rows_read"]),
        (&json!(30), &json!(30))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_beyond_the_bound_is_too_large_wherever_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start_with(&data, "[gateway.imports]\nmax_bytes = 1000000\n").await;
    let client = server.client();
    users(&client).await;
    let list = create(&client).await;
    // Without a length told in advance.
    let pieces = (0..300).map(|_| Ok::<_, std::io::Error>("user_id\n".repeat(2_000)));
    let body = reqwest::Body::wrap_stream(futures::stream::iter(pieces));
    let request = client.request(Method::POST, &format!("/v1/apps/shop/lists/{list}/users?mode=add"));
    let request = request.header("content-type", "text/csv").body(body);
    let (status, problem) = support::json(request.send().await.unwrap()).await;
    assert_eq!((status.as_u16(), &problem["code"]), (413, &json!("body_too_large")), "{problem}");
    // The role is not taken for one that is away.
    assert_eq!(upload(&client, &list, "mode=add", "u1\n").await.0, StatusCode::OK);
}
