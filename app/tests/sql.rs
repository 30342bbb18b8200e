//! The profile in SQL: every example of docs/sql.md has an answer, every table and view is on that page,
//! and the view of distributions says what the API says.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::path::Path;

use muster_sql::{Db, on};
use reqwest::StatusCode;
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, FromRow};
use support::{Client, Server};

const LABELS: &str = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n";
const USERS: usize = 200;

fn page() -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/sql.md")).unwrap()
}

/// What is between ```sql and ```.
fn examples(page: &str) -> Vec<String> {
    let blocks = page.split("```sql\n").skip(1);
    blocks.map(|block| block.split("```").next().unwrap().trim().to_owned()).collect()
}

/// Two labels, of which one is carried on from the day before; some users come, some buy. Tag 0 of the
/// second is a tag like any other, and one user in the app carries a tag that no crowd has.
async fn shop(client: &Client<'_>) {
    let (mut labels, mut behavior) = (LABELS.to_owned(), "ds,app_id,user_id,event,pv,page\n".to_owned());
    for n in 0..USERS {
        let gender = [(1, "male"), (2, "female")][usize::from(n % 5 < 3)];
        writeln!(labels, "20261031,shop,2,city,u{n},{0},city {0}", n % 3).unwrap();
        for ds in [20261031, 20261101] {
            writeln!(labels, "{ds},shop,1,gender,u{n},{},{}", gender.0, gender.1).unwrap();
            if n % 2 == 0 {
                writeln!(behavior, "{ds},shop,u{n},visit,{},/p{}", 1 + n % 3, n % 4).unwrap();
            }
            if n % 4 == 0 {
                writeln!(behavior, "{ds},shop,u{n},order,1,/pay").unwrap();
            }
        }
    }
    writeln!(labels, "20261101,shop,1,gender,lonely,3,\"quoted \"\"name\"\"; 名\"").unwrap();
    for (kind, file) in [("labels", labels), ("behavior", behavior)] {
        let job = client.import_csv(&format!("kind={kind}"), &file).await;
        assert_eq!(job["state"], "done", "{job}");
    }
    refresh(client).await;
}

async fn refresh(client: &Client<'_>) {
    let (status, job) = client.post("/v1/apps/shop/insights/refresh", &json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    assert_eq!(client.wait(job["id"].as_str().unwrap()).await["state"], "done");
}

/// A row of the view as the API would say it.
#[derive(Debug, FromRow)]
struct Row {
    label: String,
    label_ds: u32,
    tag_id: i64,
    tag: String,
    users: i64,
    crowd_users: i64,
    carrying: i64,
    crowd_share: Option<f64>,
    share_of_carrying: Option<f64>,
    tag_app_users: i64,
    app_users: i64,
    tag_index: Option<f64>,
}

async fn rows(db: &Db, crowd: &str, label: i64, ds: u32) -> Vec<Row> {
    let query = "SELECT label, label_ds, tag_id, tag, users, crowd_users, carrying, crowd_share,
                        share_of_carrying, tag_app_users, app_users, tag_index
                 FROM label_distribution
                 WHERE app_id = 'shop' AND crowd = ? AND label_id = ? AND ds = ?
                 ORDER BY users DESC, tag_app_users DESC, tag_id";
    on!(db, pool => sqlx::query_as(query).bind(crowd).bind(label).bind(ds).fetch_all(pool).await.unwrap())
}

fn assert_same(row: &Row, tag: &Value, answer: &Value) {
    let is = |number: i64, of: &Value| assert_eq!(json!(number), *of, "{row:?} {tag}");
    is(row.tag_id, &tag["id"]);
    is(row.users, &tag["users"]);
    is(row.tag_app_users, &tag["app_users"]);
    is(row.label_ds.into(), &answer["label_ds"]);
    is(row.crowd_users, &answer["crowd_users"]);
    is(row.carrying, &answer["carrying"]);
    is(row.app_users, &answer["app_users"]);
    assert_eq!((&json!(row.label), &json!(row.tag)), (&answer["label"]["name"], &tag["name"]));
    let shares = [
        (row.crowd_share, &tag["share"]),
        (row.share_of_carrying, &tag["share_of_carrying"]),
        (row.tag_index, &tag["index"]),
    ];
    for (share, of) in shares {
        // Text and back may cost the last bit.
        let near = share.zip(of.as_f64()).is_none_or(|(a, b)| (a - b).abs() < 1e-12);
        assert!(share.is_some() == of.as_f64().is_some() && near, "{row:?} {tag}");
    }
}

/// How many rows of the view were compared with the API.
async fn compare(client: &Client<'_>, db: &Db) -> usize {
    let mut compared = 0;
    for crowd in ["all", "active_1d", "active_30d", "trade_7d"] {
        for (label, ds) in [(1, 20261101), (1, 20261031), (2, 20261101)] {
            let path = format!("/v1/apps/shop/insights/labels/{label}?crowd={crowd}&ds={ds}");
            let (status, answer) = client.get(&path).await;
            assert_eq!(status, StatusCode::OK, "{answer}");
            let (rows, tags) = (rows(db, crowd, label, ds).await, answer["tags"].as_array().unwrap());
            assert_eq!(rows.len(), tags.len(), "{crowd} {label} {ds}: {rows:?} {answer}");
            rows.iter().zip(tags).for_each(|(row, tag)| assert_same(row, tag, &answer));
            compared += rows.len();
        }
    }
    compared
}

/// Labels of a day: those there are, in, carried on, waiting.
async fn completeness(db: &Db, ds: u32) -> (i64, i64, i64, i64) {
    let query = "SELECT labels, labels_in, labels_carried, labels_waiting FROM day_completeness
                 WHERE app_id = 'shop' AND ds = ?";
    on!(db, pool => sqlx::query_as(query).bind(ds).fetch_one(pool).await.unwrap())
}

/// Every table and view of the profile.
async fn there(db: &Db) -> BTreeSet<String> {
    let query = match db.pool() {
        muster_sql::Pool::Lite(_) => "SELECT name FROM sqlite_master WHERE type IN ('table', 'view')",
        muster_sql::Pool::My(_) => {
            "SELECT CAST(TABLE_NAME AS CHAR) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()"
        }
    };
    let names: Vec<String> = on!(db, pool => sqlx::query_scalar(query).fetch_all(pool).await.unwrap());
    let views = ["label_distribution", "crowd_size", "event_total", "dimension_value", "day_completeness"];
    names.into_iter().filter(|name| name.starts_with("metric_") || views.contains(&name.as_str())).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_profile_can_be_read_with_any_client() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let server = Server::start(&data).await;
    let client = server.client();
    shop(&client).await;
    let db = muster_real_servers::database(&data).await;

    let page = page();
    let examples = examples(&page);
    assert!(examples.len() > 10, "{}", examples.len());
    for example in examples {
        let rows = on!(&db, pool => {
            sqlx::query(AssertSqlSafe(example.clone())).fetch_all(pool).await.map(|rows| rows.len())
        });
        assert!(rows.as_ref().is_ok_and(|rows| *rows > 0), "{example}\n{rows:?}");
    }
    let there = there(&db).await;
    assert_eq!(there.len(), 16, "{there:?}");
    for name in there {
        assert!(page.contains(&format!("### {name}\n")) || page.contains(&format!("| `{name}` |")), "{name}");
    }
    assert!(compare(&client, &db).await > 20);
    assert_eq!(completeness(&db, 20261101).await, (2, 1, 1, 0));
    assert_eq!(completeness(&db, 20261031).await, (2, 2, 0, 0));

    // Another name for a tag, and a label that comes later: nothing of the days before changes but names.
    let file = format!("{LABELS}20261031,shop,2,town,u1,1,north\n20261101,shop,9,late,u1,1,yes\n");
    let job = client.import_csv("kind=labels", &file).await;
    assert_eq!(job["state"], "done", "{job}");
    refresh(&client).await;
    let named = rows(&db, "all", 2, 20261031).await;
    assert_eq!((named[0].label.as_str(), named[0].tag.as_str()), ("town", "north"), "{named:?}");
    assert_eq!(completeness(&db, 20261031).await, (3, 2, 0, 1));
    compare(&client, &db).await;
}
