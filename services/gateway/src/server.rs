//! The HTTP server: opens the door, mounts the services, and stops without breaking off what runs.

use std::net::TcpListener;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::middleware::from_fn;
use actix_web::web::Data;
use actix_web::{App, HttpServer};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clock;
use crate::error::GatewayError;
use crate::gateway::{Gate, Gateway, Opened};
use crate::middleware::{govern, observe};
use crate::operations::once::RENEW_EVERY;
use crate::{forward, routes, store};

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
    background.spawn(stay(gate));
    let handle = server.handle();
    let stopped = async {
        shutdown.await;
        stop.send_replace(true);
        handle.stop(true).await;
    };
    let (served, ()) = tokio::join!(server, stopped);
    Ok(served?)
}

fn start(opened: Opened, listener: TcpListener) -> std::io::Result<Server> {
    let settings = opened.gate.settings.clone();
    let app = move || {
        let services = opened.services.clone();
        let forward = opened.forward.clone();
        App::new()
            .app_data(opened.gate.clone())
            .app_data(opened.process.clone())
            .app_data(opened.forward.clone())
            .configure(muster_http::extractors)
            .configure(routes::mount)
            .configure(move |config| forward::mount(config, &forward))
            .configure(move |config| services.iter().for_each(|service| (service.routes)(config)))
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

/// Shows the other gateways that this one lives.
async fn stay(gate: Data<Gate>) {
    let mut tick = tokio::time::interval(RENEW_EVERY);
    loop {
        tick.tick().await;
        if let Err(err) = gate.once.renew(clock::now_ms()).await {
            tracing::warn!(error = %err, "the leases of running requests could not be renewed");
        }
    }
}

/// Forgets what is no longer needed, now and then.
async fn upkeep(gate: Data<Gate>) {
    let mut tick = tokio::time::interval(UPKEEP_EVERY);
    loop {
        tick.tick().await;
        gate.flow.retain_recent();
        if let Err(err) = gate.once.sweep(clock::now_ms()).await {
            tracing::warn!(error = %err, "old answers could not be deleted");
        }
    }
}
