//! Deliveries: files and batches hold exactly the users, say what they are, and are not there twice.

#[path = "../support/mod.rs"]
mod support;

mod downloads;
mod receiver;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use muster_real_servers::{BUCKET, S3};
use receiver::{Receiver, Request};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{Client, Server};

const USERS: usize = 2_500;

/// On the second day users have moved on by one third where `moves` says so.
fn third(user: usize, day: usize) -> usize {
    (user + usize::from(day == 2 && user.is_multiple_of(5))) % 3
}

async fn import(client: &Client<'_>, day: usize) {
    let mut rows = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n".to_owned();
    for user in 0..USERS {
        let third = third(user, day);
        writeln!(rows, "2021010{day},shop,1,third,u{user},{third},t{third}").unwrap();
    }
    assert_eq!(client.import_csv("kind=labels", &rows).await["state"], "done");
}

fn users(holds: impl Fn(usize) -> bool) -> BTreeSet<String> {
    (0..USERS).filter(|user| holds(*user)).map(|user| format!("u{user}")).collect()
}

/// A segment and its first cohort.
async fn segment(client: &Client<'_>) -> (String, String) {
    let body = json!({"name": "t0", "rule": {"where": {"label": "third", "in": ["t0"]}}});
    let (_, segment) = client.post("/v1/apps/shop/segments", &body).await;
    let id = segment["id"].as_str().unwrap().to_owned();
    (id.clone(), run(client, &id).await)
}

async fn run(client: &Client<'_>, segment: &str) -> String {
    let (_, job) = client.post(&format!("/v1/apps/shop/segments/{segment}/run"), &json!({})).await;
    let job = client.wait(job["id"].as_str().unwrap()).await;
    job["result"]["cohort_id"].as_str().unwrap().to_owned()
}

/// The manifest.
async fn deliver(client: &Client<'_>, body: &Value) -> Value {
    let (status, job) = client.post("/v1/apps/shop/deliveries", body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    let job = client.wait(job["id"].as_str().unwrap()).await;
    assert_eq!(job["state"], "done", "{job}");
    job["result"].clone()
}

fn ids(csv: &str) -> BTreeSet<String> {
    assert!(csv.starts_with("user_id,third\n"), "{csv}");
    let lines: Vec<&str> = csv.lines().skip(1).collect();
    let ids: BTreeSet<String> = lines.iter().map(|line| line.split(',').next().unwrap().to_owned()).collect();
    assert_eq!(ids.len(), lines.len(), "nobody twice");
    ids
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn files_hold_the_users_and_a_manifest_says_so() {
    let dir = tempfile::tempdir().unwrap();
    let exports = dir.path().join("exports");
    let config = format!(
        "[deliveries.destinations]\nfiles = {{ kind = 'folder', path = '{0}' }}\n\
         others = {{ kind = 'folder', path = '{0}', apps = ['other'] }}\n",
        exports.display()
    );
    let server = Server::start_with(&dir.path().join("data"), &config).await;
    let client = server.client();
    import(&client, 1).await;
    let (segment, first) = segment(&client).await;
    let body = json!({"of": segment, "destination": "files", "mode": "changes", "format": "csv", "labels": ["third"]});
    let full = deliver(&client, &body).await;
    assert_eq!(
        (&full["mode"], &full["cohort_id"], &full["ds"]),
        (&json!("full"), &json!(first), &json!(20210101))
    );
    let read = |part: &Value| {
        let text = std::fs::read(exports.join(part["file"].as_str().unwrap())).unwrap();
        assert_eq!(
            (&part["sha256"], &part["bytes"]),
            (&json!(hex(&Sha256::digest(&text))), &json!(text.len()))
        );
        let ids = ids(&String::from_utf8(text).unwrap());
        assert_eq!(part["users"], ids.len());
        ids
    };
    assert_eq!(read(&full["parts"][0]), users(|user| third(user, 1) == 0));
    let file = full["parts"][0]["file"].as_str().unwrap();
    assert_eq!(file, format!("shop/{segment}/20210101-{first}/users.csv"));
    let beside = std::fs::read(exports.join(Path::new(file).with_file_name("manifest.json"))).unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&beside).unwrap(), full);

    // Again: the same files, and nothing else.
    let count = || walk(&exports);
    let before = count();
    assert_eq!(deliver(&client, &json!({"of": first, "destination": "files"})).await["hash"], full["hash"]);
    let mut again = body.clone();
    again["mode"] = json!("full");
    assert_eq!(deliver(&client, &again).await, full);
    assert_eq!(count(), before + 2, "the cohort by itself is another delivery: its users and its manifest");

    import(&client, 2).await;
    let second = run(&client, &segment).await;
    let changes = deliver(&client, &body).await;
    assert_eq!(
        (&changes["mode"], &changes["since"], &changes["cohort_id"]),
        (&json!("changes"), &json!(first), &json!(second))
    );
    let what: Vec<&Value> = changes["parts"].as_array().unwrap().iter().map(|part| &part["what"]).collect();
    assert_eq!(what, ["add", "remove"]);
    assert_eq!(read(&changes["parts"][0]), users(|user| third(user, 2) == 0 && third(user, 1) != 0));
    assert_eq!(read(&changes["parts"][1]), users(|user| third(user, 1) == 0 && third(user, 2) != 0));

    let (_, all) = client.get("/v1/apps/shop/deliveries").await;
    assert_eq!(
        (all["items"].as_array().unwrap().len(), &all["items"][0]["manifest"]),
        (4, &changes),
        "{all}"
    );
    let one = format!("/v1/apps/shop/deliveries/{}", all["items"][0]["id"].as_str().unwrap());
    assert_eq!(client.get(&one).await.1["of"], segment);
    assert_eq!(client.get("/v1/apps/other/destinations").await.0, StatusCode::OK);
    refusals(&server, &client, &segment).await;
}

fn walk(folder: &Path) -> usize {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.map(|path| if path.is_dir() { walk(&path) } else { 1 }).sum()
}

async fn refusals(server: &Server, client: &Client<'_>, segment: &str) {
    let path = "/v1/apps/shop/deliveries";
    let body = |change: Value| {
        let mut body = json!({"of": segment, "destination": "files"});
        body.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        body
    };
    for (change, status, code) in [
        (json!({"destination": "others"}), 422, "invalid_body"),
        (json!({"destination": "nowhere"}), 422, "invalid_body"),
        (json!({"format": "xml"}), 422, "invalid_body"),
        (json!({"since": "coh_x"}), 422, "invalid_body"),
        (json!({"of": "seg_none"}), 404, "cohort_not_found"),
        (json!({"mode": "changes", "since": "coh_x"}), 404, "cohort_not_found"),
        (json!({"labels": ["thrid"]}), 404, "label_not_found"),
    ] {
        let (seen, problem) = client.post(path, &body(change.clone())).await;
        assert_eq!((seen.as_u16(), &problem["code"]), (status, &json!(code)), "{change}: {problem}");
    }
    for (role, allowed) in [("read", 403), ("segment", 403), ("export", 202)] {
        let key = json!({"name": role, "apps": ["shop"], "roles": [role]});
        let (_, key) = client.post("/v1/keys", &key).await;
        let own = server.with_key(key["secret"].as_str().or(key["key"].as_str()).unwrap());
        assert_eq!(own.post(path, &body(json!({}))).await.0.as_u16(), allowed, "{role}");
        assert_eq!(own.post("/v1/apps/other/deliveries", &body(json!({}))).await.0, StatusCode::NOT_FOUND);
    }
    // More than entered, or left.
    let settings = json!({"privacy_floor": 400});
    let put = client.request(Method::PUT, "/v1/apps/shop/settings").json(&settings).send().await.unwrap();
    assert_eq!(put.status(), StatusCode::OK);
    let (_, cohorts) = client.get(&format!("/v1/apps/shop/cohorts?segment={segment}")).await;
    let first = &cohorts["items"][1]["id"];
    let (_, job) = client.post(path, &body(json!({"mode": "changes", "since": first}))).await;
    let job = client.wait(job["id"].as_str().unwrap()).await;
    assert_eq!((&job["state"], &job["error"]["code"]), (&json!("failed"), &json!("below_floor")), "{job}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bucket_gets_the_same_files() {
    let dir = tempfile::tempdir().unwrap();
    let s3 = S3::start(Path::new(env!("CARGO_TARGET_TMPDIR")));
    let config = format!(
        "[deliveries.destinations]\ncrm = {{ kind = 's3', url = 's3://{BUCKET}/out', endpoint = '{}' }}\n",
        s3.endpoint()
    );
    let server = Server::start_with(&dir.path().join("data"), &config).await;
    let client = server.client();
    import(&client, 1).await;
    let (segment, _) = segment(&client).await;
    let body = json!({"of": segment, "destination": "crm", "format": "csv", "labels": ["third"]});
    let manifest = deliver(&client, &body).await;
    let file = manifest["parts"][0]["file"].as_str().unwrap();
    assert!(file.starts_with("out/shop/"), "{file}");
    let get = async |key: &str| {
        let answer = server.http.get(format!("{}/{BUCKET}/{key}", s3.endpoint()));
        let signed = "AWS4-HMAC-SHA256 Credential=test/20260101/us-east-1/s3/aws4_request";
        answer.header("authorization", signed).send().await.unwrap().text().await.unwrap()
    };
    let text = get(file).await;
    assert_eq!(manifest["parts"][0]["sha256"], hex(&Sha256::digest(&text)));
    assert_eq!(ids(&text), users(|user| third(user, 1) == 0));
    let beside = get(&file.replace("users.csv", "manifest.json")).await;
    assert_eq!(serde_json::from_str::<Value>(&beside).unwrap(), manifest);
}

/// Whose batches these are, each once by its key; what is signed is what came.
fn taken(requests: &[Request], mode: &str) -> BTreeSet<String> {
    let mut users = BTreeSet::new();
    let mut keys = BTreeSet::new();
    for request in requests.iter().filter(|request| request.header("muster-mode") == mode) {
        let signature = request.header("muster-signature");
        let (time, signed) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
        let key = request.header("idempotency-key");
        let mut mac = Hmac::<Sha256>::new_from_slice(b"a secret of the tests").unwrap();
        mac.update(format!("{time}.{key}.").as_bytes());
        mac.update(&request.body);
        assert_eq!(signed, hex(&mac.finalize().into_bytes()));
        if !request.taken || !keys.insert(key.to_owned()) {
            continue;
        }
        let lines: Vec<Value> = request
            .body
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| serde_json::from_slice(line).unwrap())
            .collect();
        assert!(lines.len() <= 100, "{}", lines.len());
        for line in lines {
            assert!(users.insert(line["user_id"].as_str().unwrap().to_owned()), "{line} twice");
        }
    }
    users
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_gets_signed_batches_whoever_dies() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    // Every fifth request is turned away for now.
    let receiver = Receiver::start(5, Duration::from_millis(20));
    let config = format!(
        "[deliveries.destinations]\n\
         push = {{ kind = 'webhook', url = '{0}', secret_env = 'MUSTER_TEST_SECRET', batch = 100 }}\n\
         gone = {{ kind = 'webhook', url = '{0}/gone', secret_env = 'MUSTER_TEST_SECRET' }}\n\
         mute = {{ kind = 'webhook', url = '{0}', secret_env = 'MUSTER_TEST_NO_SECRET' }}\n",
        receiver.url
    );
    let mut server = Server::start_with(&data, &config).await;
    import(&server.client(), 1).await;
    let (segment, first) = segment(&server.client()).await;
    let body = json!({"of": segment, "destination": "push", "mode": "changes", "labels": ["third"]});
    let (status, job) = server.client().post("/v1/apps/shop/deliveries", &body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    for _ in 0..2 {
        let seen = receiver.requests().len();
        // On a slow machine all may have been sent meanwhile.
        for _ in 0..1_000 {
            if receiver.requests().len() >= seen + 2 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        server.kill();
        server = Server::start_with(&data, &config).await;
    }
    let client = server.client();
    let job = client.wait(job["id"].as_str().unwrap()).await;
    assert_eq!(job["state"], "done", "{job}");
    let expected = users(|user| third(user, 1) == 0);
    let part = &job["result"]["parts"][0];
    let batches = expected.len().div_ceil(100);
    assert_eq!(
        (&part["what"], &part["users"], &part["batches"]),
        (&json!("full"), &json!(expected.len()), &json!(batches))
    );
    assert_eq!(taken(&receiver.requests(), "full"), expected);
    let request = receiver.requests().pop().unwrap();
    assert_eq!((request.header("muster-cohort"), request.header("muster-ds")), (&*first, "20210101"));

    import(&client, 2).await;
    run(&client, &segment).await;
    deliver(&client, &body).await;
    let requests = receiver.requests();
    assert_eq!(taken(&requests, "add"), users(|user| third(user, 2) == 0 && third(user, 1) != 0));
    assert_eq!(taken(&requests, "remove"), users(|user| third(user, 1) == 0 && third(user, 2) != 0));

    // Broken off in the midst, nobody knows what the receiver has: the next one says everything.
    receiver.refuse(true);
    let (_, job) = client.post("/v1/apps/shop/deliveries", &body).await;
    assert_eq!(client.wait(job["id"].as_str().unwrap()).await["state"], "failed");
    receiver.refuse(false);
    assert_eq!(deliver(&client, &body).await["mode"], "full");
    assert_eq!(deliver(&client, &body).await["mode"], "changes");

    // Refused for good: no second try.
    let (_, job) =
        client.post("/v1/apps/shop/deliveries", &json!({"of": segment, "destination": "gone"})).await;
    let job = client.wait(job["id"].as_str().unwrap()).await;
    assert_eq!((&job["error"]["code"], &job["attempt"]), (&json!("webhook_refused"), &json!(1)), "{job}");
    assert!(!job.to_string().contains("127.0.0.1"), "an address is told: {job}");
    for (change, status, code) in [("mute", 409, "secret_missing"), ("nowhere", 422, "invalid_body")] {
        let (seen, problem) =
            client.post("/v1/apps/shop/deliveries", &json!({"of": segment, "destination": change})).await;
        assert_eq!((seen.as_u16(), &problem["code"]), (status, &json!(code)), "{problem}");
    }
}
