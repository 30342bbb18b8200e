//! What cohorts are made up of: profile, difference, overlap and memberships are set arithmetic over their ids.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Client, Server};

const USERS: usize = 2_000;

/// The tag of a user in label 1 or 2 on a day, and its weight.
fn tag(label: usize, user: usize, day: usize) -> (usize, i64) {
    let mixed = (user * 2_654_435_761 + label * 40_503) >> 7;
    ((mixed + if user.is_multiple_of(11) { day } else { 0 }) % (3 + label * 4), mixed as i64 % 100 - 20)
}

async fn import(client: &Client<'_>) {
    for day in [1, 2] {
        let mut rows = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name,tag_value\n".to_owned();
        for user in 0..USERS {
            for label in [1, 2] {
                let (tag, weight) = tag(label, user, day);
                writeln!(rows, "2021010{day},shop,{label},label {label},u{user},{tag},tag {tag},{weight}")
                    .unwrap();
            }
        }
        assert_eq!(client.import_csv("kind=labels", &rows).await["state"], "done");
    }
}

struct Made {
    id: String,
    members: BTreeSet<usize>,
}

async fn cohort(client: &Client<'_>, rule: Value) -> Made {
    let made = client.cohort("shop", &json!({"where": rule})).await;
    let members = client.members("shop", &made).await;
    let members = members.iter().map(|user| user[1..].parse().unwrap()).collect();
    Made { id: made["cohort_id"].as_str().unwrap().to_owned(), members }
}

async fn ok(client: &Client<'_>, path: &str) -> Value {
    let (status, answer) = client.get(&format!("/v1/apps/shop/{path}")).await;
    assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    answer
}

/// By label and tag: users among these.
fn carrying<'a>(users: impl Iterator<Item = &'a usize>, day: usize) -> BTreeMap<(usize, usize), (u64, i64)> {
    let mut found = BTreeMap::new();
    for user in users {
        for label in [1, 2] {
            let (tag, weight) = tag(label, *user, day);
            let (users, sum) = found.entry((label, tag)).or_insert((0, 0));
            *users += 1;
            *sum += weight;
        }
    }
    found
}

fn key(tag: &Value) -> (usize, usize) {
    (tag["label_id"].as_u64().unwrap() as usize, tag["id"].as_u64().unwrap() as usize)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_profile_is_counted_over_its_ids() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    import(&client).await;
    let some = cohort(&client, json!({"label": 1, "in": [0, 1]})).await;
    for (query, day) in [("", 2), ("&ds=20210101", 1)] {
        let profile = ok(&client, &format!("cohorts/{}/profile?top=1000{query}", some.id)).await;
        assert_eq!((&profile["users"], &profile["app_users"]), (&json!(some.members.len()), &json!(USERS)));
        let of_cohort = carrying(some.members.iter(), day);
        let of_app = carrying((0..USERS).collect::<Vec<_>>().iter(), day);
        let tags = profile["tags"].as_array().unwrap();
        assert_eq!((tags.len(), &profile["tested"]), (of_app.len(), &json!(of_app.len())));
        let mut last = f64::INFINITY;
        let mut discoveries = 0;
        for tag in tags {
            let (in_app, _) = of_app[&key(tag)];
            let (users, sum) = of_cohort.get(&key(tag)).copied().unwrap_or_default();
            assert_eq!((&tag["users"], &tag["app_users"]), (&json!(users), &json!(in_app)), "{tag}");
            let index = users as f64 / some.members.len() as f64 / (in_app as f64 / USERS as f64);
            assert!((tag["index"].as_f64().unwrap() - index).abs() < 1e-9, "{tag}");
            match users {
                0 => assert_eq!(tag["weight"], Value::Null),
                _ => {
                    assert_eq!((&tag["weight"]["sum"], &tag["weight"]["users"]), (&json!(sum), &json!(users)))
                }
            }
            let surprise = tag["surprise"].as_f64().unwrap().abs();
            assert!(surprise <= last, "sorted by surprise");
            last = surprise;
            discoveries += usize::from(tag["q"].as_f64().unwrap() <= 0.05);
        }
        assert_eq!(profile["discoveries"], discoveries);
        // The tags that the rule names are no accident, on the day they were named.
        let leading: BTreeSet<(usize, usize)> = tags[..2].iter().map(key).collect();
        assert!(day == 1 || leading.is_superset(&[(1, 0)].into()), "{leading:?}");
        assert!(discoveries >= 2);
    }
    let one = ok(&client, &format!("cohorts/{}/profile?labels=label%202&sort=users&top=3", some.id)).await;
    assert_eq!((&one["tags_total"], one["tags"].as_array().unwrap().len()), (&json!(11), 3));
    assert!(one["tags"][0]["users"].as_u64() >= one["tags"][1]["users"].as_u64());
    let path = format!("/v1/apps/shop/cohorts/{}/profile", some.id);
    let (status, problem) = client.get(&format!("{path}?labels=lable%202")).await;
    assert_eq!((status.as_u16(), &problem["errors"][0]["nearest"]), (404, &json!("label 2")), "{problem}");
    for (query, code) in [("sort=x", "invalid_sort"), ("top=0", "invalid_top"), ("ds=1", "invalid_ds")] {
        let (status, problem) = client.get(&format!("{path}?{query}")).await;
        assert_eq!((status.as_u16(), &problem["code"]), (400, &json!(code)));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn differences_overlaps_and_memberships_are_set_arithmetic() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    import(&client).await;
    let rules = [
        json!({"label": 1, "in": [0, 1, 2]}),
        json!({"label": 1, "in": [2, 3, 4, 5]}),
        json!({"label": 2, "in": [0, 5, 7, 9, 10]}),
        json!({"not": {"label": 2, "in": [1, 2]}}),
        json!({"label": 1, "weight": {"lt": 30}}),
        json!({"any": []}),
    ];
    let mut cohorts = Vec::new();
    for rule in rules {
        cohorts.push(cohort(&client, rule).await);
    }
    let ids: Vec<&str> = cohorts.iter().map(|cohort| &*cohort.id).collect();
    for some in [2, 4, 6] {
        let overlap = ok(&client, &format!("cohorts/overlap?cohorts={}", ids[..some].join(","))).await;
        let regions = overlap["regions"].as_array().unwrap();
        assert_eq!(regions.len(), (1 << some) - 1);
        for region in regions {
            let within: Vec<&str> =
                region["cohorts"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
            let exactly = (0..USERS).filter(|user| {
                cohorts[..some].iter().all(|of| of.members.contains(user) == within.contains(&&*of.id))
            });
            assert_eq!(region["users"], exactly.count(), "{region}");
        }
        let any: BTreeSet<&usize> = cohorts[..some].iter().flat_map(|cohort| &cohort.members).collect();
        assert_eq!(overlap["any"], any.len());
    }
    let (status, problem) = client.get(&format!("/v1/apps/shop/cohorts/overlap?cohorts={}", ids[0])).await;
    assert_eq!((status.as_u16(), &problem["code"]), (400, &json!("invalid_cohorts")));
    let (status, problem) =
        client.get(&format!("/v1/apps/shop/cohorts/overlap?cohorts={},coh_none", ids[0])).await;
    assert_eq!((status.as_u16(), &problem["code"]), (404, &json!("cohort_not_found")));

    let (before, after) = (&cohorts[0], &cohorts[1]);
    let difference =
        ok(&client, &format!("cohorts/{}/difference?from={}&top=1000", after.id, before.id)).await;
    let entered: BTreeSet<usize> = &after.members - &before.members;
    let left: BTreeSet<usize> = &before.members - &after.members;
    for (name, users) in [("entered", entered.len()), ("left", left.len()), ("after", after.members.len())] {
        assert_eq!(difference[name], users, "{name}");
    }
    let counts = [&before.members, &after.members, &entered, &left].map(|users| carrying(users.iter(), 2));
    let mut last = f64::INFINITY;
    for tag in difference["tags"].as_array().unwrap() {
        for (name, counts) in ["before", "after", "entered", "left"].iter().zip(&counts) {
            assert_eq!(tag[name], counts.get(&key(tag)).map_or(0, |(users, _)| *users), "{name} of {tag}");
        }
        let share = |of: &Made, counts: &BTreeMap<_, (u64, i64)>| {
            counts.get(&key(tag)).map_or(0.0, |(users, _)| *users as f64) / of.members.len() as f64
        };
        let change = share(after, &counts[1]) - share(before, &counts[0]);
        assert!((tag["change"].as_f64().unwrap() - change).abs() < 1e-12 && change.abs() <= last);
        last = change.abs();
    }
    memberships(&client, &cohorts).await;
    newest_is_of_a_day_with_data(&client).await;
    under_a_floor(&client, &cohorts).await;
}

async fn memberships(client: &Client<'_>, cohorts: &[Made]) {
    let (_, list) = client.post("/v1/apps/shop/lists", &json!({"name": "l"})).await;
    let list = list["id"].as_str().unwrap();
    let path = format!("/v1/apps/shop/lists/{list}/users?mode=add");
    let request = client.request(Method::POST, &path).header("content-type", "text/csv");
    assert_eq!(request.body("user_id\nu7\nu1999\n").send().await.unwrap().status(), StatusCode::OK);
    let users: Vec<String> = (0..USERS + 1).step_by(3).rev().map(|user| format!("u{user}")).collect();
    let mut asked: Vec<&str> = cohorts.iter().map(|cohort| &*cohort.id).collect();
    asked.push(list);
    let path = "/v1/apps/shop/cohorts/membership";
    let (status, answer) = client.post(path, &json!({"users": users, "cohorts": asked})).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    for (user, told) in users.iter().zip(answer["users"].as_array().unwrap()) {
        let number: usize = user[1..].parse().unwrap();
        let mut expected: Vec<&str> =
            cohorts.iter().filter(|of| of.members.contains(&number)).map(|of| &*of.id).collect();
        expected.extend([7, 1999].contains(&number).then_some(list));
        assert_eq!((&told["user_id"], &told["known"]), (&json!(user), &json!(number < USERS)));
        assert_eq!(told["cohorts"], json!(expected), "{user}");
    }
    assert_eq!(answer["cohorts"][cohorts.len()]["asked"], list);
    let many = vec!["u1"; 1_001];
    for (body, code) in [
        (json!({"users": many, "cohorts": asked}), 422),
        (json!({"users": ["u1"], "cohorts": [asked[0], asked[0]]}), 422),
        (json!({"users": ["u1"], "cohorts": ["seg_none"]}), 404),
        (json!({"users": [1.5], "cohorts": [asked[0]]}), 400),
    ] {
        let status = client.post(path, &body).await.0.as_u16();
        assert!(status == code || code == 400 && (400..=422).contains(&status), "{status}, not {code}");
    }
}

/// A run may look from a day to come; what a segment is now, it is on the newest day that there is.
async fn newest_is_of_a_day_with_data(client: &Client<'_>) {
    let body = json!({"name": "n", "rule": {"where": {"label": 1, "in": [0]}}});
    let (_, segment) = client.post("/v1/apps/shop/segments", &body).await;
    let run = format!("/v1/apps/shop/segments/{}/run", segment["id"].as_str().unwrap());
    for body in [json!({}), json!({"as_of": 20991231})] {
        let (_, job) = client.post(&run, &body).await;
        assert_eq!(client.wait(job["id"].as_str().unwrap()).await["state"], "done");
    }
    let body = json!({"users": ["u1"], "cohorts": [segment["id"]]});
    let (_, answer) = client.post("/v1/apps/shop/cohorts/membership", &body).await;
    assert_eq!(answer["cohorts"][0]["ds"], 20210102, "{answer}");
}

/// Whatever is told, nobody finds out of fewer than the floor.
async fn under_a_floor(client: &Client<'_>, cohorts: &[Made]) {
    let floor = 130u64;
    let settings = json!({"privacy_floor": floor});
    let put = client.request(Method::PUT, "/v1/apps/shop/settings").json(&settings).send().await.unwrap();
    assert_eq!(put.status(), StatusCode::OK);
    let few = |users: &Value| users.as_u64().is_some_and(|users| (1..floor).contains(&users));
    let profile = ok(client, &format!("cohorts/{}/profile?top=1000", cohorts[2].id)).await;
    let size = cohorts[2].members.len() as u64;
    let mut hidden = 0;
    for tag in profile["tags"].as_array().unwrap() {
        let rest = json!(tag["users"].as_u64().map(|users| size - users));
        assert!(!few(&tag["users"]) && !few(&rest), "{tag}");
        hidden += usize::from(tag["users"].is_null());
        assert_eq!(tag["users"].is_null(), tag["q"].is_null() && tag["weight"].is_null(), "{tag}");
    }
    assert!(hidden > 0 && profile["privacy_floor"] == floor, "{profile}");

    let (before, after) = (&cohorts[0], &cohorts[1]);
    let difference =
        ok(client, &format!("cohorts/{}/difference?from={}&top=1000", after.id, before.id)).await;
    let groups = ["entered", "left", "stayed"].map(|name| difference[name].as_u64().unwrap());
    let (mut told, mut untold) = (0, 0);
    for tag in difference["tags"].as_array().unwrap() {
        let Some(entered) = tag["entered"].as_u64() else {
            untold += 1;
            assert_eq!(tag["left"], Value::Null, "each tells the other: {tag}");
            continue;
        };
        told += 1;
        let left = tag["left"].as_u64().unwrap();
        let stayed = tag["before"].as_u64().unwrap() - left;
        assert_eq!(tag["after"], stayed + entered, "{tag}");
        for (users, of) in [entered, left, stayed].into_iter().zip(groups) {
            assert!(!few(&json!(users)) && !few(&json!(of - users)), "{users} of {of}: {tag}");
        }
    }
    assert!(told > 0 && untold > 0, "{told} tags are told, {untold} are not");

    let ids: Vec<&str> = cohorts[..5].iter().map(|cohort| &*cohort.id).collect();
    let overlap = ok(client, &format!("cohorts/overlap?cohorts={}", ids.join(","))).await;
    let regions = overlap["regions"].as_array().unwrap();
    assert!(regions.iter().any(|region| region["users"].is_null()) && overlap["any"].is_null());
    for cohort in &cohorts[..5] {
        let of =
            regions.iter().filter(|region| region["cohorts"].as_array().unwrap().contains(&json!(cohort.id)));
        let dark = of.clone().filter(|region| region["users"].is_null()).count();
        let told: u64 = of.filter_map(|region| region["users"].as_u64()).sum();
        let hidden = cohort.members.len() as u64 - told;
        assert!(dark == 0 || (dark > 1 && hidden >= floor), "{dark} regions hold {hidden}");
    }
    assert!(!regions.iter().any(|region| few(&region["users"])));

    // A list of two is kept, and shown nowhere.
    let (_, lists) = client.get("/v1/apps/shop/lists").await;
    let newest = &lists["items"][0]["newest"];
    for hidden in ["users", "entered", "left", "unknown_users"] {
        assert_eq!(newest[hidden], Value::Null, "{newest}");
    }
    let small = newest["cohort_id"].as_str().unwrap();
    for path in ["profile", "users", &format!("difference?from={}", ids[0])] {
        let (status, problem) = client.get(&format!("/v1/apps/shop/cohorts/{small}/{path}")).await;
        assert_eq!((status.as_u16(), &problem["code"]), (403, &json!("below_floor")), "{path}");
    }
    let body = json!({"users": ["u7"], "cohorts": [lists["items"][0]["id"]]});
    assert_eq!(client.post("/v1/apps/shop/cohorts/membership", &body).await.0, StatusCode::FORBIDDEN);
}
