//! Runs the roles of one process, from start to a stop that breaks nothing off.

use std::net::{SocketAddr, TcpListener};
use std::time::SystemTime;

use anyhow::Context;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::commands::serve::ServeArgs;
use crate::config::{Config, Role};
use crate::wiring::Parts;

/// A server that runs in this process.
pub struct Running {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    tasks: JoinSet<anyhow::Result<()>>,
    parts: Parts,
}

/// Serves until Ctrl-C or SIGTERM.
pub async fn run(args: ServeArgs) -> anyhow::Result<()> {
    let config = Config::read(&args)?;
    let traces = muster_telemetry::init(&config.log, &config.telemetry, &config.service_name())?;
    let mut running = start_with(config).await?;
    let ended = tokio::select! {
        ended = running.tasks.join_next() => ended,
        () = told_to_stop() => None,
    };
    let stopped = running.stop().await;
    tokio::task::spawn_blocking(move || traces.flush()).await?;
    match ended {
        Some(early) => early.context("a part of the server fell over")?.and(stopped),
        None => stopped,
    }
}

/// Starts the server in the background and returns once it accepts connections.
pub async fn start(args: ServeArgs) -> anyhow::Result<Running> {
    start_with(Config::read(&args)?).await
}

async fn start_with(config: Config) -> anyhow::Result<Running> {
    let parts = Parts::open(&config).await?;
    let (stop, stopping) = watch::channel(false);
    let mut tasks = JoinSet::new();
    let mut address = config.listen;
    if config.has(Role::Gateway) {
        let services = parts.services(&config);
        let (db, jobs) = (parts.db.clone(), parts.jobs.clone());
        let gateway = muster_gateway::build(config.gateway.clone(), db, jobs, services)?;
        let listener =
            TcpListener::bind(config.listen).with_context(|| format!("can't listen on {}", config.listen))?;
        address = listener.local_addr()?;
        let stopped = wait(stopping.clone());
        tasks.spawn(async move { Ok(muster_gateway::run(gateway, listener, stopped).await?) });
    }
    let (jobs, handlers) = (parts.jobs.clone(), parts.handlers(&config));
    let stopped = wait(stopping.clone());
    tasks.spawn(async move { Ok(jobs.run_workers(handlers, stopped).await?) });
    let running = Running { address, stop, tasks, parts };
    running.parts.sweep(SystemTime::now()).await?;
    Ok(running)
}

impl Running {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Lets running requests end, hands running jobs back, and closes the databases.
    pub async fn stop(mut self) -> anyhow::Result<()> {
        self.stop.send_replace(true);
        let mut result = Ok(());
        while let Some(ended) = self.tasks.join_next().await {
            result = result.and(ended.context("a part of the server fell over")?);
        }
        self.parts.close().await;
        result
    }
}

async fn wait(mut stopping: watch::Receiver<bool>) {
    // An error means that the sender is gone, which is a stop as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}

async fn told_to_stop() {
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => _ = signal.recv().await,
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        _ = tokio::signal::ctrl_c() => {}
        () = terminated => {}
    }
}
