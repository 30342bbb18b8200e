//! Real servers in processes of their own, on ports and a data folder of their own, and a small client.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

pub mod collector;
pub mod process;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

use muster_real_servers::free_port;
use process::Process;

/// Longer than anything here should take, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(180);

/// A deployment: one process with every role, or, where tests run split, a gateway, labels, ingest, two segments
/// processes, one of metrics and one of cohorts on MariaDB and Redis.
pub struct Server {
    pub processes: Vec<Process>,
    pub url: String,
    pub http: reqwest::Client,
    pub key: Option<String>,
}

/// The servers of a split deployment.
pub struct Stores {
    pub database: String,
    pub redis: String,
    pub prefix: String,
    /// Each process has a data folder of its own: what they share is in a bucket.
    pub apart: bool,
}

/// Leases are short, so that a killed job is taken up again soon.
const JOBS: &str = "[jobs]\nlease_seconds = 2\n";
const SECRET: &str = "a secret of the tests, of no worth";

impl Server {
    /// Serves every role on `data`, in the shape the tests run in; returns once it is ready.
    pub async fn start(data: &Path) -> Server {
        Server::start_with(data, "").await
    }

    /// With further lines of configuration.
    pub async fn start_with(data: &Path, config: &str) -> Server {
        let Some((redis, prefix)) = muster_real_servers::redis(data) else {
            return Server::embedded(data, config).await;
        };
        let database = muster_real_servers::database_url(data).await;
        Server::split(data, &Stores { database, redis, prefix, apart: false }, config).await
    }

    pub async fn embedded(data: &Path, config: &str) -> Server {
        let process = Process::start("all", data, free_port(), &[], &format!("{config}\n{JOBS}"));
        Server::of(vec![process]).await
    }

    pub async fn split(data: &Path, stores: &Stores, config: &str) -> Server {
        let ports: Vec<u16> = (0..7).map(|_| free_port()).collect();
        let at = |port: usize| format!("'http://127.0.0.1:{}'", ports[port]);
        let Stores { database, redis, prefix, apart } = stores;
        let common = format!(
            "{config}\n{JOBS}\n[database]\nurl = '{database}'\n[queue]\nurl = '{redis}'\nprefix = '{prefix}'\n"
        );
        let role = format!("{common}[services]\nsecret = '{SECRET}'\n");
        let gateway = format!(
            "{role}labels = [{}]\ningest = [{}]\nsegments = [{}, {}]\nmetrics = [{}]\ncohorts = [{}]\n",
            at(1),
            at(2),
            at(3),
            at(4),
            at(5),
            at(6)
        );
        migrate(data, &common);
        std::fs::create_dir_all(data).unwrap();
        let start = |name: &str, roles: &str, port: usize, config: &str| {
            let data = if *apart { data.join(name) } else { data.to_owned() };
            Process::start(name, &data, ports[port], &["--role", roles], config)
        };
        Server::of(vec![
            start("gateway", "gateway", 0, &gateway),
            start("labels", "labels", 1, &role),
            start("ingest", "ingest", 2, &role),
            start("segments-1", "segments", 3, &role),
            start("segments-2", "segments", 4, &role),
            start("metrics", "metrics", 5, &role),
            start("cohorts", "cohorts", 6, &role),
        ])
        .await
    }

    async fn of(mut processes: Vec<Process>) -> Server {
        let http = reqwest::Client::new();
        for process in &mut processes {
            process.until_ready(&http).await;
        }
        Server { url: processes[0].url(), processes, http, key: None }
    }

    /// SIGKILL to every process, at once.
    pub fn kill(&mut self) {
        self.processes.iter_mut().for_each(Process::kill);
    }

    /// Resident memory of the largest process in bytes.
    pub fn memory(&self) -> u64 {
        self.processes.iter().map(Process::memory).max().unwrap()
    }

    pub fn with_key(&self, key: &str) -> Client<'_> {
        Client { server: self, key: Some(key.to_owned()) }
    }

    pub fn client(&self) -> Client<'_> {
        Client { server: self, key: self.key.clone() }
    }
}

fn migrate(data: &Path, config: &str) {
    let file = data.with_extension("migrate.toml");
    std::fs::write(&file, config).unwrap();
    let done = Command::new(env!("CARGO_BIN_EXE_muster")).arg("migrate").arg("--config").arg(file).output();
    let done = done.unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

#[derive(Clone)]
pub struct Client<'a> {
    server: &'a Server,
    key: Option<String>,
}

impl Client<'_> {
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.server.http.request(method, format!("{}{path}", self.server.url));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    pub async fn get(&self, path: &str) -> (StatusCode, Value) {
        json(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> (StatusCode, Value) {
        json(self.request(Method::POST, path).json(body).send().await.unwrap()).await
    }

    pub async fn text(&self, path: &str) -> String {
        let answer = self.request(Method::GET, path).send().await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK, "{path}");
        answer.text().await.unwrap()
    }

    /// The job's id.
    pub async fn import(&self, query: &str, content_type: &str, gzip: bool, body: Vec<u8>) -> String {
        let mut request = self.request(Method::POST, &format!("/v1/imports?{query}"));
        request = request.header("content-type", content_type).body(body);
        if gzip {
            request = request.header("content-encoding", "gzip");
        }
        let answer = request.send().await.unwrap();
        let location = answer.headers().get("location").map(|value| value.to_str().unwrap().to_owned());
        let (status, job) = json(answer).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{job}");
        let id = job["id"].as_str().unwrap().to_owned();
        assert_eq!(location, Some(format!("/v1/jobs/{id}")));
        id
    }

    /// Imports CSV and waits for its end; the job.
    pub async fn import_csv(&self, query: &str, body: &str) -> Value {
        let id = self.import(query, "text/csv", false, body.as_bytes().to_vec()).await;
        self.wait(&id).await
    }

    /// The job once it is done, failed or cancelled.
    pub async fn wait(&self, id: &str) -> Value {
        let until = Instant::now() + PATIENCE;
        loop {
            let (status, job) = self.get(&format!("/v1/jobs/{id}")).await;
            assert_eq!(status, StatusCode::OK, "{job}");
            if !["queued", "running"].contains(&job["state"].as_str().unwrap()) {
                return job;
            }
            assert!(Instant::now() < until, "the job does not end: {job}");
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    pub async fn estimate(&self, app: &str, rule: &Value) -> (StatusCode, Value) {
        self.post(&format!("/v1/apps/{app}/segments/estimate"), rule).await
    }

    /// Keeps the rule and has a cohort made of it; the job's result.
    pub async fn cohort(&self, app: &str, rule: &Value) -> Value {
        let body = serde_json::json!({"name": "a test", "rule": rule});
        let (status, segment) = self.post(&format!("/v1/apps/{app}/segments"), &body).await;
        assert_eq!(status, StatusCode::CREATED, "{segment}");
        let path = format!("/v1/apps/{app}/segments/{}/run", segment["id"].as_str().unwrap());
        let (status, job) = json(self.request(Method::POST, &path).send().await.unwrap()).await;
        assert_eq!(status, StatusCode::ACCEPTED, "{job}");
        let job = self.wait(job["id"].as_str().unwrap()).await;
        assert_eq!(job["state"], "done", "{job}");
        job["result"].clone()
    }

    /// The user ids of a cohort, from CSV.
    pub async fn members(&self, app: &str, cohort: &Value) -> Vec<String> {
        let path =
            format!("/v1/apps/{app}/cohorts/{}/users?format=csv", cohort["cohort_id"].as_str().unwrap());
        let text = self.text(&path).await;
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        assert_eq!(reader.headers().unwrap(), &csv::StringRecord::from(vec!["user_id"]));
        let mut users: Vec<String> = reader.records().map(|row| row.unwrap()[0].to_owned()).collect();
        users.sort();
        users
    }
}

pub async fn json(answer: Response) -> (StatusCode, Value) {
    let status = answer.status();
    let text = answer.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

/// The folder of shared test data beside the repository, when it is there.
pub fn oulad() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let shared = std::env::var_os("MUSTER_SHARED").map_or(beside, PathBuf::from);
    let folder = shared.join("data/oulad");
    if !folder.is_dir() {
        eprintln!("no OULAD data at {}: skipped", folder.display());
        return None;
    }
    Some(folder)
}
