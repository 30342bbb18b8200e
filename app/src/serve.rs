//! Runs the roles of one process, from start to a stop that breaks nothing off.

use std::net::{SocketAddr, TcpListener};
use std::time::SystemTime;

use anyhow::Context;
use muster_gateway::{Gateway, Host};
use muster_jobs::QueueAt;
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
    let stopped = wait(stopping.clone());
    if config.has(Role::Gateway) {
        let listener = listen(&config)?;
        address = listener.local_addr()?;
        let gateway = gateway(&config, &parts)?;
        tasks.spawn(async move { Ok(muster_gateway::run(gateway, listener, stopped).await?) });
    } else if let Some(secret) = config.secret()? {
        let listener = listen(&config)?;
        address = listener.local_addr()?;
        let (services, ready) = (parts.services(&config), parts.ready());
        let host = Host { services, secret, ready, shutdown_seconds: config.gateway.shutdown_seconds };
        tasks.spawn(async move { Ok(muster_gateway::host(host, listener, stopped).await?) });
    } else {
        tracing::info!("no services.secret: this process only takes part in jobs");
    }
    let (jobs, handlers) = (parts.jobs.clone(), parts.handlers(&config));
    let stopped = wait(stopping.clone());
    tasks.spawn(async move { Ok(jobs.run_workers(handlers, stopped).await?) });
    if config.has(Role::Ingest) {
        let (every_day, stopped) = (parts.every_day(), wait(stopping.clone()));
        tasks.spawn(async move {
            tokio::select! { () = every_day => {}, () = stopped => {} }
            Ok(())
        });
    }
    if config.has(Role::Segments) {
        let (daily, stopped) = (parts.daily(), wait(stopping.clone()));
        tasks.spawn(async move {
            tokio::select! { () = daily => {}, () = stopped => {} }
            Ok(())
        });
    }
    if config.has(Role::Cohorts) {
        let (follow, stopped) = (parts.follow(), wait(stopping.clone()));
        tasks.spawn(async move {
            tokio::select! { () = follow => {}, () = stopped => {} }
            Ok(())
        });
    }
    let running = Running { address, stop, tasks, parts };
    running.parts.sweep(&config, SystemTime::now()).await?;
    Ok(running)
}

fn listen(config: &Config) -> anyhow::Result<TcpListener> {
    TcpListener::bind(config.listen).with_context(|| format!("can't listen on {}", config.listen))
}

fn gateway(config: &Config, parts: &Parts) -> anyhow::Result<Gateway> {
    let (db, jobs) = (parts.db.clone(), parts.jobs.clone());
    let gateway = muster_gateway::build(config.gateway.clone(), db, jobs, parts.services(config))?;
    let away = Parts::away(config);
    for lost in away.iter().filter(|role| role.instances.is_empty()) {
        tracing::warn!(role = lost.name, "the role runs nowhere: its requests are answered 503");
    }
    let ready = parts.ready().into_iter();
    let mut gateway = gateway.with_away(away, config.secret()?).with_users(parts.users());
    if let QueueAt::Redis { connection, prefix } = config.queue_at()? {
        gateway = gateway.with_redis(connection, &prefix);
    }
    Ok(ready.fold(gateway, |gateway, (name, ready)| gateway.with_ready(name, ready)))
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
