//! Two apps: no key of one reads anything of the other, on any route the API has.

mod support;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use support::Server;

const LABELS: &str = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_key_sees_its_own_app_and_no_trace_of_another() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let admin = server.client();
    let mut secrets = Vec::new();
    for app in ["mine", "yours"] {
        let key = json!({"name": app, "apps": [app], "roles": ["admin"]});
        let (status, key) = admin.post("/v1/keys", &key).await;
        assert_eq!(status, StatusCode::CREATED, "{key}");
        secrets.push(
            key["secret"].as_str().or(key["key"].as_str()).expect("the secret is shown once").to_owned(),
        );
    }
    let (mine, yours) = (server.with_key(&secrets[0]), server.with_key(&secrets[1]));

    // Each brings in its own app, with a row of the other one slipped in: that one is refused.
    let rows = |app: &str, other: &str| {
        format!("{LABELS}20261101,{app},1,colour,{app}-1,1,red\n20261101,{other},1,colour,intruder,1,red\n")
    };
    let job = mine.import_csv("kind=labels&reject_limit=0.5", &rows("mine", "yours")).await;
    assert_eq!((&job["result"]["rows_published"], &job["result"]["rows_rejected"]), (&json!(1), &json!(1)));
    let your_job = yours.import_csv("kind=labels&reject_limit=0.5", &rows("yours", "mine")).await;
    let rule = json!({"where": {"label": "colour", "in": ["red"]}});
    assert_eq!(mine.estimate("mine", &rule).await.1["count"], 1);
    let cohort = yours.cohort("yours", &rule).await;
    let (_, list) = yours.post("/v1/apps/yours/lists", &json!({"name": "theirs"})).await;
    let (_, segments) = yours.get("/v1/apps/yours/segments").await;

    let (_, api) = admin.get("/openapi.json").await;
    let mut tried = 0;
    for (path, methods) in api["paths"].as_object().unwrap() {
        let filled = path
            .replace("{label}", "colour")
            .replace("{event}", "visit")
            .replace("{dim}", "page")
            .replace("{dimension}", "page")
            .replace("{user}", "yours-1")
            .replace("{code}", "own")
            .replace("{version}", "1")
            .replace("{job}", your_job["id"].as_str().unwrap());
        let id = match path {
            path if path.contains("/cohorts/") => cohort["cohort_id"].as_str().unwrap(),
            path if path.contains("/lists/") => list["id"].as_str().unwrap(),
            path if path.contains("/jobs/") => your_job["id"].as_str().unwrap(),
            _ => segments["items"][0]["id"].as_str().unwrap(),
        };
        let filled = filled.replace("{id}", id);
        for method in methods.as_object().unwrap().keys().filter(|key| key.len() <= 6 && *key != "summary") {
            let method: Method = method.to_uppercase().parse().unwrap();
            tried += check(&mine, &server, method, &filled).await;
        }
    }
    assert!(tried > 20, "only {tried} routes were tried");

    // Under its own app's path, an id of the other app names nothing.
    for path in ["cohorts/{}", "cohorts/{}/users", "cohorts/{}/users/yours-1", "cohorts/{}/profile"] {
        let path = path.replace("{}", cohort["cohort_id"].as_str().unwrap());
        assert_eq!(mine.get(&format!("/v1/apps/mine/{path}")).await.0, StatusCode::NOT_FOUND, "{path}");
    }
    let stolen = json!({"where": {"cohort": cohort["cohort_id"]}});
    assert_eq!(mine.estimate("mine", &stolen).await.1["errors"][0]["code"], "unknown_cohort");
    let stolen = json!({"where": {"list": list["id"]}});
    assert_eq!(mine.estimate("mine", &stolen).await.1["errors"][0]["code"], "unknown_list");
    for asked in [&cohort["cohort_id"], &list["id"], &segments["items"][0]["id"]] {
        let body = json!({"users": ["yours-1"], "cohorts": [asked]});
        assert_eq!(mine.post("/v1/apps/mine/cohorts/membership", &body).await.0, StatusCode::NOT_FOUND);
    }
    for list in ["/v1/apps", "/v1/jobs"] {
        let (_, page) = mine.get(list).await;
        assert!(!page.to_string().contains("yours"), "{list}: {page}");
    }
}

/// Asks for a route of the other app. What comes back is what an app that does not exist would give.
async fn check(mine: &support::Client<'_>, server: &Server, method: Method, path: &str) -> usize {
    let scoped = path.contains("{app}");
    if !scoped && !path.contains("/jobs/job_") && !path.contains("/imports/job_") {
        return 0;
    }
    let ask = async |path: String| {
        let request = mine.request(method.clone(), &path);
        let request =
            if method == Method::GET { request } else { request.json(&json!({"where": {"all": []}})) };
        support::json(request.send().await.unwrap()).await
    };
    let (status, mut answer) = ask(path.replace("{app}", "yours")).await;
    assert_eq!(status, StatusCode::NOT_FOUND, "{method} {path}: {answer}");
    if scoped {
        let (_, mut other) = ask(path.replace("{app}", "never")).await;
        for answer in [&mut answer, &mut other] {
            answer["request_id"] = Value::Null;
        }
        assert_eq!(answer.to_string().replace("yours", "never"), other.to_string(), "{method} {path}");
    }
    let anonymous =
        server.http.request(method.clone(), format!("{}{path}", server.url)).bearer_auth("mk_wrong");
    assert_eq!(anonymous.send().await.unwrap().status(), StatusCode::UNAUTHORIZED, "{method} {path}");
    1
}
