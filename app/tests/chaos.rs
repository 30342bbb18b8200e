//! A split deployment under a stream of estimates and jobs, while each of its processes, Redis and MariaDB
//! are killed one after another: whoever asks gets an answer or a 503 that says when to come back, what was
//! accepted is done once, and no count changes.

mod support;

use std::fmt::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use muster_real_servers::{Maria, Redis};
use reqwest::{Method, Response, StatusCode};
use serde_json::{Value, json};
use support::{Server, Stores, json};
use tokio::task::JoinHandle;

const USERS: usize = 5_000;
const RED: u64 = 2_500;
/// How long each loss lasts, and how long the rest after it.
const LOSS: Duration = Duration::from_millis(1_500);
const REST: Duration = Duration::from_millis(1_500);

/// What one stream of requests saw.
#[derive(Default)]
struct Seen {
    answers: AtomicUsize,
    turned_away: AtomicUsize,
}

struct Streams {
    stop: Arc<AtomicBool>,
    seen: Arc<Seen>,
    estimates: Vec<JoinHandle<()>>,
    jobs: JoinHandle<Vec<String>>,
}

fn rule() -> Value {
    json!({"where": {"label": "colour", "in": ["red"]}})
}

/// The answer's body when there is one; a 503 must say when to come back.
async fn answer(
    response: reqwest::Result<Response>,
    seen: &Seen,
    gateway_may_be_away: bool,
) -> Option<Value> {
    let response = match response {
        Ok(response) => response,
        Err(error) => {
            assert!(gateway_may_be_away, "no answer at all: {error}");
            seen.turned_away.fetch_add(1, Ordering::Relaxed);
            return None;
        }
    };
    if response.status() == StatusCode::SERVICE_UNAVAILABLE {
        assert!(response.headers().contains_key("retry-after"), "{response:?}");
        seen.turned_away.fetch_add(1, Ordering::Relaxed);
        return None;
    }
    let status = response.status();
    let (_, body) = json(response).await;
    assert!(status.is_success(), "{status}: {body}");
    seen.answers.fetch_add(1, Ordering::Relaxed);
    Some(body)
}

/// Asks for as long as it is not told to stop; whatever is answered is right.
fn start_streams(url: &str, run: &str, gateway_away: Arc<AtomicBool>) -> Streams {
    let (stop, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(Seen::default()));
    let http = reqwest::Client::builder().timeout(Duration::from_secs(40)).build().unwrap();
    let estimate = |_| {
        let (stop, seen, http, away) = (stop.clone(), seen.clone(), http.clone(), gateway_away.clone());
        let url = format!("{url}/v1/apps/a/segments/estimate");
        tokio::spawn(async move {
            while !stop.load(Ordering::Relaxed) {
                let sent = http.post(&url).json(&rule()).send().await;
                if let Some(body) = answer(sent, &seen, away.load(Ordering::SeqCst)).await {
                    assert_eq!((&body["count"], &body["exact"]), (&json!(RED), &json!(true)));
                }
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
        })
    };
    let estimates: Vec<_> = (0..3).map(estimate).collect();
    let (stopped, watched, url) = (stop.clone(), seen.clone(), format!("{url}{run}"));
    let jobs = tokio::spawn(async move {
        let mut accepted = Vec::new();
        while !stopped.load(Ordering::Relaxed) {
            let sent = http.request(Method::POST, &url).send().await;
            if let Some(job) = answer(sent, &watched, gateway_away.load(Ordering::SeqCst)).await {
                accepted.push(job["id"].as_str().unwrap().to_owned());
            }
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
        accepted
    });
    Streams { stop, seen, estimates, jobs }
}

impl Streams {
    /// The jobs that were accepted.
    async fn end(self) -> Vec<String> {
        self.stop.store(true, Ordering::Relaxed);
        for stream in self.estimates {
            stream.await.unwrap();
        }
        self.jobs.await.unwrap()
    }
}

async fn one_label(server: &Server) -> String {
    let mut text = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n".to_owned();
    for user in 0..USERS {
        let (tag, name) = if user % 2 == 0 { (1, "red") } else { (2, "blue") };
        writeln!(text, "20261101,a,1,colour,user-{user},{tag},{name}").unwrap();
    }
    let job = server.client().import_csv("kind=labels", &text).await;
    assert_eq!(job["state"], "done", "{job}");
    let body = json!({"name": "red", "rule": rule()});
    let (status, segment) = server.client().post("/v1/apps/a/segments", &body).await;
    assert_eq!(status, StatusCode::CREATED, "{segment}");
    format!("/v1/apps/a/segments/{}/run", segment["id"].as_str().unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_part_is_killed_and_nothing_accepted_is_lost() {
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let (mut maria, mut redis) = (Maria::start(), Redis::start());
    let stores = Stores {
        database: maria.database("muster").await,
        redis: redis.url(),
        prefix: "chaos".to_owned(),
        apart: false,
    };
    let mut server = Server::split(&data, &stores, "").await;
    let run = one_label(&server).await;
    let gateway_away = Arc::new(AtomicBool::new(false));
    let streams = start_streams(&server.url, &run, gateway_away.clone());
    tokio::time::sleep(REST).await;

    for at in 0..server.processes.len() {
        gateway_away.store(server.processes[at].name == "gateway", Ordering::SeqCst);
        server.processes[at].kill();
        tokio::time::sleep(LOSS).await;
        server.processes[at].start_again();
        server.processes[at].until_ready(&server.http).await;
        tokio::time::sleep(Duration::from_millis(300)).await;
        gateway_away.store(false, Ordering::SeqCst);
        tokio::time::sleep(REST).await;
    }
    redis.kill();
    tokio::time::sleep(LOSS).await;
    redis.restart();
    tokio::time::sleep(REST).await;
    maria.kill();
    tokio::time::sleep(LOSS).await;
    maria.restart();
    tokio::time::sleep(REST).await;

    let seen = streams.seen.clone();
    let accepted = streams.end().await;
    let (answers, away) = (seen.answers.load(Ordering::Relaxed), seen.turned_away.load(Ordering::Relaxed));
    eprintln!("{answers} answers, {away} times told to come back, {} jobs accepted", accepted.len());
    assert!(answers > 100 && away > 0 && accepted.len() > 20, "the test did not test much");
    check_jobs(&server, &accepted).await;
    let (status, estimate) = server.client().estimate("a", &rule()).await;
    assert_eq!((status, &estimate["count"]), (StatusCode::OK, &json!(RED)));
}

/// Each accepted job has made its cohort, each cohort belongs to one job, and all hold the same users.
async fn check_jobs(server: &Server, accepted: &[String]) {
    let until = Instant::now() + Duration::from_secs(90);
    for id in accepted {
        let job = server.client().wait(id).await;
        assert_eq!(job["state"], "done", "{job}");
        assert_eq!(job["result"]["size"], RED);
        assert!(Instant::now() < until, "jobs take too long to end");
    }
    let mut made = Vec::new();
    let mut path = "/v1/apps/a/cohorts?limit=1000".to_owned();
    loop {
        let (_, page) = server.client().get(&path).await;
        made.extend(page["items"].as_array().unwrap().iter().map(|cohort| cohort["job_id"].clone()));
        let Some(next) = page["next"].as_str() else { break };
        path = format!("/v1/apps/a/cohorts?limit=1000&cursor={next}");
    }
    for id in accepted {
        assert_eq!(made.iter().filter(|job| **job == json!(id)).count(), 1, "one cohort of {id}");
    }
    // A request that broke off may have been accepted without its client learning of it.
    assert!(made.len() <= accepted.len() + 10, "{} cohorts of {} jobs", made.len(), accepted.len());
}
