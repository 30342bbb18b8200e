//! Deliveries that are kept to be fetched, and those of experiments, with groups.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use arrow::array::{Array, AsArray};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::receiver::Receiver;
use super::support::{Client, Server};
use super::{deliver, hex, ids, import, segment, third, users, walk};

const PATH: &str = "/v1/apps/shop/deliveries";

/// Id and manifest.
async fn download(client: &Client<'_>, body: &Value) -> (String, Value) {
    let (status, job) = client.post(PATH, body).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    let id = job["delivery_id"].as_str().unwrap().to_owned();
    let job = client.wait(job["id"].as_str().unwrap()).await;
    assert_eq!(job["state"], "done", "{job}");
    (id, job["result"].clone())
}

async fn fetch(client: &Client<'_>, id: &str, part: &Value) -> Vec<u8> {
    let path = format!("{PATH}/{id}/files/{}", part["file"].as_str().unwrap());
    let answer = client.request(Method::GET, &path).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    let tag = answer.headers()["etag"].to_str().unwrap().to_owned();
    let bytes = answer.bytes().await.unwrap().to_vec();
    assert_eq!(part["bytes"], bytes.len());
    assert_eq!(part["sha256"], hex(&Sha256::digest(&bytes)));
    assert_eq!(tag, format!("\"{}\"", part["sha256"].as_str().unwrap()));
    bytes
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_is_fetched_until_it_goes() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::start(&data).await;
    let client = server.client();
    import(&client, 1).await;
    let (segment, _) = segment(&client).await;
    let body = json!({"of": segment, "format": "csv", "labels": ["third"]});
    let (id, manifest) = download(&client, &body).await;
    let part = &manifest["parts"][0];
    let text = String::from_utf8(fetch(&client, &id, part).await).unwrap();
    assert_eq!(ids(&text), users(|user| third(user, 1) == 0));
    let (_, destinations) = client.get("/v1/apps/shop/destinations").await;
    assert_eq!(destinations, json!([{"name": "download", "kind": "download"}]));
    commands(&server, &segment, &id, (dir.path(), &text));

    let file = format!("{PATH}/{id}/files/users.csv");
    for (path, status, code) in [
        (format!("{PATH}/{id}/files/others.csv"), 404, "not_found"),
        (format!("{PATH}/{id}/files/..%2F..%2Fx"), 404, "not_found"),
        (format!("{PATH}/dlv_none/files/users.csv"), 404, "not_found"),
        (file.replace("/shop/", "/other/"), 404, "not_found"),
    ] {
        let (seen, problem) = client.get(&path).await;
        assert_eq!((seen.as_u16(), &problem["code"]), (status, &json!(code)), "{path}: {problem}");
    }
    for (role, allowed) in [("segment", 403), ("export", 200)] {
        let key = json!({"name": role, "apps": ["shop"], "roles": [role]});
        let (_, key) = client.post("/v1/keys", &key).await;
        let own = server.with_key(key["secret"].as_str().or(key["key"].as_str()).unwrap());
        assert_eq!(own.get(&file).await.0.as_u16(), allowed, "{role}");
    }

    // Eight days later they go when they are looked for, which is at every start.
    server.kill();
    let db = muster_real_servers::database(&data).await;
    let days = 8 * 24 * 3_600_000_i64;
    let age = "UPDATE delivery SET created_at = created_at - ?, finished_at = finished_at - ?";
    muster_sql::on!(&db, pool => sqlx::query(age).bind(days).bind(days).execute(pool).await.map(drop).unwrap());
    // What somebody who was killed has left beside them.
    std::fs::write(data.join("downloads/shop").join(&id).join("users.csv#1"), "u1").unwrap();
    let server = Server::start(&data).await;
    let client = server.client();
    let mut all = Value::Null;
    for _ in 0..300 {
        all = client.get(PATH).await.1;
        if all["items"].as_array().unwrap().iter().all(|delivery| delivery["removed_at"].is_string()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let seen = client.get(&file).await;
    assert_eq!((seen.0, &seen.1["code"]), (StatusCode::NOT_FOUND, &json!("download_removed")), "{all}");
    let (_, told) = client.get(&format!("{PATH}/{id}")).await;
    assert_eq!(told["manifest"], manifest, "what it was is still known");
    assert_eq!(walk(&data.join("downloads")), 0, "nothing of it is left");
}

/// `muster delivery` asks for one and fetches it, and fetches one that is there.
fn commands(server: &Server, segment: &str, id: &str, (folder, expected): (&Path, &str)) {
    let muster = |args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_muster"));
        let done =
            command.arg("delivery").args(args).args(["--app", "shop", "--server", &server.url]).output();
        let done = done.unwrap();
        assert!(done.status.success(), "{args:?}: {}", String::from_utf8_lossy(&done.stderr));
        String::from_utf8(done.stdout).unwrap()
    };
    let (sent, fetched) = (folder.join("sent.csv"), folder.join("users.csv"));
    let output = sent.display().to_string();
    muster(&["send", segment, "--format", "csv", "--labels", "third", "--output", &output]);
    assert_eq!(std::fs::read_to_string(sent).unwrap(), expected);
    let told = muster(&["fetch", id, "--output", &folder.display().to_string()]);
    assert_eq!(std::fs::read_to_string(fetched).unwrap(), expected, "{told}");
}

const GROUPS: [&str; 2] = ["control", "a \"b\", or not"];

/// An experiment that runs, and the users of its groups.
async fn experiment(client: &Client<'_>) -> (String, BTreeMap<String, String>) {
    let body = json!({
        "name": "halves", "population": {"where": {"label": "third", "in": ["t0", "t1"]}},
        "groups": GROUPS.map(|name| json!({"name": name, "share": 0.5})),
    });
    let (_, experiment) = client.post("/v1/apps/shop/experiments", &body).await;
    let id = experiment["id"].as_str().unwrap().to_owned();
    let (status, problem) = client.post(PATH, &json!({"of": id})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::CONFLICT, &json!("experiment_state")), "{problem}");
    let (_, job) = client.post(&format!("/v1/apps/shop/experiments/{id}/start"), &json!({})).await;
    assert_eq!(client.wait(job["id"].as_str().unwrap()).await["state"], "done");
    let (_, experiment) = client.get(&format!("/v1/apps/shop/experiments/{id}")).await;
    let mut groups = BTreeMap::new();
    for group in experiment["members"].as_array().unwrap() {
        let members = client.members("shop", &json!({"cohort_id": group["cohort_id"]})).await;
        let name = group["name"].as_str().unwrap();
        groups.extend(members.into_iter().map(|user| (user, name.to_owned())));
    }
    assert_eq!(BTreeSet::from_iter(groups.keys().cloned()), users(|user| third(user, 1) < 2));
    assert_eq!(BTreeSet::from_iter(groups.values().map(String::as_str)), BTreeSet::from(GROUPS));
    (id, groups)
}

fn lines(text: &[u8]) -> BTreeMap<String, String> {
    let rows: Vec<Value> = text
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| serde_json::from_slice(line).unwrap())
        .collect();
    let pair = |row: &Value| ["user_id", "group"].map(|key| row[key].as_str().unwrap().to_owned());
    let groups: BTreeMap<_, _> = rows.iter().map(pair).map(|[user, group]| (user, group)).collect();
    assert_eq!(groups.len(), rows.len(), "nobody twice");
    groups
}

fn table(bytes: Vec<u8>) -> BTreeMap<String, String> {
    let reader =
        ParquetRecordBatchReaderBuilder::try_new(bytes::Bytes::from(bytes)).unwrap().build().unwrap();
    let mut groups = BTreeMap::new();
    for batch in reader {
        let batch = batch.unwrap();
        let column = |name: &str| batch.column_by_name(name).unwrap().as_string::<i32>().clone();
        let (users, names, thirds) =
            (column("user_id"), column("group"), batch.column_by_name("third").unwrap().len());
        assert_eq!(thirds, users.len());
        groups.extend((0..users.len()).map(|row| (users.value(row).to_owned(), names.value(row).to_owned())));
    }
    groups
}

#[tokio::test(flavor = "multi_thread")]
async fn groups_stand_beside_the_ids() {
    let dir = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(5, Duration::ZERO);
    let config = format!(
        "[deliveries.destinations]\n\
         push = {{ kind = 'webhook', url = '{}', secret_env = 'MUSTER_TEST_SECRET', batch = 100 }}\n",
        receiver.url
    );
    let server = Server::start_with(&dir.path().join("data"), &config).await;
    let client = server.client();
    import(&client, 1).await;
    let (id, expected) = experiment(&client).await;

    let (delivery, manifest) = download(&client, &json!({"of": id})).await;
    assert_eq!(lines(&fetch(&client, &delivery, &manifest["parts"][0]).await), expected);
    assert_eq!((&manifest["users"], &manifest["version"]), (&json!(expected.len()), &json!(1)), "{manifest}");
    for (group, name) in manifest["groups"].as_array().unwrap().iter().zip(GROUPS) {
        let cohort = group["cohort_id"].as_str().unwrap();
        let (_, cohort) = client.get(&format!("/v1/apps/shop/cohorts/{cohort}")).await;
        let told = (&group["name"], &group["users"], &group["hash"]);
        assert_eq!(told, (&json!(name), &cohort["size"], &cohort["hash"]), "{manifest}");
    }

    let body = json!({"of": id, "format": "csv", "labels": ["third"]});
    let (delivery, manifest) = download(&client, &body).await;
    let text = fetch(&client, &delivery, &manifest["parts"][0]).await;
    let mut rows = csv::Reader::from_reader(&*text);
    assert_eq!(rows.headers().unwrap(), &csv::StringRecord::from(vec!["user_id", "group", "third"]));
    let rows: Vec<csv::StringRecord> = rows.records().map(Result::unwrap).collect();
    let groups: BTreeMap<String, String> =
        rows.iter().map(|row| (row[0].to_owned(), row[1].to_owned())).collect();
    assert_eq!((groups.len(), groups), (rows.len(), expected.clone()));
    for row in rows {
        assert_eq!(&row[2], format!("t{}", third(row[0][1..].parse().unwrap(), 1)));
    }

    let body = json!({"of": id, "format": "parquet", "labels": ["third"]});
    let (delivery, manifest) = download(&client, &body).await;
    assert_eq!(table(fetch(&client, &delivery, &manifest["parts"][0]).await), expected);

    deliver(&client, &json!({"of": id, "destination": "push"})).await;
    let requests = receiver.requests();
    let bodies: Vec<u8> =
        requests.iter().filter(|request| request.taken).flat_map(|request| request.body.clone()).collect();
    assert_eq!(lines(&bodies), expected);
    let (status, problem) = client.post(PATH, &json!({"of": id, "mode": "changes"})).await;
    assert_eq!(
        (status, &problem["errors"][0]["pointer"]),
        (StatusCode::UNPROCESSABLE_ENTITY, &json!("/mode")),
        "{problem}"
    );

    let settings = json!({"privacy_floor": users(|_| true).len()});
    let put = client.request(Method::PUT, "/v1/apps/shop/settings").json(&settings).send().await.unwrap();
    assert_eq!(put.status(), StatusCode::OK);
    let (status, problem) = client.post(PATH, &json!({"of": id})).await;
    assert_eq!((status, &problem["code"]), (StatusCode::FORBIDDEN, &json!("below_floor")), "{problem}");
}
