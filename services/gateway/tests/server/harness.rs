//! Starts a server for one test, and stops it.

use std::net::TcpListener;
use std::sync::Arc;

use muster_gateway::keys::{self, NewKey};
use muster_gateway::{GatewayError, Settings, build, run};
use muster_http::{Apps, Role};
use muster_jobs::Jobs;
use muster_sql::Db;
use reqwest::header::HeaderMap;
use reqwest::{Client, Method, RequestBuilder};
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::notes::{self, Notes};

pub struct Server {
    pub base: String,
    pub client: Client,
    pub db: Db,
    pub jobs: Jobs,
    pub notes: Arc<Notes>,
    stop: oneshot::Sender<()>,
    running: JoinHandle<Result<(), GatewayError>>,
    pub folder: TempDir,
}

/// An answer, read whole.
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub text: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|err| panic!("{err}: {}", self.text))
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    pub fn number(&self, name: &str) -> u64 {
        self.header(name).unwrap_or_else(|| panic!("no {name} in {:?}", self.headers)).parse().unwrap()
    }

    /// Status and code of a problem; checks that it has the shape of one.
    pub fn problem(&self) -> (u16, String) {
        assert_eq!(self.header("content-type"), Some("application/problem+json"), "{}", self.text);
        let body = self.json();
        assert_eq!(body["status"], self.status);
        assert_eq!(body["request_id"].as_str(), self.header("x-request-id"));
        for member in ["type", "title", "detail"] {
            assert!(body[member].as_str().is_some_and(|text| !text.is_empty()), "{member}: {body}");
        }
        if matches!(self.status, 429 | 503) {
            assert!(self.number("retry-after") >= 1);
        }
        (self.status, body["code"].as_str().unwrap().to_owned())
    }
}

impl Server {
    pub async fn start(change: impl FnOnce(&mut Settings)) -> Server {
        Server::listen("127.0.0.1:0", change, |_| async {}).await
    }

    /// A server that asks for keys.
    pub async fn with_keys(change: impl FnOnce(&mut Settings)) -> Server {
        let required = |settings: &mut Settings| {
            settings.require_keys = true;
            change(settings);
        };
        Server::listen("127.0.0.1:0", required, |_| async {}).await
    }

    /// `before` works on the database before the server starts.
    pub async fn listen<F: Future<Output = ()>>(
        address: &str,
        change: impl FnOnce(&mut Settings),
        before: impl FnOnce(Db) -> F,
    ) -> Server {
        let folder = tempfile::tempdir().unwrap();
        let db = muster_real_servers::database(folder.path()).await;
        before(db.clone()).await;
        let queue = muster_jobs::QueueAt::File(folder.path().join("queue.db"));
        let jobs = Jobs::new(db.clone(), &queue, muster_jobs::Settings::default()).await.unwrap();
        let mut settings = Settings { shutdown_seconds: 5, ..Settings::default() };
        settings.workers = std::num::NonZeroUsize::new(2);
        change(&mut settings);

        let notes = Arc::new(Notes::default());
        let services = vec![notes::service(Arc::clone(&notes))];
        let gateway = build(settings, db.clone(), jobs.clone(), services).unwrap();
        let gateway = gateway.with_ready("database", database_ready(db.clone())).with_users(users());
        let listener = TcpListener::bind(address).unwrap();
        let base = format!("http://127.0.0.1:{}", listener.local_addr().unwrap().port());
        let (stop, stopped) = oneshot::channel();
        let running = tokio::spawn(run(gateway, listener, async {
            let _ = stopped.await;
        }));
        Server { base, client: Client::new(), db, jobs, notes, stop, running, folder }
    }

    pub fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.client.request(method, format!("{}{path}", self.base))
    }

    pub fn get(&self, path: &str) -> RequestBuilder {
        self.request(Method::GET, path)
    }

    /// A note being added to `app`.
    pub fn note(&self, app: &str, query: &str, text: &str) -> RequestBuilder {
        let path = format!("/v1/apps/{app}/notes{query}");
        self.request(Method::POST, &path).json(&serde_json::json!({ "text": text }))
    }

    /// The secret of a new key; no apps are all apps.
    pub async fn key(&self, apps: &[&str], roles: &[Role]) -> String {
        make_key(&self.db, apps, roles).await
    }

    pub async fn stop(self) {
        self.stop.send(()).unwrap();
        self.running.await.unwrap().unwrap();
    }
}

/// The apps that are there have a user each.
pub fn users() -> muster_gateway::AppUsers {
    Arc::new(|app| Box::pin(async move { Ok(notes::APPS.contains(&app.as_str()).then_some(1)) }))
}

fn database_ready(db: Db) -> muster_gateway::Ready {
    Arc::new(move || {
        let db = db.clone();
        Box::pin(async move { db.ping().await.map_err(|error| error.to_string()) })
    })
}

pub async fn make_key(db: &Db, apps: &[&str], roles: &[Role]) -> String {
    let apps = match apps {
        [] => Apps::All,
        some => Apps::Some(some.iter().map(|app| app.to_string()).collect()),
    };
    let new = NewKey { name: "test".into(), apps, roles: roles.iter().copied().collect() };
    keys::create(db, new, 0).await.unwrap().secret
}

pub async fn send(request: RequestBuilder) -> Answer {
    let response = request.send().await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    Answer { status, headers, text: response.text().await.unwrap() }
}

pub fn problem(status: u16, code: &str) -> (u16, String) {
    (status, code.to_owned())
}
