//! A gateway before a role in another process: a real host on a port of its own.

use std::net::TcpListener;
use std::sync::Arc;

use muster_gateway::{Away, Host, Ready, Settings, build, host, run};
use muster_http::Role;
use muster_http::identity::{IDENTITY, Secret, Target, sign};
use muster_jobs::Jobs;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::harness::{make_key, problem, send};
use crate::notes::{self, Notes};

const SECRET: &str = "a secret of the tests, of no worth";

struct Running {
    base: String,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Running {
    async fn stop(self) {
        self.stop.send(()).unwrap();
        self.task.await.unwrap();
    }
}

/// The notes service in a host; on the port that is given, or any.
fn role(notes: &Arc<Notes>, secret: &str, port: u16) -> Running {
    let ready: Ready = Arc::new(|| Box::pin(async { Ok(()) }));
    let services = vec![notes::service(notes.clone())];
    let secret = Secret::new(secret).unwrap();
    let wanted = Host { services, secret, ready: vec![("notes", ready)], shutdown_seconds: 5 };
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let task =
        tokio::spawn(async move { host(wanted, listener, async { _ = stopped.await }).await.unwrap() });
    Running { base, stop, task }
}

struct Gateway {
    running: Running,
    client: reqwest::Client,
    key: String,
    _folder: tempfile::TempDir,
}

async fn gateway(instances: Vec<String>) -> Gateway {
    let folder = tempfile::tempdir().unwrap();
    let db = muster_real_servers::database(folder.path()).await;
    let queue = muster_jobs::QueueAt::File(folder.path().join("queue.db"));
    let jobs = Jobs::new(db.clone(), &queue, muster_jobs::Settings::default()).await.unwrap();
    let settings = Settings { shutdown_seconds: 5, require_keys: true, ..Settings::default() };
    let openapi = notes::service(Arc::default()).openapi;
    let away = vec![Away { name: "notes", openapi, instances }];
    let key = make_key(&db, &["one"], &[Role::Admin]).await;
    let gateway = build(settings, db, jobs, Vec::new()).unwrap().with_away(away, Secret::new(SECRET));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let base = format!("http://{}", listener.local_addr().unwrap());
    let (stop, stopped) = oneshot::channel::<()>();
    let task =
        tokio::spawn(async move { run(gateway, listener, async { _ = stopped.await }).await.unwrap() });
    let running = Running { base, stop, task };
    Gateway { running, client: reqwest::Client::new(), key, _folder: folder }
}

impl Gateway {
    fn add(&self, app: &str, text: &str) -> reqwest::RequestBuilder {
        let url = format!("{}/v1/apps/{app}/notes", self.running.base);
        self.client.post(url).bearer_auth(&self.key).json(&json!({ "text": text }))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_through_with_the_caller_and_nothing_else() {
    let notes = Arc::new(Notes::default());
    let role = role(&notes, SECRET, 0);
    let gateway = gateway(vec![role.base.clone()]).await;
    let made = send(gateway.add("one", "hello").header(IDENTITY, "forged")).await;
    assert_eq!(made.status, 201, "{}", made.text);
    assert!(made.header("ratelimit-remaining").is_some());
    assert_eq!(send(gateway.add("two", "hello")).await.problem(), problem(404, "app_not_found"));
    let wrong = gateway.client.delete(format!("{}/v1/apps/one/notes", gateway.running.base));
    assert_eq!(send(wrong.bearer_auth(&gateway.key)).await.problem(), problem(405, "method_not_allowed"));

    // Straight at the role: not without an identity, not with a key, not with that of another request.
    let url = format!("{}/v1/apps/one/notes", role.base);
    let straight = || gateway.client.post(&url).json(&json!({ "text": "x" }));
    assert_eq!(send(straight()).await.problem(), problem(401, "identity_refused"));
    assert_eq!(send(straight().bearer_auth(&gateway.key)).await.problem(), problem(401, "identity_refused"));
    let other = Target { method: "POST", path_and_query: "/v1/apps/two/notes" };
    let caller = muster_http::Caller::local();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
    let signed = sign(&Secret::new(SECRET).unwrap(), &caller, Some("two"), other, "r", now);
    assert_eq!(send(straight().header(IDENTITY, signed)).await.problem(), problem(401, "identity_refused"));
    for open in ["/healthz", "/readyz", "/metrics"] {
        assert_eq!(send(gateway.client.get(format!("{}{open}", role.base))).await.status, 200, "{open}");
    }
    gateway.running.stop().await;
    role.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_that_is_away_is_told_and_welcome_back() {
    let notes = Arc::new(Notes::default());
    let first = role(&notes, SECRET, 0);
    let port = first.base.rsplit(':').next().unwrap().parse().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gateway = gateway(vec![format!("http://{nobody}"), first.base.clone()]).await;
    // One of two is away: even writes go through, since nothing was sent to the other.
    for n in 0..4 {
        assert_eq!(send(gateway.add("one", &format!("note {n}"))).await.status, 201);
    }
    first.stop().await;
    let away = send(gateway.add("one", "lost")).await;
    assert_eq!(away.problem(), problem(503, "role_away"));
    assert_eq!((away.header("retry-after"), &away.json()["role"]), (Some("1"), &json!("notes")));
    let again = role(&notes, SECRET, port);
    assert_eq!(send(gateway.add("one", "back")).await.status, 201);
    gateway.running.stop().await;
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_role_with_another_secret_answers_nothing() {
    let role = role(&Arc::default(), "another secret of the tests", 0);
    let gateway = gateway(vec![role.base.clone()]).await;
    assert_eq!(send(gateway.add("one", "hello")).await.problem(), problem(503, "role_away"));
    gateway.running.stop().await;
    role.stop().await;
}
