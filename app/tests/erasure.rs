//! Erased users are nowhere any more: what is counted, listed, exported and compared is what the others come to.

mod support;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::{Client, Server};

const USERS: usize = 700;

fn mix(user: usize, day: usize) -> usize {
    ((user + 11) * 2_654_435_761 + (day + 5) * 40_503_000_017) >> 9
}

/// Page, pv and amount of the user's visits on the day.
fn visit(user: usize, day: usize) -> Option<(usize, i64, i64)> {
    let of = mix(user, day);
    (of % 10 < 5).then(|| (of / 16 % 3, 1 + (of / 64 % 4) as i64, (of / 512 % 200) as i64 - 20))
}

fn third(user: usize) -> usize {
    mix(user, 90) % 3
}

fn is_erased(user: usize) -> bool {
    mix(user, 77).is_multiple_of(7)
}

fn erased() -> Vec<String> {
    (0..USERS).filter(|user| is_erased(*user)).map(|user| format!("u{user}")).collect()
}

fn users(holds: impl Fn(usize) -> bool) -> BTreeSet<usize> {
    (0..USERS).filter(|user| holds(*user)).collect()
}

fn left(holds: impl Fn(usize) -> bool) -> BTreeSet<usize> {
    users(|user| !is_erased(user) && holds(user))
}

fn labels() -> String {
    let mut rows = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name,tag_value\n".to_owned();
    for app in ["shop", "other"] {
        for user in 0..USERS {
            let third = third(user);
            writeln!(rows, "20210103,{app},1,third,u{user},{third},t{third},{}", user % 40).unwrap();
        }
    }
    rows
}

fn behaviour() -> String {
    let mut rows = "ds,app_id,user_id,event,pv,m_amount,page\n".to_owned();
    for app in ["shop", "other"] {
        for (user, day) in (0..USERS).flat_map(|user| (1..4).map(move |day| (user, day))) {
            if let Some((page, pv, amount)) = visit(user, day) {
                writeln!(rows, "2021010{day},{app},u{user},visit,{pv},{amount},/{page}").unwrap();
            }
        }
    }
    rows
}

async fn import(client: &Client<'_>) {
    assert_eq!(client.import_csv("kind=labels", &labels()).await["state"], "done");
    assert_eq!(client.import_csv("kind=behavior", &behaviour()).await["state"], "done");
}

async fn count(client: &Client<'_>, app: &str, rule: &Value) -> u64 {
    let (status, answer) = client.estimate(app, rule).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    answer["count"].as_u64().unwrap()
}

async fn get(client: &Client<'_>, path: &str) -> Value {
    let (status, answer) = client.get(path).await;
    assert_eq!(status, StatusCode::OK, "{path}: {answer}");
    answer
}

async fn ask(client: &Client<'_>, users: &[String]) -> Value {
    let (status, erasure) = client.post("/v1/apps/shop/erasures", &json!({ "users": users })).await;
    assert_eq!(status, StatusCode::ACCEPTED, "{erasure}");
    erasure
}

async fn erase(client: &Client<'_>, users: &[String]) -> Value {
    let erasure = ask(client, users).await;
    let job = client.wait(erasure["job_id"].as_str().unwrap()).await;
    assert_eq!(job["state"], "done", "{job}");
    get(client, &format!("/v1/apps/shop/erasures/{}", erasure["id"].as_str().unwrap())).await
}

/// Rules and who they hold.
type Expected = Vec<(Value, Box<dyn Fn(usize) -> bool>)>;

fn rules() -> Expected {
    let visits = |user: usize| (1..4).filter_map(|day| visit(user, day)).collect::<Vec<_>>();
    let often = json!({"where": {"event": "visit", "last_days": 3, "pv": {"gte": 5}}});
    let amount = json!({"where":
        {"event": "visit", "where": {"page": {"in": ["/1"]}}, "last_days": 3, "sum": {"m_amount": {"gt": 50}}}});
    let on_page =
        move |user: usize| visits(user).into_iter().filter(|visit| visit.0 == 1).map(|visit| visit.2);
    vec![
        (json!({"where": {"all": []}}), Box::new(|_| true)),
        (json!({"where": {"label": "third", "in": ["t1"]}}), Box::new(|user| third(user) == 1)),
        (json!({"where": {"not": {"label": "third", "in": ["t1"]}}}), Box::new(|user| third(user) != 1)),
        (json!({"where": {"label": "third", "weight": {"gte": 20}}}), Box::new(|user| user % 40 >= 20)),
        (often, Box::new(move |user| visits(user).iter().map(|visit| visit.1).sum::<i64>() >= 5)),
        (amount, Box::new(move |user| on_page(user).sum::<i64>() > 50)),
        (
            json!({"where": {"not": {"event": "visit", "last_days": 3}}}),
            Box::new(move |user| visits(user).is_empty()),
        ),
        (
            json!({"universe": "active_7d", "where": {"not": {"label": "third", "in": ["t1"]}}}),
            Box::new(move |user| !visits(user).is_empty() && third(user) != 1),
        ),
    ]
}

/// Every rule holds who is left in the one app, and everybody in the other.
async fn check_rules(client: &Client<'_>) {
    for (rule, holds) in rules() {
        assert_eq!(count(client, "shop", &rule).await, left(&holds).len() as u64, "{rule}");
        assert_eq!(count(client, "other", &rule).await, users(&holds).len() as u64, "{rule}");
    }
}

async fn members(client: &Client<'_>, cohort: &Value) -> BTreeSet<usize> {
    let members = client.members("shop", &json!({ "cohort_id": cohort })).await;
    members.iter().map(|user| user[1..].parse().unwrap()).collect()
}

/// The size that is told, the one that a rule finds, and the members themselves are the same.
async fn check_cohort(client: &Client<'_>, cohort: &Value, expected: &BTreeSet<usize>) {
    let told = get(client, &format!("/v1/apps/shop/cohorts/{}", cohort.as_str().unwrap())).await;
    assert_eq!(told["size"], expected.len(), "{told}");
    assert_eq!(count(client, "shop", &json!({"where": {"cohort": cohort}})).await, expected.len() as u64);
    assert_eq!(members(client, cohort).await, *expected);
}

async fn upload(client: &Client<'_>, list: &str, mode: &str, users: &BTreeSet<usize>) {
    let rows: String = users.iter().map(|user| format!("u{user}\n")).collect();
    let path = format!("/v1/apps/shop/lists/{list}/users?mode={mode}");
    let request = client.request(Method::POST, &path).header("content-type", "text/csv");
    let answer = request.body(format!("user_id\n{rows}")).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
}

async fn experiment(client: &Client<'_>) -> String {
    let body = json!({
        "name": "halves", "population": {"where": {"label": "third", "in": ["t0", "t1"]}},
        "groups": [{"name": "control", "share": 0.5}, {"name": "blue", "share": 0.5}],
        "metrics": [{"name": "visits", "event": "visit", "of": "pv"}],
    });
    let (status, experiment) = client.post("/v1/apps/shop/experiments", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{experiment}");
    let id = experiment["id"].as_str().unwrap().to_owned();
    let start = format!("/v1/apps/shop/experiments/{id}/start");
    let (_, job) = client.post(&start, &json!({"from": 20210102})).await;
    assert_eq!(client.wait(job["id"].as_str().unwrap()).await["state"], "done");
    id
}

async fn check_experiment(client: &Client<'_>, id: &str) {
    let experiment = get(client, &format!("/v1/apps/shop/experiments/{id}")).await;
    let mut all = BTreeSet::new();
    for group in experiment["members"].as_array().unwrap() {
        let mut members = members(client, &group["cohort_id"]).await;
        assert_eq!((&group["users"], &group["ever_users"]), (&json!(members.len()), &json!(members.len())));
        all.append(&mut members);
    }
    assert_eq!(all, left(|user| third(user) < 2));
    let results = get(client, &format!("/v1/apps/shop/experiments/{id}/results?to=20210103")).await;
    let sum = |groups: &Value, users: &dyn Fn(&Value) -> Option<u64>| -> u64 {
        groups.as_array().unwrap().iter().map(|group| users(group).unwrap()).sum()
    };
    let of_metric = sum(&results["metrics"][0]["groups"], &|group| group["users"].as_u64());
    assert_eq!(of_metric, all.len() as u64, "{results}");
    for day in results["sample_ratio_by_day"].as_array().unwrap() {
        assert_eq!(sum(&day["users"], &Value::as_u64), all.len() as u64, "{day}");
    }
    let (_, place) = client.get(&format!("/v1/apps/shop/experiments/{id}/users/{}", erased()[0])).await;
    assert_eq!(place["why"], "unknown", "{place}");
}

/// Where a download of the cohort is fetched.
async fn download(client: &Client<'_>, cohort: &Value) -> String {
    let path = "/v1/apps/shop/deliveries";
    let (_, job) = client.post(path, &json!({ "of": cohort })).await;
    let id = job["delivery_id"].as_str().unwrap().to_owned();
    assert_eq!(client.wait(job["id"].as_str().unwrap()).await["state"], "done");
    let file = format!("{path}/{id}/files/users.ndjson");
    let member = (0..USERS).find(|user| is_erased(*user) && third(*user) == 1).unwrap();
    assert!(client.text(&file).await.contains(&format!("\"u{member}\"")));
    file
}

/// Until the day has been worked out again.
async fn check_tracking(client: &Client<'_>, cohort: &str, expected: &BTreeSet<usize>) {
    let pv = |users: &BTreeSet<usize>| {
        users.iter().filter_map(|user| visit(*user, 3)).map(|visit| visit.1).sum::<i64>()
    };
    let everybody = left(|_| true);
    let mut series = Value::Null;
    for _ in 0..300 {
        series = get(client, &format!("/v1/apps/shop/tracking/{cohort}")).await;
        let day = series["days"].as_array().and_then(|days| days.last());
        if day.is_some_and(|day| day["app"]["users"] == everybody.len()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(series["first_users"], expected.len(), "{series}");
    let day = series["days"].as_array().unwrap().last().unwrap();
    let told = |crowd: &str| (day[crowd]["users"].clone(), day[crowd]["pv"].clone());
    assert_eq!(told("cohort"), (json!(expected.len()), json!(pv(expected))), "{day}");
    assert_eq!(told("app"), (json!(everybody.len()), json!(pv(&everybody))), "{day}");
    let rest = &everybody - expected;
    assert_eq!(told("rest"), (json!(rest.len()), json!(pv(&rest))), "{day}");
}

/// Until the profiles have been counted again.
async fn check_profile(client: &Client<'_>) {
    let mut told = Value::Null;
    for _ in 0..300 {
        told = client.get("/v1/apps/shop/insights/labels/1?crowd=all&ds=20210103").await.1;
        let tags = told["tags"].as_array().cloned().unwrap_or_default();
        let users = |third: usize| tags.iter().find(|tag| tag["id"] == third).map(|tag| tag["users"].clone());
        if (0..3).all(|tag| users(tag) == Some(json!(left(|user| third(user) == tag).len()))) {
            assert_eq!(told["crowd_users"], left(|_| true).len(), "{told}");
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_count_agrees_afterwards() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    import(&client).await;
    let rule = json!({"where": {"label": "third", "in": ["t1"]}});
    let made = client.cohort("shop", &rule).await["cohort_id"].clone();
    let fetched = download(&client, &made).await;
    // Another one, as it is when its job has died for good behind the file.
    let broken = download(&client, &made).await;
    let db = muster_real_servers::database(&dir.path().join("data")).await;
    let query = "UPDATE delivery SET finished_at = NULL, manifest = NULL, attempt = NULL WHERE id = ?";
    let id = broken.split('/').nth(5).unwrap();
    muster_sql::on!(&db, pool => sqlx::query(query).bind(id).execute(pool).await.map(drop).unwrap());
    let cohort = made.as_str().unwrap().to_owned();
    assert_eq!(
        client
            .request(Method::PUT, &format!("/v1/apps/shop/tracking/{cohort}"))
            .send()
            .await
            .unwrap()
            .status(),
        StatusCode::CREATED
    );
    let (_, list) = client.post("/v1/apps/shop/lists", &json!({"name": "some"})).await;
    let list = list["id"].as_str().unwrap();
    upload(&client, list, "add", &users(|user| user < 200)).await;
    upload(&client, list, "replace", &users(|user| (100..400).contains(&user))).await;
    let experiment = experiment(&client).await;

    let mut asked = erased();
    asked.extend(["ghost".to_owned(), asked[0].clone()]);
    let erasure = erase(&client, &asked).await;
    let known = erased().len();
    assert_eq!((&erasure["asked"], &erasure["known"]), (&json!(known + 1), &json!(known)), "{erasure}");
    assert_eq!((&erasure["label_days"], &erasure["event_days"]), (&json!(1), &json!(3)), "{erasure}");
    assert!(
        erasure["finished_at"].is_string() && !erasure.to_string().contains(&format!("\"{}\"", asked[0]))
    );

    check_rules(&client).await;
    check_cohort(&client, &made, &left(|user| third(user) == 1)).await;
    let (status, verified) = client.post(&format!("/v1/apps/shop/cohorts/{cohort}/verify"), &json!({})).await;
    assert_eq!((status, &verified["same"]), (StatusCode::OK, &json!(true)), "{verified}");
    let on_list = left(|user| (100..400).contains(&user));
    let newest = get(&client, &format!("/v1/apps/shop/lists/{list}")).await["newest"].clone();
    check_cohort(&client, &newest["cohort_id"], &on_list).await;
    assert_eq!(newest["users"], on_list.len(), "{newest}");
    let changes = [left(|user| (200..400).contains(&user)), left(|user| user < 100)].map(|users| users.len());
    assert_eq!(
        [&newest["entered"], &newest["left"]],
        changes.map(|users| json!(users)).each_ref(),
        "{newest}"
    );
    check_experiment(&client, &experiment).await;
    check_tracking(&client, &cohort, &left(|user| third(user) == 1)).await;
    check_profile(&client).await;
    for app in std::fs::read_dir(dir.path().join("data/downloads")).unwrap() {
        let left: Vec<_> = std::fs::read_dir(app.unwrap().path()).unwrap().collect();
        assert!(left.is_empty(), "{left:?}");
    }
    let (status, gone) = client.get(&fetched).await;
    assert_eq!((status, &gone["code"]), (StatusCode::NOT_FOUND, &json!("download_removed")), "{gone}");
    let ids = json!({"users": [asked[0], "u1000"], "cohorts": [cohort]});
    let (_, found) = client.post("/v1/apps/shop/cohorts/membership", &ids).await;
    assert_eq!(found["users"][0]["known"], false, "{found}");

    // Nobody is there to be erased twice; who comes again is a new user.
    assert_eq!(erase(&client, &asked).await["known"], 0);
    let row = format!(
        "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n20210103,shop,2,new,{},1,yes\n",
        asked[0]
    );
    assert_eq!(client.import_csv("kind=labels", &row).await["state"], "done");
    assert_eq!(count(&client, "shop", &json!({"where": {"label": "new", "in": [1]}})).await, 1);
    assert_eq!(count(&client, "shop", &json!({"where": {"all": []}})).await, left(|_| true).len() as u64 + 1);
    check_cohort(&client, &made, &left(|user| third(user) == 1)).await;
    refusals(&server, &client).await;
}

async fn refusals(server: &Server, client: &Client<'_>) {
    let many: Vec<String> = (0..10_001).map(|user| format!("u{user}")).collect();
    for users in [json!([]), json!([""]), json!(many)] {
        let (status, problem) = client.post("/v1/apps/shop/erasures", &json!({ "users": users })).await;
        assert_eq!((status.as_u16(), &problem["code"]), (422, &json!("invalid_body")), "{problem}");
    }
    let (status, problem) = client.post("/v1/apps/none/erasures", &json!({"users": ["u1"]})).await;
    assert_eq!((status.as_u16(), &problem["code"]), (404, &json!("app_not_found")), "{problem}");
    for (roles, apps, allowed) in [(["import", "read"], "shop", 403), (["admin", "read"], "other", 404)] {
        let key = json!({"name": "k", "apps": [apps], "roles": roles});
        let (_, key) = client.post("/v1/keys", &key).await;
        let own = server.with_key(key["secret"].as_str().or(key["key"].as_str()).unwrap());
        let answer = own.post("/v1/apps/shop/erasures", &json!({"users": ["u1"]})).await;
        assert_eq!(answer.0.as_u16(), allowed, "{}", answer.1);
        assert_eq!(own.get("/v1/apps/shop/erasures").await.0.as_u16(), allowed);
    }
    let all = get(client, "/v1/apps/shop/erasures?limit=1").await;
    assert_eq!(all["items"].as_array().unwrap().len(), 1);
    assert!(all["next"].is_string(), "{all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_moment_it_is_done_in_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut server = Server::start(&data).await;
    import(&server.client()).await;
    let made = server.client().cohort("shop", &json!({"where": {"label": "third", "in": ["t1"]}})).await;
    for (round, users) in erased().chunks(20).enumerate() {
        let erasure = ask(&server.client(), users).await;
        tokio::time::sleep(Duration::from_millis(round as u64 * 40)).await;
        server.kill();
        server = Server::start(&data).await;
        let job = server.client().wait(erasure["job_id"].as_str().unwrap()).await;
        assert_eq!(job["state"], "done", "{job}");
        let path = format!("/v1/apps/shop/erasures/{}", erasure["id"].as_str().unwrap());
        assert_eq!(get(&server.client(), &path).await["known"], users.len());
    }
    check_rules(&server.client()).await;
    check_cohort(&server.client(), &made["cohort_id"], &left(|user| third(user) == 1)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_came_before_brings_nobody_back() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    import(&client).await;
    let import = client.import("kind=behavior", "text/csv", false, behaviour().into_bytes()).await;
    let erasure = ask(&client, &erased()).await;
    assert_eq!(client.wait(erasure["job_id"].as_str().unwrap()).await["state"], "done");
    assert_eq!(client.wait(&import).await["state"], "done");
    check_rules(&client).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_day_that_is_no_longer_recent_is_counted_anew() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start_with(&dir.path().join("data"), "[metrics]\nrecent_days = 1\n").await;
    let client = server.client();
    let insight = "/v1/apps/shop/insights/labels/1?crowd=all&ds=20210103";
    let crowd_users = async |expected: usize| {
        for _ in 0..300 {
            let told = client.get(insight).await.1;
            if told["crowd_users"] == expected {
                return told;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{}", client.get(insight).await.1);
    };
    assert_eq!(client.import_csv("kind=labels", &labels()).await["state"], "done");
    crowd_users(USERS).await;
    let later = "ds,app_id,user_id,event,pv\n20210109,shop,u1,visit,1\n";
    assert_eq!(client.import_csv("kind=behavior", later).await["state"], "done");
    erase(&client, &erased()).await;
    let told = crowd_users(left(|_| true).len()).await;
    for tag in told["tags"].as_array().unwrap() {
        let expected = left(|user| tag["id"] == third(user)).len();
        assert_eq!(tag["users"], expected, "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_not_done_while_files_are_kept_aside() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    import(&client).await;
    let settings = client.request(Method::PUT, "/v1/apps/shop/settings").json(&json!({"enabled": false}));
    assert_eq!(settings.send().await.unwrap().status(), StatusCode::OK);
    assert_eq!(client.import_csv("kind=behavior", &behaviour()).await["state"], "done");
    let erasure = ask(&client, &erased()).await;
    let job = client.wait(erasure["job_id"].as_str().unwrap()).await;
    assert_eq!((&job["state"], &job["error"]["code"]), (&json!("failed"), &json!("files_aside")), "{job}");
    let path = format!("/v1/apps/shop/erasures/{}", erasure["id"].as_str().unwrap());
    let told = get(&client, &path).await;
    assert_eq!((&told["known"], &told["finished_at"]), (&json!(erased().len()), &Value::Null), "{told}");
}
