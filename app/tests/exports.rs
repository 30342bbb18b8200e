//! Exports with labels: each format says of each user what the rows say.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use arrow::array::{Array, AsArray};
use bytes::Bytes;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::Server;

const USERS: usize = 700;

/// By user: tags of the label "interests", and of "level".
type Carried = BTreeMap<String, [BTreeSet<String>; 2]>;

fn carried() -> Carried {
    let of = |user: usize| {
        let interests = (0..5).filter(|tag| (user >> tag) & 1 == 1).map(|tag| format!("in, \"{tag}\""));
        let level = (!user.is_multiple_of(3)).then(|| format!("level {}", user % 3));
        (format!("u{user}"), [interests.collect(), level.into_iter().collect()])
    };
    (0..USERS).map(of).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn every_format_has_the_same_users_and_tags() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    let carried = carried();
    let mut rows = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n".to_owned();
    for (user, labels) in &carried {
        writeln!(rows, "20210101,a,9,everybody,{user},1,x").unwrap();
        for (label, (name, tags)) in ["interests", "level"].into_iter().zip(labels).enumerate() {
            for tag in tags {
                let id = tag.bytes().find(u8::is_ascii_digit).unwrap() - b'0';
                let quoted = tag.replace('"', "\"\"");
                writeln!(rows, "20210101,a,{},{name},{user},{id},\"{quoted}\"", label + 1).unwrap();
            }
        }
    }
    assert_eq!(client.import_csv("kind=labels", &rows).await["state"], "done");
    let made = client.cohort("a", &json!({"where": {"not": {"label": "level", "in": ["level 2"]}}})).await;
    let expected: Carried =
        carried.into_iter().filter(|(_, labels)| !labels[1].contains("level 2")).collect();
    assert_eq!(made["size"], expected.len());

    let path = format!("/v1/apps/a/cohorts/{}/users", made["cohort_id"].as_str().unwrap());
    let export = async |query: &str| {
        let answer = client.request(Method::GET, &format!("{path}?{query}")).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{query}");
        let days = answer.headers().get("muster-label-days").map(|days| days.to_str().unwrap().to_owned());
        (days, answer.bytes().await.unwrap())
    };
    let (days, text) = export("format=csv&labels=interests,2").await;
    assert_eq!(days.as_deref(), Some("1=20210101, 2=20210101"));
    assert_eq!(from_csv(&text), expected);
    let (_, text) = export("format=ndjson&labels=interests,level").await;
    assert_eq!(from_ndjson(&text), expected);
    let (_, table) = export("format=parquet&labels=interests,level").await;
    assert_eq!(from_parquet(table), expected);
    // Without labels it is ids alone; of a day before the label there is nothing to say.
    let (days, text) = export("format=csv").await;
    assert!(
        days.is_none()
            && text.starts_with(b"user_id\nu")
            && text.iter().filter(|byte| **byte == b',').count() == 0
    );
    let (days, text) = export("format=csv&labels=level&ds=20201231").await;
    assert_eq!(days.as_deref(), Some("2="));
    assert!(String::from_utf8_lossy(&text).lines().skip(1).all(|line| line.ends_with(',')));
    let (status, problem) = client.get(&format!("{path}?labels=lvel")).await;
    assert_eq!((status.as_u16(), &problem["errors"][0]["nearest"]), (404, &json!("level")));
    let (status, problem) = client.get(&format!("{path}?format=xml")).await;
    assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("unknown_format")));
}

fn from_csv(text: &[u8]) -> Carried {
    let mut reader = csv::Reader::from_reader(text);
    assert_eq!(reader.headers().unwrap(), vec!["user_id", "interests", "level"]);
    let tags = |field: &str| field.split('|').filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
    let rows = reader.records().map(|row| row.unwrap());
    rows.map(|row| (row[0].to_owned(), [tags(&row[1]), tags(&row[2])])).collect()
}

fn from_ndjson(text: &[u8]) -> Carried {
    let lines = text.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let row = |line: &[u8]| {
        let row: Value = serde_json::from_slice(line).unwrap();
        let tags = |label: &str| serde_json::from_value(row["labels"][label].clone()).unwrap();
        (row["user_id"].as_str().unwrap().to_owned(), [tags("interests"), tags("level")])
    };
    lines.map(row).collect()
}

fn from_parquet(table: Bytes) -> Carried {
    let mut found = Carried::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(table).unwrap().build().unwrap() {
        let batch = batch.unwrap();
        let users = batch.column_by_name("user_id").unwrap().as_string::<i32>();
        for row in 0..batch.num_rows() {
            let tags = ["interests", "level"].map(|label| {
                let tags = batch.column_by_name(label).unwrap().as_list::<i32>().value(row);
                let tags = tags.as_string::<i32>();
                (0..tags.len()).map(|place| tags.value(place).to_owned()).collect()
            });
            assert!(found.insert(users.value(row).to_owned(), tags).is_none(), "a user twice");
        }
    }
    found
}
