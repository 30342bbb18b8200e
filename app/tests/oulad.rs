//! Real data through the API: every row in, and random rules give exactly the counts, per condition too,
//! and the members of an independent evaluation of the files.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::Path;

use flate2::read::GzDecoder;
use muster_days::Ds;
use muster_evaluator::oracle::{EventRow, LabelRow, Rows};
use muster_rules::arbitrary::Arbitrary;
use muster_rules::{EventWords, LabelWords, Vocabulary};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use reqwest::StatusCode;
use serde_json::{Value, json};
use support::{Server, oulad};

const RULES_PER_APP: usize = 60;

type Table = Vec<BTreeMap<String, String>>;

fn table(path: &Path) -> Table {
    let mut text = String::new();
    GzDecoder::new(std::fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap();
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(|row| row.unwrap()).collect()
}

/// What the files say of one app, as plain rows.
fn rows_of(app: &str, labels: &Table, behavior: &Table) -> Rows {
    let mut rows = Rows::default();
    let mut by_label: BTreeMap<(Ds, i64, String), Vec<LabelRow>> = BTreeMap::new();
    for row in labels.iter().filter(|row| row["app_id"] == app) {
        let key = (row["ds"].parse().unwrap(), row["label_id"].parse().unwrap(), row["label_name"].clone());
        by_label.entry(key).or_default().push(LabelRow {
            user: row["user_id"].clone(),
            tag: row["tag_id"].parse().unwrap(),
            tag_name: row["tag_name"].clone(),
            weight: row["tag_value"].parse().ok(),
        });
    }
    for ((ds, id, name), label) in by_label {
        rows.publish_label(ds, id, &name, label);
    }
    let mut by_event: BTreeMap<(Ds, String), Vec<EventRow>> = BTreeMap::new();
    for row in behavior.iter().filter(|row| row["app_id"] == app) {
        let dimensions = ["activity_type", "site"].into_iter().filter(|name| !row[*name].is_empty());
        by_event.entry((row["ds"].parse().unwrap(), row["event"].clone())).or_default().push(EventRow {
            user: row["user_id"].clone(),
            dimensions: dimensions.map(|name| (name.to_owned(), row[name].clone())).collect(),
            pv: row["pv"].parse().unwrap(),
            measures: BTreeMap::new(),
        });
    }
    for ((ds, event), rows_of_event) in by_event {
        rows.publish_event(ds, &event, rows_of_event);
    }
    rows
}

/// The names that random rules are made of.
fn words_of(rows: &Rows) -> Vocabulary {
    let labels = rows.labels.iter().map(|(id, label)| LabelWords {
        id: *id,
        name: label.name.clone(),
        tags: label.tags.iter().map(|(code, name)| (*code, name.clone())).collect(),
        published: label.days.keys().copied().collect(),
    });
    let events = rows.events.iter().map(|(name, days)| {
        let mut dimensions: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (dimension, value) in days.values().flatten().flat_map(|row| &row.dimensions) {
            dimensions.entry(dimension.clone()).or_default().insert(value.clone());
        }
        EventWords {
            name: name.clone(),
            dimensions,
            measures: Vec::new(),
            published: days.keys().copied().collect(),
        }
    });
    Vocabulary { labels: labels.collect(), events: events.collect(), ..Vocabulary::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn oulad_comes_in_whole_and_every_count_is_right() {
    let Some(folder) = oulad() else { return };
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    for (kind, file, rows) in [("labels", "labels.csv.gz", 259_633), ("behavior", "behavior.csv.gz", 54_872)]
    {
        let body = std::fs::read(folder.join(file)).unwrap();
        let id = client.import(&format!("kind={kind}&reject_limit=0"), "text/csv", true, body).await;
        let job = client.wait(&id).await;
        assert_eq!(job["state"], "done", "{job}");
        assert_eq!(job["result"]["rows_read"], rows);
        assert_eq!(job["result"]["rows_published"], rows);
        assert_eq!(job["result"]["rows_rejected"], 0);
    }
    let (_, apps) = client.get("/v1/apps").await;
    let apps: Vec<String> = apps["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|app| app["app_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(apps.len(), 22);

    let (labels, behavior) = (table(&folder.join("labels.csv.gz")), table(&folder.join("behavior.csv.gz")));
    let mut random = StdRng::seed_from_u64(20141231);
    for app in &apps {
        let rows = rows_of(app, &labels, &behavior);
        let words = words_of(&rows);
        for n in 0..RULES_PER_APP {
            let mut draw = |below: u64| random.random_range(0..below.max(1));
            let rule = Arbitrary { words: &words, draw: &mut draw, depth: 3, largest: 200 }.rule();
            let outcome = rows.outcome(&rule).expect("there is data");
            let json: Value = serde_json::from_str(&rule.to_json()).unwrap();
            let (status, answer) = client.estimate(app, &json).await;
            assert_eq!(status, StatusCode::OK, "{app}: {json}: {answer}");
            assert_eq!(answer["count"], outcome.members.len(), "{app}: {json}");
            assert_eq!(answer["universe_count"], outcome.universe.len(), "{app}: {json}");
            assert_eq!(answer["as_of"], outcome.as_of.number(), "{app}: {json}");
            assert_eq!(answer["exact"], true);
            for (pointer, leaf) in &outcome.leaves {
                let holds = leaf.holds.intersection(&outcome.universe).count();
                assert_eq!(answer["leaves"][pointer], holds, "{app}: {pointer} of {json}");
            }
            if n == 0 {
                let cohort = client.cohort(app, &json).await;
                assert_eq!(cohort["size"], outcome.members.len());
                let members: BTreeSet<String> = client.members(app, &cohort).await.into_iter().collect();
                assert_eq!(members, outcome.members.iter().map(|user| (*user).to_owned()).collect());
            }
        }
    }
    weights_and_apps(&client, &labels).await;
    cohorts(&client, &labels).await;
    profiles(&client, &apps, &labels).await;
}

/// Cohorts beside each other, and beside their app: sets of exported ids and rows of the file.
async fn cohorts(client: &support::Client<'_>, labels: &Table) {
    let app = "AAA-2013J";
    let mut made = Vec::new();
    for rule in [
        json!({"label": "gender", "in": ["F"]}),
        json!({"label": "studied_credits", "weight": {"gte": 90}}),
        json!({"event": "visit", "last_days": 30}),
    ] {
        let cohort = client.cohort(app, &json!({"where": rule})).await;
        let members: BTreeSet<String> = client.members(app, &cohort).await.into_iter().collect();
        assert!(!members.is_empty(), "{rule}");
        made.push((cohort["cohort_id"].as_str().unwrap().to_owned(), members));
    }
    let ids: Vec<&str> = made.iter().map(|(id, _)| &**id).collect();
    let (_, overlap) = client.get(&format!("/v1/apps/{app}/cohorts/overlap?cohorts={}", ids.join(","))).await;
    for region in overlap["regions"].as_array().unwrap() {
        let within = region["cohorts"].as_array().unwrap();
        let all: BTreeSet<&String> = made.iter().flat_map(|(_, members)| members).collect();
        let exactly = all.into_iter().filter(|user| {
            made.iter().all(|(id, members)| members.contains(*user) == within.contains(&json!(id)))
        });
        assert_eq!(region["users"], exactly.count(), "{region}");
    }
    let ((before, left), (after, entered)) = (&made[0], &made[1]);
    let (_, moved) = client.get(&format!("/v1/apps/{app}/cohorts/{after}/difference?from={before}")).await;
    assert_eq!(moved["entered"], (entered - left).len());
    assert_eq!(moved["left"], (left - entered).len());
    for (id, members) in &made {
        let (_, profile) =
            client.get(&format!("/v1/apps/{app}/cohorts/{id}/profile?top=10000&ds=20141231")).await;
        let mut expected: BTreeMap<(i64, i64), [BTreeSet<&str>; 2]> = BTreeMap::new();
        for row in labels.iter().filter(|row| row["app_id"] == app) {
            let key = (row["label_id"].parse().unwrap(), row["tag_id"].parse().unwrap());
            let [within, whole] = expected.entry(key).or_default();
            whole.insert(&row["user_id"]);
            within.extend(members.contains(&row["user_id"]).then_some(row["user_id"].as_str()));
        }
        let tags = profile["tags"].as_array().unwrap();
        assert_eq!(tags.len(), expected.len());
        for tag in tags {
            let [within, whole] =
                &expected[&(tag["label_id"].as_i64().unwrap(), tag["id"].as_i64().unwrap())];
            assert_eq!(
                (&tag["users"], &tag["app_users"]),
                (&json!(within.len()), &json!(whole.len())),
                "{tag}"
            );
        }
    }
}

/// Every tag of every label in the whole app, as worked out after the imports, is a count over the file.
async fn profiles(client: &support::Client<'_>, apps: &[String], labels: &Table) {
    let mut expected: BTreeMap<(&str, &str), BTreeMap<i64, BTreeSet<&str>>> = BTreeMap::new();
    for row in labels {
        let of = expected.entry((&row["app_id"], &row["label_name"])).or_default();
        of.entry(row["tag_id"].parse().unwrap()).or_default().insert(&row["user_id"]);
    }
    let mut cells = 0;
    for app in apps {
        let (_, job) = client.post(&format!("/v1/apps/{app}/insights/refresh"), &json!({})).await;
        assert_eq!(client.wait(job["id"].as_str().unwrap()).await["state"], "done");
        for ((_, label), tags) in expected.iter().filter(|((of, _), _)| of == app) {
            let path = format!("/v1/apps/{app}/insights/labels/{label}?top=10000");
            let (status, answer) = client.get(&path).await;
            assert_eq!(status, StatusCode::OK, "{path}: {answer}");
            assert_eq!(answer["label_ds"], 20141231);
            let found: BTreeMap<i64, usize> = answer["tags"]
                .as_array()
                .unwrap()
                .iter()
                .map(|tag| (tag["id"].as_i64().unwrap(), tag["users"].as_u64().unwrap() as usize))
                .collect();
            let counted: BTreeMap<i64, usize> = tags.iter().map(|(&tag, users)| (tag, users.len())).collect();
            assert_eq!(found, counted, "{app} {label}");
            let carrying: BTreeSet<&str> = tags.values().flatten().copied().collect();
            assert_eq!(answer["carrying"], carrying.len(), "{app} {label}");
            cells += found.len();
        }
    }
    assert!(cells > 22 * 8, "{cells}");
}

async fn weights_and_apps(client: &support::Client<'_>, labels: &Table) {
    let heavy = json!({"where": {"label": "studied_credits", "weight": {"gte": 120}}});
    for app in ["AAA-2013J", "AAA-2014J"] {
        let expected = labels.iter().filter(|row| {
            row["app_id"] == app
                && row["label_name"] == "studied_credits"
                && row["tag_value"].parse::<i64>().unwrap() >= 120
        });
        let (_, answer) = client.estimate(app, &heavy).await;
        assert_eq!(answer["count"], expected.count(), "{app}");
    }
    // A user of two apps stays two users: its labels differ, and each app tells its own.
    let in_app = |app: &str| -> BTreeMap<&str, &str> {
        let rows = labels.iter().filter(|row| row["app_id"] == app && row["label_name"] == "studied_credits");
        rows.map(|row| (row["user_id"].as_str(), row["tag_value"].as_str())).collect()
    };
    let (first, second) = (in_app("AAA-2013J"), in_app("AAA-2014J"));
    let user = first.keys().find(|user| second.get(*user).is_some_and(|other| *other != first[*user]));
    let user = *user.expect("the data have such a user");
    let everyone = json!({"where": {"label": "studied_credits", "weight": {"gte": 0}}});
    for (app, weights) in [("AAA-2013J", &first), ("AAA-2014J", &second)] {
        let cohort = client.cohort(app, &everyone).await;
        let path = format!("/v1/apps/{app}/cohorts/{}/users/{user}", cohort["cohort_id"].as_str().unwrap());
        let (status, proof) = client.get(&path).await;
        assert_eq!((status, &proof["member"]), (StatusCode::OK, &json!(true)));
        let weight = &proof["conditions"][0]["evidence"]["weights"][0]["weight"];
        assert_eq!(weight.to_string(), weights[user], "{app}: {proof}");
    }
}
