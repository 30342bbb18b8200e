//! The profile of the whole app and of its base crowds: every cell is what its rule says live, whatever
//! comes late, twice or with fewer users, and whoever dies half way.

mod support;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use muster_real_servers::free_port;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::process::Process;
use support::{Client, Server};

const CROWDS: [&str; 8] =
    ["all", "active_1d", "active_7d", "active_30d", "active_180d", "trade_1d", "trade_7d", "trade_30d"];
const LABELS: &str = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n";
const BEHAVIOR: &str = "ds,app_id,user_id,event,pv\n";

/// Waits until nothing is left to work out.
async fn settle(client: &Client<'_>, app: &str) -> Value {
    let (status, job) = client.post(&format!("/v1/apps/{app}/insights/refresh"), &json!({})).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{job}");
    let job = client.wait(job["id"].as_str().unwrap()).await;
    assert_eq!(job["state"], "done", "{job}");
    for state in ["queued", "running"] {
        let (_, page) = client.get(&format!("/v1/jobs?app={app}&kind=metrics&state={state}")).await;
        for job in page["items"].as_array().unwrap() {
            client.wait(job["id"].as_str().unwrap()).await;
        }
    }
    job
}

async fn insight(client: &Client<'_>, app: &str, rest: &str) -> Value {
    let (status, answer) = client.get(&format!("/v1/apps/{app}/insights/labels/{rest}")).await;
    assert_eq!(status, StatusCode::OK, "{rest}: {answer}");
    answer
}

/// Asserts that each cell of the label, seen from that day, is what an estimate says. Answers the cells.
async fn check_label(client: &Client<'_>, app: &str, label: i64, ds: u32) -> usize {
    let mut cells = 0;
    for crowd in CROWDS {
        let answer = insight(client, app, &format!("{label}?crowd={crowd}&ds={ds}")).await;
        assert_eq!(answer["ds"], ds, "{answer}");
        let ask = async |condition: Value| {
            let rule = json!({"universe": crowd, "as_of": ds, "where": condition});
            let (status, estimate) = client.estimate(app, &rule).await;
            assert_eq!(status, StatusCode::OK, "{rule}: {estimate}");
            estimate
        };
        let tags = answer["tags"].as_array().unwrap();
        let codes: Vec<&Value> = tags.iter().map(|tag| &tag["id"]).collect();
        let carrying = ask(json!({"label": label, "in": codes})).await;
        assert_eq!(answer["carrying"], carrying["count"], "{crowd} {label} {ds}");
        assert_eq!(answer["crowd_users"], carrying["universe_count"], "{crowd} {label} {ds}");
        assert_eq!(carrying["freshness"].as_array().unwrap().last().unwrap()["ds"], answer["label_ds"]);
        for tag in tags {
            let alone = ask(json!({"label": label, "in": [tag["id"]]})).await;
            assert_eq!(tag["users"], alone["count"], "{crowd}, {tag} of {label} on {ds}");
            let size = answer["crowd_users"].as_f64().unwrap();
            let expected = (size > 0.0).then(|| alone["count"].as_f64().unwrap() / size);
            // Text and back may cost the last bit.
            let near = |(a, b): (f64, f64)| (a - b).abs() < 1e-12;
            let share = tag["share"].as_f64();
            assert!(share.is_some() == expected.is_some() && share.zip(expected).is_none_or(near), "{tag}");
            cells += 1;
        }
    }
    cells
}

/// A shop whose users come on some of 40 days, with three labels of which one comes seldom.
fn shop(random: &mut StdRng, users: usize) -> (String, String) {
    let (mut labels, mut behavior) = (LABELS.to_owned(), BEHAVIOR.to_owned());
    for user in 0..users {
        for (id, name, days) in [(1, "colour", 20261108..=20261110), (2, "size", 20261101..=20261101)] {
            for ds in days {
                if random.random_bool(0.2) {
                    continue;
                }
                let tag = random.random_range(1..5);
                writeln!(labels, "{ds},shop,{id},{name},u{user},{tag},tag {tag}").unwrap();
            }
        }
        for _ in 0..random.random_range(0..4) {
            // Long ago, not so long ago, and lately.
            let ds = *[20260601, 20261009, 20261020, 20261105, 20261109, 20261110]
                .get(random.random_range(0..6))
                .unwrap();
            let event = ["visit", "order"][random.random_range(0..2)];
            writeln!(behavior, "{ds},shop,u{user},{event},1").unwrap();
        }
    }
    (labels, behavior)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_cell_is_its_rule_whatever_comes_when() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    let mut random = StdRng::seed_from_u64(5);
    let (labels, behavior) = shop(&mut random, 700);
    for (kind, file) in [("labels", &labels), ("behavior", &behavior)] {
        assert_eq!(client.import_csv(&format!("kind={kind}"), file).await["state"], "done");
    }
    settle(&client, "shop").await;
    let mut cells = 0;
    for ds in [20261110, 20261109, 20261105] {
        cells += check_label(&client, "shop", 2, ds).await;
        if ds > 20261107 {
            cells += check_label(&client, "shop", 1, ds).await;
        }
    }
    assert!(cells > 100, "{cells}");

    // Nothing new: nothing is done. A day of events: the windows that hold it, and the whole app stays.
    assert_eq!(settle(&client, "shop").await["result"]["labels"], 0);
    let crowds = ["all", "active_7d", "trade_7d"];
    let before =
        [stamp(&client, crowds[0]).await, stamp(&client, crowds[1]).await, stamp(&client, crowds[2]).await];
    tokio::time::sleep(Duration::from_millis(20)).await;
    client
        .import_csv(
            "kind=behavior",
            &format!("{BEHAVIOR}20261104,shop,u1,visit,1\n20261104,shop,u2,visit,1\n"),
        )
        .await;
    settle(&client, "shop").await;
    let mut same = Vec::new();
    for (crowd, before) in crowds.iter().zip(&before) {
        same.push(stamp(&client, crowd).await == *before);
    }
    assert_eq!(same, [true, false, true], "of {crowds:?}");
    check_label(&client, "shop", 1, 20261110).await;
    check_label(&client, "shop", 2, 20261104).await;
    late_twice_and_fewer(&client).await;
}

async fn stamp(client: &Client<'_>, crowd: &str) -> Value {
    insight(client, "shop", &format!("colour?crowd={crowd}&ds=20261110")).await["computed_at"].clone()
}

/// When each line of a day was worked out, by label and crowd.
async fn stamps(client: &Client<'_>, ds: u32) -> BTreeMap<(i64, &'static str), Value> {
    let mut stamps = BTreeMap::new();
    for label in [1, 2] {
        for crowd in CROWDS {
            let answer = insight(client, "shop", &format!("{label}?crowd={crowd}&ds={ds}")).await;
            stamps.insert((label, crowd), answer["computed_at"].clone());
        }
    }
    stamps
}

/// A label's day that comes late, and then again with fewer users: its cells change, and of the days after
/// it those that carried on from before; nothing else does.
async fn late_twice_and_fewer(client: &Client<'_>) {
    let completeness = insight(client, "shop", "size").await["completeness"].clone();
    assert_eq!((&completeness["labels"], &completeness["in"]), (&json!(2), &json!(1)), "{completeness}");
    assert_eq!(completeness["carried"], json!([{"label": {"id": 2, "name": "size"}, "ds": 20261101}]));
    for users in [300, 300, 120] {
        let before = [stamps(client, 20261108).await, stamps(client, 20261110).await];
        tokio::time::sleep(Duration::from_millis(20)).await;
        let mut late = LABELS.to_owned();
        for user in 0..users {
            writeln!(late, "20261109,shop,2,size,u{user},{},tag {}", user % 3, user % 3).unwrap();
        }
        assert_eq!(client.import_csv("kind=labels", &late).await["state"], "done");
        settle(client, "shop").await;
        let after = [stamps(client, 20261108).await, stamps(client, 20261110).await];
        assert_eq!(before[0], after[0], "a day before it stays as it is");
        for (of, stamp) in &after[1] {
            assert_eq!(before[1][of] != *stamp, of.0 == 2, "{of:?}");
        }
        check_label(client, "shop", 2, 20261109).await;
        check_label(client, "shop", 2, 20261110).await;
        let answer = insight(client, "shop", "size?ds=20261109").await;
        assert_eq!(answer["carrying"], users);
        assert_eq!(answer["completeness"]["carried"], json!([]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_can_be_kept_and_mistakes_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    let (labels, behavior) = shop(&mut StdRng::seed_from_u64(6), 300);
    client.import_csv("kind=labels", &labels).await;
    client.import_csv("kind=behavior", &behavior).await;
    settle(&client, "shop").await;

    let path = "/v1/apps/shop/insights/labels/colour?crowd=active_7d&sort=index";
    let first = client.request(Method::GET, path).send().await.unwrap();
    let tag = first.headers()["etag"].to_str().unwrap().to_owned();
    assert_eq!(first.headers()["cache-control"], "private, no-cache");
    let again = client.request(Method::GET, path).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!((again.status(), again.text().await.unwrap().len()), (StatusCode::NOT_MODIFIED, 0));
    let answer: Value = serde_json::from_str(&first.text().await.unwrap()).unwrap();
    let index: Vec<f64> =
        answer["tags"].as_array().unwrap().iter().map(|tag| tag["index"].as_f64().unwrap()).collect();
    assert!(index.is_sorted_by(|a, b| a >= b) && index.len() == 4, "{answer}");
    for tag in answer["tags"].as_array().unwrap() {
        let interval = &tag["index_interval"];
        let (low, high) = (interval["low"].as_f64().unwrap(), interval["high"].as_f64().unwrap());
        assert!(low <= tag["index"].as_f64().unwrap() && high >= tag["index"].as_f64().unwrap(), "{tag}");
    }
    client.import_csv("kind=labels", &format!("{LABELS}20261110,shop,1,colour,u1,1,tag 1\n")).await;
    settle(&client, "shop").await;
    let again = client.request(Method::GET, path).header("if-none-match", &tag).send().await.unwrap();
    assert_eq!(again.status(), StatusCode::OK, "published anew");

    let trend = insight(&client, "shop", "1/trend?crowd=active_30d&from=20261105&to=20261111&top=2").await;
    let days: Vec<&Value> = trend["days"].as_array().unwrap().iter().map(|day| &day["ds"]).collect();
    assert_eq!(days, [&json!(20261108), &json!(20261109), &json!(20261110)], "{trend}");
    assert_eq!(trend["missing_days"], json!([20261105, 20261106, 20261107, 20261111]));
    for day in trend["days"].as_array().unwrap() {
        let alone = insight(&client, "shop", &format!("1?crowd=active_30d&ds={}", day["ds"])).await;
        for tag in day["tags"].as_array().unwrap() {
            assert!(alone["tags"].as_array().unwrap().contains(tag), "{tag} of {}", day["ds"]);
        }
        assert!(day["tags"].as_array().unwrap().len() <= 2);
    }

    for (rest, status, code, nearest) in [
        ("color", 404, "label_not_found", json!("colour")),
        ("colour?crowd=activ_7d", 400, "unknown_crowd", json!("active_7d")),
        ("colour?ds=20261301", 400, "invalid_ds", Value::Null),
        ("colour?sort=name", 400, "invalid_sort", Value::Null),
        ("colour?top=0", 400, "invalid_top", Value::Null),
        ("colour?ds=20251110", 404, "not_computed", Value::Null),
        ("colour/trend?from=20261110&to=20261109", 400, "invalid_days", Value::Null),
        ("colour/trend?from=20201110&to=20261109", 400, "invalid_days", Value::Null),
    ] {
        let (found, problem) = client.get(&format!("/v1/apps/shop/insights/labels/{rest}")).await;
        assert_eq!((found.as_u16(), &problem["code"]), (status, &json!(code)), "{rest}: {problem}");
        assert_eq!(problem["errors"][0]["nearest"], nearest, "{rest}: {problem}");
    }
    assert_eq!(client.get("/v1/apps/none/insights/labels/colour").await.1["code"], "app_not_found");
}

/// Every user carries tag `version` of two labels, and comes every day.
fn version(version: usize, users: usize) -> (Vec<u8>, Vec<u8>) {
    let (mut labels, mut behavior) = (LABELS.to_owned(), BEHAVIOR.to_owned());
    for user in 0..users {
        for ds in 20261101..=20261108 {
            writeln!(labels, "{ds},a,1,left,user-{user},{version},v{version}").unwrap();
            writeln!(labels, "{ds},a,2,right,user-{user},{},many", user % 400).unwrap();
            if (user + ds) % 3 == 0 {
                writeln!(behavior, "{ds},a,user-{user},visit,{version}").unwrap();
            }
        }
    }
    (labels.into_bytes(), behavior.into_bytes())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_table_is_right_whoever_dies() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut random = StdRng::seed_from_u64(11);
    let mut server = Server::start(&data).await;
    let users = 2_000;
    for number in 1..=3 {
        let (labels, behavior) = version(number, users - number);
        for (kind, body) in [("labels", labels), ("behavior", behavior)] {
            let job = server.client().import(&format!("kind={kind}"), "text/csv", false, body).await;
            assert_eq!(server.client().wait(&job).await["state"], "done");
        }
        for _ in 0..3 {
            tokio::time::sleep(Duration::from_millis(random.random_range(0..400))).await;
            server.kill();
            server = Server::start(&data).await;
            whole(&server.client(), users).await;
        }
        let client = server.client();
        settle(&client, "a").await;
        for ds in [20261101, 20261108] {
            check_label(&client, "a", 1, ds).await;
        }
        let left = insight(&client, "a", "left").await;
        assert_eq!(left["tags"].as_array().unwrap().len(), 1, "{left}");
        assert_eq!(left["tags"][0]["id"], number);
        assert_eq!(left["carrying"], users - number);
    }
}

/// Two processes that work the same days out at once, of which one dies half way, again and again.
#[tokio::test(flavor = "multi_thread")]
async fn two_at_once_and_one_dies() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut random = StdRng::seed_from_u64(12);
    let server = Server::start(&data).await;
    let first = server.processes.last().unwrap().name.clone();
    let config = std::fs::read_to_string(data.with_extension(format!("{first}.toml"))).unwrap();
    let mut second = Process::start("second", &data, free_port(), &["--role", "metrics"], &config);
    let users = 1_500;
    let mut both = 0;
    for number in 1..=3 {
        let (labels, behavior) = version(number, users - number);
        for (kind, body) in [("labels", labels), ("behavior", behavior)] {
            let job = server.client().import(&format!("kind={kind}"), "text/csv", false, body).await;
            assert_eq!(server.client().wait(&job).await["state"], "done");
        }
        for _ in 0..4 {
            // While one runs, another one may wait: the other process takes it.
            server.client().post("/v1/apps/a/insights/refresh", &json!({})).await;
            tokio::time::sleep(Duration::from_millis(random.random_range(0..120))).await;
            let (_, running) = server.client().get("/v1/jobs?app=a&kind=metrics&state=running").await;
            both += usize::from(running["items"].as_array().unwrap().len() > 1);
            second.kill();
            whole(&server.client(), users).await;
            second.start_again();
        }
        let client = server.client();
        settle(&client, "a").await;
        for ds in [20261101, 20261108] {
            check_label(&client, "a", 1, ds).await;
        }
        let left = insight(&client, "a", "left").await;
        assert_eq!(left["tags"].as_array().unwrap().len(), 1, "{left}");
        assert_eq!((&left["tags"][0]["id"], &left["carrying"]), (&json!(number), &json!(users - number)));
    }
    println!("two jobs ran at once {both} of 12 times");
}

/// A label's day is there whole, of one version, or not at all.
async fn whole(client: &Client<'_>, users: usize) {
    for label in ["left", "right"] {
        for ds in 20261101..=20261108 {
            let path = format!("/v1/apps/a/insights/labels/{label}?ds={ds}");
            let (status, answer) = client.get(&path).await;
            if status == StatusCode::NOT_FOUND {
                assert_eq!(answer["code"], "not_computed", "{answer}");
                continue;
            }
            assert_eq!(status, StatusCode::OK, "{answer}");
            let tags = answer["tags"].as_array().unwrap();
            let sum: u64 = tags.iter().map(|tag| tag["users"].as_u64().unwrap()).sum();
            assert_eq!(json!(sum), answer["carrying"], "{answer}");
            assert!((users - 3..users).contains(&(sum as usize)), "{sum} of {label} on {ds}");
        }
    }
}

/// Crowds side by side are what each of them is alone; the tags first that chance explains least; and what is
/// too little to be shown is not.
#[tokio::test(flavor = "multi_thread")]
async fn crowds_are_compared_and_the_floor_holds() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    let (mut labels, mut behavior) = (LABELS.to_owned(), BEHAVIOR.to_owned());
    for user in 0..400 {
        // Tag 3 is of three users, tag 1 of those who order.
        let tag = if user < 3 {
            3
        } else if user % 4 == 0 {
            1
        } else {
            2
        };
        writeln!(labels, "20261110,shop,1,colour,u{user},{tag},tag {tag}").unwrap();
        let event = if user % 4 == 0 { "order" } else { "visit" };
        writeln!(behavior, "20261110,shop,u{user},{event},1").unwrap();
    }
    for (kind, file) in [("labels", &labels), ("behavior", &behavior)] {
        client.import_csv(&format!("kind={kind}"), file).await;
    }
    settle(&client, "shop").await;
    let compared = insight(&client, "shop", "colour/compare?crowds=trade_7d,active_7d&sort=surprise").await;
    let windows = json!([
        {"crowd": "trade_7d", "days": 7, "missing": 6},
        {"crowd": "active_7d", "days": 7, "missing": 6},
    ]);
    assert_eq!(compared["completeness"]["windows"], windows, "one day is published");
    assert_eq!(compared.get("privacy_floor"), None, "{compared}");
    for (place, crowd) in ["trade_7d", "active_7d"].iter().enumerate() {
        let alone = insight(&client, "shop", &format!("colour?crowd={crowd}")).await;
        assert_eq!(compared["crowds"][place]["users"], alone["crowd_users"]);
        for tag in compared["tags"].as_array().unwrap() {
            let tag = &tag["crowds"][place];
            let same = alone["tags"].as_array().unwrap().iter().find(|other| other["id"] == tag["id"]);
            assert_eq!(Some(tag), same);
        }
    }
    let of = |answer: &Value, n: usize| answer["tags"][n]["crowds"][0].clone();
    assert_eq!(of(&compared, 2)["id"], 3, "{compared}");
    assert!(of(&compared, 0)["surprise"].as_f64().unwrap().abs() > 10.0, "{compared}");
    let sorted = insight(&client, "shop", "colour?crowd=trade_7d&sort=surprise").await;
    assert_eq!(sorted["tags"][2]["id"], 3, "{sorted}");
    for crowds in ["", "all,all", "a,b,c,d,e,f,g"] {
        let path = format!("/v1/apps/shop/insights/labels/colour/compare?crowds={crowds}");
        let (status, problem) = client.get(&path).await;
        assert_eq!(
            (status, &problem["code"]),
            (StatusCode::BAD_REQUEST, &json!("invalid_crowds")),
            "{problem}"
        );
    }

    let settings = client.request(Method::PUT, "/v1/apps/shop/settings").json(&json!({"privacy_floor": 5}));
    assert_eq!(settings.send().await.unwrap().status(), StatusCode::OK);
    let floored = insight(&client, "shop", "colour?crowd=all").await;
    for tag in floored["tags"].as_array().unwrap() {
        let hidden = tag["id"] == 3;
        for key in ["users", "share", "index", "app_users"] {
            assert_eq!(tag[key].is_null(), hidden, "{key} of {tag}");
        }
    }
    for path in [
        "labels/colour",
        "labels/colour/trend",
        "labels/colour/compare?crowds=all",
        "crowds",
        "crowds/active_1d",
        "events",
        "events/visit",
    ] {
        let (_, answer) = client.get(&format!("/v1/apps/shop/insights/{path}")).await;
        assert_eq!(answer["privacy_floor"], 5, "{path}: {answer}");
    }
    let (_, trend) = client.get("/v1/apps/shop/insights/crowds/active_1d").await;
    assert_eq!((&trend["completeness"]["in"], &trend["completeness"]["windows"]), (&json!(1), &json!([])));
    let (_, estimate) = client.estimate("shop", &json!({"where": {"label": "colour", "in": [3]}})).await;
    assert_eq!(estimate["count"], Value::Null);
}
