//! The HTTP side of a process without a gateway: the routes of its roles, for gateways only.

use std::net::TcpListener;

use actix_web::body::{BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::header::HeaderValue;
use actix_web::middleware::{Next, from_fn};
use actix_web::web::Data;
use actix_web::{App, Error, HttpMessage, HttpServer};
use muster_http::identity::{IDENTITY, Secret, Target, verify};
use muster_http::{RequestId, Service};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tracing::Span;
use utoipa::openapi::OpenApi;

use crate::error::GatewayError;
use crate::gateway::{Process, Ready};
use crate::middleware::observe;
use crate::operations::openapi::{Methods, document};
use crate::server::LINGER;
use crate::{clock, routes};

/// What needs no identity: it tells nothing about an app.
const PUBLIC: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// What a host serves, and to whom.
pub struct Host {
    pub services: Vec<Service>,
    pub secret: Secret,
    /// The conditions of `/readyz`.
    pub ready: Vec<(&'static str, Ready)>,
    /// After a stop, running requests have this long to end.
    pub shutdown_seconds: u64,
}

/// Serves on `listener` until `shutdown`, then lets running requests end. Whatever its address, it answers
/// only requests that a gateway has signed.
pub async fn host(
    host: Host,
    listener: TcpListener,
    shutdown: impl Future<Output = ()>,
) -> Result<(), GatewayError> {
    let address = listener.local_addr()?;
    let (stop, stopping) = watch::channel(false);
    let mut api = document(OpenApi::default(), host.services.iter().map(|service| &service.openapi));
    let metrics = muster_telemetry::recorder()?;
    let (methods, ready) = (Methods::of(&mut api), host.ready);
    let process = Data::new(Process { methods, ready, metrics: metrics.clone(), stopping });
    let (secret, services) = (Data::new(host.secret), host.services);
    let app = move || {
        let services = services.clone();
        App::new()
            .app_data(process.clone())
            .app_data(secret.clone())
            .configure(muster_http::extractors)
            .configure(routes::mount_process)
            .configure(move |config| muster_http::mount(config, &services, |_| {}))
            .default_service(actix_web::web::to(routes::unknown))
            // The last one is the outermost.
            .wrap(from_fn(admit_signed))
            .wrap(from_fn(observe))
    };
    let server = HttpServer::new(app)
        .disable_signals()
        .shutdown_timeout(host.shutdown_seconds)
        .client_disconnect_timeout(LINGER)
        .listen(listener)?
        .run();
    tracing::info!(%address, "serving gateways");

    let mut background = JoinSet::new();
    background.spawn(muster_telemetry::upkeep(metrics));
    let handle = server.handle();
    let stopped = async {
        shutdown.await;
        stop.send_replace(true);
        handle.stop(true).await;
    };
    let (served, ()) = tokio::join!(server, stopped);
    Ok(served?)
}

/// Lets in what a gateway vouches for, and tells the handlers who calls.
async fn admit_signed(
    secret: Data<Secret>,
    req: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if !PUBLIC.contains(&req.path()) {
        let header = req.headers().get(IDENTITY).map(HeaderValue::to_str).and_then(Result::ok);
        let path_and_query = req.uri().path_and_query().map_or("/", |target| target.as_str());
        let target = Target { method: req.method().as_str(), path_and_query };
        let (caller, request_id) = verify(&secret, header, target, clock::now_ms())?;
        Span::current().record("caller", &caller.id);
        req.extensions_mut().insert(caller);
        req.extensions_mut().insert(RequestId(request_id));
    }
    next.call(req).await.map(ServiceResponse::map_into_boxed_body)
}
