//! A real server in a process of its own, on a port and a data folder of its own, and a small client.

#![allow(dead_code, reason = "each test binary uses its own part of this")]

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use reqwest::{Method, Response, StatusCode};
use serde_json::Value;

/// Longer than anything here should take, on a machine that has other things to do.
const PATIENCE: Duration = Duration::from_secs(180);

pub struct Server {
    child: Child,
    pub url: String,
    pub http: reqwest::Client,
    pub key: Option<String>,
}

impl Server {
    /// Serves every role on `data`; returns once it is ready. Leases are short, so that a killed job is
    /// taken up again soon.
    pub async fn start(data: &Path) -> Server {
        Server::start_with(data, "").await
    }

    /// With further lines of configuration.
    pub async fn start_with(data: &Path, config: &str) -> Server {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = data.with_extension("toml");
        std::fs::write(&file, format!("{config}\n[jobs]\nlease_seconds = 2\n")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_muster"))
            .args(["serve", "--data"])
            .arg(data)
            .arg("--config")
            .arg(file)
            .args(["--listen", &format!("127.0.0.1:{port}")])
            .stdin(Stdio::null())
            .stderr(
                std::fs::File::options().create(true).append(true).open(data.with_extension("log")).unwrap(),
            )
            .spawn()
            .unwrap();
        let url = format!("http://127.0.0.1:{port}");
        let server = Server { child, url, http: reqwest::Client::new(), key: None };
        let until = Instant::now() + PATIENCE;
        loop {
            match server.http.get(format!("{}/readyz", server.url)).send().await {
                Ok(answer) if answer.status() == StatusCode::OK => return server,
                _ if Instant::now() > until => panic!("the server did not get ready"),
                _ => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    /// SIGKILL, at once.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Resident memory of the server in bytes.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
    }

    pub fn with_key(&self, key: &str) -> Client<'_> {
        Client { server: self, key: Some(key.to_owned()) }
    }

    pub fn client(&self) -> Client<'_> {
        Client { server: self, key: self.key.clone() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
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
