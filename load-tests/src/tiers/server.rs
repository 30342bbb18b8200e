//! A server for the test: the program itself, on a free port, over a data folder whose profile store is
//! filled before it starts.

use std::fs::{self, File};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::Duration;

use anyhow::{Context, bail};
use muster_profile_store::Store;
use serde_json::json;

use crate::apps::Target;
use crate::engine::load::{self, Users};
use crate::engine::set::Ids;

/// Polling jobs is the caller's quota, not an app's.
const CONFIG: &str = "[gateway.quotas]\nread = { per_second = 1000000, burst = 1000000 }\n";
const STARTS_WITHIN: Duration = Duration::from_secs(60);

pub fn app_of(users: u32) -> String {
    format!("tier-{users}")
}

/// Puts the generated set of so many users into the store of a data folder, unless it is there.
pub fn fill(data: &Path, users: u32) -> anyhow::Result<()> {
    let store = Store::open(&data.join("store"))?;
    let app = app_of(users);
    if store.users(&app)?.is_none() {
        eprintln!("making an app of {users} users");
        load::fill(&app, &Users::of(users, Ids::Scattered), &store, None, data)?;
    }
    Ok(())
}

/// A server of our own; stopped when dropped.
pub struct Server {
    process: Child,
    pub address: SocketAddr,
    pub target: Target,
}

impl Server {
    /// Starts `program` over `data` and waits until it is ready.
    pub async fn start(program: &Path, data: &Path) -> anyhow::Result<Server> {
        let config = data.join("tiers.toml");
        fs::write(&config, CONFIG)?;
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let log = data.join("server.log");
        let process = Command::new(program)
            .arg("serve")
            .arg("--data")
            .arg(data)
            .arg("--config")
            .arg(&config)
            .args(["--listen", &address.to_string()])
            .stdout(File::create(&log)?)
            .stderr(File::options().append(true).open(&log)?)
            .spawn()
            .with_context(|| format!("can't start {}: build it with --release", program.display()))?;
        let target = Target { http: reqwest::Client::new(), base: format!("http://{address}"), key: None };
        let mut server = Server { process, address, target };
        server.wait_until_ready().await.with_context(|| fs::read_to_string(&log).unwrap_or_default())?;
        Ok(server)
    }

    /// The number of its process.
    pub fn id(&self) -> u32 {
        self.process.id()
    }

    async fn wait_until_ready(&mut self) -> anyhow::Result<()> {
        let ready = async {
            loop {
                if let Some(status) = self.process.try_wait()? {
                    bail!("the server ended: {status}");
                }
                let answer = self.target.request(reqwest::Method::GET, "/readyz").send().await;
                if answer.is_ok_and(|answer| answer.status().is_success()) {
                    return Ok(());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(STARTS_WITHIN, ready).await.context("the server does not get ready")?
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; nothing of it is kept either way.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The program beside this one.
pub fn program() -> anyhow::Result<PathBuf> {
    Ok(std::env::current_exe()?.with_file_name("muster"))
}

/// Quotas that are never in the way.
pub async fn lift_quotas(target: &Target, app: &str) -> anyhow::Result<()> {
    let plenty = json!({"per_second": 1_000_000, "burst": 1_000_000});
    let body = json!({"read": plenty, "estimate": plenty, "job": plenty});
    let path = format!("/v1/apps/{app}/quotas");
    let set = target.request(reqwest::Method::PUT, &path).json(&body).send().await?;
    set.error_for_status().with_context(|| format!("{app} is not there, or its quotas can't be set"))?;
    Ok(())
}
