//! The HTTP server: opens the door, mounts the services, and stops without breaking off what runs.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use muster_http::Service;
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock;
use crate::error::GatewayError;
use crate::gateway::{Gate, Gateway, Opened};
use crate::middleware::{govern, observe};
use crate::operations::once::RENEW_EVERY;
use crate::{routes, store};

/// How soon a quota that was changed at one gateway holds at the others.
const STEP_EVERY: Duration = Duration::from_secs(1);
const UPKEEP_EVERY: Duration = Duration::from_secs(60);
/// A client whose body was refused has this long to read the answer.
pub(crate) const LINGER: Duration = Duration::from_secs(5);

/// Serves on `listener` until `shutdown`, then lets running requests end. On a loopback address requests
/// without a key are the administrator, unless the settings ask for keys; on any other address this is
/// [`GatewayError::NoKeys`] while there is no valid key.
pub async fn run(
    gateway: Gateway,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), GatewayError> {
    let address = listener.local_addr()?;
    let loopback = address.ip().to_canonical().is_loopback();
    if !loopback && !store::keys::any_valid(&gateway.db).await? {
        return Err(GatewayError::NoKeys(address));
    }
    let keyless = loopback && !gateway.settings.require_keys;
    let (stop, stopping) = watch::channel(false);
    let opened = gateway.open(keyless, stopping)?;
    let gate = opened.gate.clone();
    let metrics = opened.process.metrics.clone();
    let server = start(opened, listener)?;
    tracing::info!(%address, keyless, "serving");

    let mut background = JoinSet::new();
    background.spawn(muster_telemetry::upkeep(metrics));
    background.spawn(upkeep(gate.clone()));
    background.spawn(stay(gate.clone()));
    background.spawn(keep_step(gate.clone()));
    let handle = server.handle();
    let stopped = async {
        shutdown.await;
        stop.send_replace(true);
        handle.stop(true).await;
    };
    let (served, ()) = tokio::join!(server, stopped);
    flush_usage(&gate).await;
    if let Some(gateways) = &gate.gateways {
        // The others would notice by themselves, a few seconds later.
        let _ = gateways.leave(&gate.id).await;
    }
    Ok(served?)
}

fn start(opened: Opened, listener: TcpListener) -> std::io::Result<Server> {
    let settings = opened.gate.settings.clone();
    let services: Vec<Service> = opened.services.iter().cloned().chain(opened.forward.services()).collect();
    let app = move || {
        let services = services.clone();
        App::new()
            .app_data(opened.gate.clone())
            .app_data(opened.process.clone())
            .app_data(opened.forward.clone())
            .configure(muster_http::extractors)
            .configure(move |config| muster_http::mount(config, &services, routes::mount_apps))
            .configure(routes::mount)
            .default_service(actix_web::web::to(routes::unknown))
            // The last one is the outermost.
            .wrap(from_fn(govern))
            .wrap(from_fn(observe))
    };
    let mut server = HttpServer::new(app)
        .disable_signals()
        .shutdown_timeout(settings.shutdown_seconds)
        .client_disconnect_timeout(LINGER);
    if let Some(workers) = settings.workers {
        server = server.workers(workers.get());
    }
    Ok(server.listen(listener)?.run())
}

/// Keeps in step with the other gateways: what the catalogue says of quotas, and how many share them.
async fn keep_step(gate: Data<Gate>) {
    let mut tick = tokio::time::interval(STEP_EVERY);
    loop {
        tick.tick().await;
        match store::quotas::all(&gate.db).await {
            Ok(rows) => gate.flow.set_catalogue(&rows),
            Err(err) => tracing::warn!(error = %err, "the catalogue's quotas could not be read"),
        }
        let Some(gateways) = &gate.gateways else { continue };
        match gateways.announce(&gate.id, clock::now_ms()).await {
            Ok(living) => gate.flow.set_gateways(living),
            // As many as there were.
            Err(err) => tracing::warn!(error = %err, "Redis does not tell how many gateways there are"),
        }
    }
}

/// Shows the other gateways that this one lives, and adds what apps took to what they saw.
async fn stay(gate: Data<Gate>) {
    let mut tick = tokio::time::interval(RENEW_EVERY);
    loop {
        tick.tick().await;
        flush_usage(&gate).await;
        if let Err(err) = gate.once.renew(clock::now_ms()).await {
            tracing::warn!(error = %err, "the leases of running requests could not be renewed");
        }
    }
}

async fn flush_usage(gate: &Gate) {
    if let Err(err) = gate.usage.flush(&gate.db).await {
        tracing::warn!(error = %err, "what apps took could not be written down; it is kept");
    }
}

/// Forgets what is no longer needed, now and then.
async fn upkeep(gate: Data<Gate>) {
    let mut tick = tokio::time::interval(UPKEEP_EVERY);
    loop {
        tick.tick().await;
        gate.flow.retain_recent();
        if let Err(err) = gate.usage.sweep(&gate.db, clock::now_ms()).await {
            tracing::warn!(error = %err, "old days of usage could not be deleted");
        }
        if let Err(err) = gate.once.sweep(clock::now_ms()).await {
            tracing::warn!(error = %err, "old answers could not be deleted");
        }
    }
}
