//! What is told of groups is what follows from the plain rows.

use std::collections::BTreeMap;

use muster_statistics::{Paired, Summary, cuped, difference_of_means, sample_ratio};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::support::{Client, Server};
use crate::{create, get, groups, halves, import, metrics, near, order, path, start, third};

/// The numbers of one user: of days that count, and of those before.
type Numbers = BTreeMap<&'static str, [f64; 2]>;

fn numbers(user: usize, from: usize, before: usize) -> Numbers {
    let over = |days: std::ops::Range<usize>| {
        let orders: Vec<(i64, i64)> = days.filter_map(|day| order(user, day)).collect();
        let sum = |of: fn(&(i64, i64)) -> i64| orders.iter().map(of).sum::<i64>() as f64;
        [f64::from(u8::from(!orders.is_empty())), sum(|order| order.0), sum(|order| order.1)]
    };
    let (after, before) = (over(from..13), over(before..from));
    ["buyers", "orders", "amount"]
        .into_iter()
        .zip(after)
        .zip(before)
        .map(|((name, y), x)| (name, [y, x]))
        .collect()
}

fn paired(users: impl Iterator<Item = usize>, metric: &str, (from, before): (usize, usize)) -> Paired {
    let mut of = Paired::default();
    for user in users {
        let [y, x] = numbers(user, from, before)[metric];
        (of.y.users, of.x.users) = (of.y.users + 1, of.x.users + 1);
        (of.y.sum, of.x.sum) = (of.y.sum + y, of.x.sum + x);
        (of.y.sum_squares, of.x.sum_squares) = (of.y.sum_squares + y * y, of.x.sum_squares + x * x);
        of.sum_products += x * y;
    }
    of
}

#[tokio::test(flavor = "multi_thread")]
async fn results_are_those_of_the_rows() {
    let dir = tempfile::tempdir().unwrap();
    let server = Server::start(&dir.path().join("data")).await;
    let client = server.client();
    import(&client).await;
    let body = json!({"name": "colours", "groups": halves(), "metrics": metrics(), "pre_days": 4});
    let experiment = create(&client, &body).await;
    let (status, early) = client.get(&path(&experiment, "/results")).await;
    assert_eq!((status, &early["code"]), (StatusCode::CONFLICT, &json!("experiment_state")));
    let running = start(&client, &experiment, 20210107).await;
    let groups = groups(&client, &running, "cohort_id").await;
    let check = |results: &Value, metric: usize, among: &dyn Fn(usize) -> bool, adjusted: bool| {
        let result = &results["metrics"][metric];
        let name = result["metric"].as_str().unwrap();
        let of =
            |group: usize| paired(groups[group].iter().copied().filter(|user| among(*user)), name, (7, 3));
        let (control, treated) = (of(0), of(1));
        for (group, of) in result["groups"].as_array().unwrap().iter().zip([control, treated]) {
            assert_eq!(group["users"], of.y.users, "{name}");
            assert!(near(&group["mean"], of.y.mean().unwrap()), "{name}: {group}");
        }
        let [treated, control]: [Summary; 2] = match adjusted {
            true => cuped(treated, control).map(|both| [both.treatment, both.control]).unwrap(),
            false => [treated, control].map(|of| of.y.summary().unwrap()),
        };
        let expected = difference_of_means(treated, control, 0.95).unwrap();
        let told = &result["groups"][1]["against_control"];
        assert!(near(&told["difference"], expected.difference), "{name}: {told} {expected:?}");
        assert!(near(&told["p_value"], expected.p_value), "{name}: {told} {expected:?}");
        match (adjusted, name) {
            (false, "buyers") => assert_eq!(told["interval"], "newcombe"),
            _ => {
                assert_eq!(told["interval"], "welch");
                assert!(near(&told["low"], expected.interval.low), "{name}: {told} {expected:?}");
            }
        }
        assert_eq!(told["variance_removed"].is_number(), adjusted, "{told}");
        assert!(told["q"].as_f64().unwrap() >= told["p_value"].as_f64().unwrap() - 1e-12, "{told}");
    };
    let all: &dyn Fn(usize) -> bool = &|_| true;
    let plain = get(&client, &path(&experiment, "/results?cuped=false&label=third")).await;
    let adjusted = get(&client, &path(&experiment, "/results")).await;
    assert_eq!((&plain["from"], &plain["to"]), (&json!(20210107), &json!(20210112)));
    for metric in 0..3 {
        check(&plain, metric, all, false);
        check(&adjusted, metric, all, true);
        for (tag, of_tag) in plain["by_tag"].as_array().unwrap().iter().enumerate() {
            assert_eq!(of_tag["name"], format!("t{tag}"));
            check(of_tag, metric, &|user| third(user) == tag, false);
        }
    }
    let users = [groups[0].len() as u64, groups[1].len() as u64];
    let ratio = sample_ratio(&users, &[1.0, 1.0]).unwrap();
    assert!(near(&plain["sample_ratio"]["p_value"], ratio.p_value), "{plain}");
    assert_eq!((&plain["sample_ratio"]["mismatch"], &plain["missing_days"]), (&json!(false), &json!([])));
    assert_eq!(plain["sample_ratio_by_day"][0]["users"], json!(users));

    // Looked at every day: wider, and of the same difference.
    let daily = get(&client, &path(&experiment, "/results?cuped=false&sequential=true")).await;
    for metric in 0..3 {
        let [once, daily] = [&plain, &daily]
            .map(|results| results["metrics"][metric]["groups"][1]["against_control"].clone());
        assert_eq!((&daily["interval"], &daily["difference"]), (&json!("always_valid"), &once["difference"]));
        let width = |told: &Value| told["high"].as_f64().unwrap() - told["low"].as_f64().unwrap();
        assert!(width(&daily) > width(&once), "{daily} {once}");
    }
    floors(&client, &experiment).await;
    let (status, unknown) = client.get(&path(&experiment, "/results?label=thrid")).await;
    assert_eq!((status, &unknown["errors"][0]["nearest"]), (StatusCode::NOT_FOUND, &json!("third")));
    for query in ["level=2", "to=1"] {
        assert_eq!(
            client.get(&path(&experiment, &format!("/results?{query}"))).await.0,
            StatusCode::BAD_REQUEST
        );
    }
    let (status, none) = client.get(&path(&experiment, "/results?to=20210106")).await;
    assert_eq!((status, &none["code"]), (StatusCode::CONFLICT, &json!("no_data_yet")));
}

/// A third of either group is below it, the groups are not.
async fn floors(client: &Client<'_>, experiment: &Value) {
    let settings = |floor: u64| {
        client.request(Method::PUT, "/v1/apps/shop/settings").json(&json!({"privacy_floor": floor})).send()
    };
    assert_eq!(settings(600).await.unwrap().status(), StatusCode::OK);
    let hidden = get(client, &path(experiment, "/results?label=third")).await;
    assert!(hidden["metrics"][0]["groups"][0]["users"].is_number(), "{hidden}");
    for tag in hidden["by_tag"].as_array().unwrap() {
        for group in
            tag["metrics"].as_array().unwrap().iter().flat_map(|metric| metric["groups"].as_array().unwrap())
        {
            let told = ["users", "mean", "against_control"].map(|key| group[key].is_null());
            assert_eq!(told, [true; 3], "{group}");
        }
    }
    assert_eq!(settings(2_000).await.unwrap().status(), StatusCode::OK);
    let shown = get(client, &path(experiment, "")).await;
    assert_eq!(shown["members"][0]["users"], Value::Null, "{shown}");
    let mut refused = Vec::new();
    for user in 0..6 {
        let (status, place) = client.get(&path(experiment, &format!("/users/u{user}"))).await;
        refused.push((status.as_u16(), place["code"] == "below_floor"));
    }
    assert_eq!(refused, [(403, true); 6], "who is in a group that may not be shown");
    let small = create(client, &json!({"name": "small", "groups": halves()})).await;
    let (_, job) = client.post(&path(&small, "/start"), &json!({})).await;
    let job = client.wait(job["id"].as_str().unwrap()).await;
    assert_eq!((&job["state"], &job["error"]["code"]), (&json!("failed"), &json!("below_floor")), "{job}");
    let draft = get(client, &path(&small, "")).await;
    assert_eq!(
        (&draft["state"], &draft["failure"]["code"]),
        (&json!("draft"), &json!("below_floor")),
        "{draft}"
    );
    assert_eq!(settings(0).await.unwrap().status(), StatusCode::OK);
}
