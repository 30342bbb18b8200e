//! What the gateway is made of.

use std::sync::Arc;

use actix_web::web::Data;
use futures::future::BoxFuture;
use muster_http::identity::Secret;
use muster_http::{AtOnce, Service};
use muster_jobs::Jobs;
use muster_rules::Caps;
use muster_sql::Db;
use muster_telemetry::Recorder;
use redis::aio::ConnectionManager;
use tokio::sync::watch;
use ulid::Ulid;
use utoipa::OpenApi;

use crate::error::GatewayError;
use crate::forward::{Away, Forward};
use crate::middleware::Door;
use crate::operations::authenticate::Authority;
use crate::operations::flow_control::FlowControl;
use crate::operations::once::Once;
use crate::operations::openapi::{Methods, document};
use crate::operations::sizes::{AppUsers, Sizes};
use crate::operations::slots::Slots;
use crate::operations::usage::Usage;
use crate::routes::GatewayApi;
use crate::settings::Settings;
use crate::store::gateways::Gateways;

/// Says whether a part of the process can do its work; the text says why not.
pub type Ready = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// A gateway that is ready to [`run`](crate::run).
pub struct Gateway {
    pub(crate) settings: Settings,
    pub(crate) db: Db,
    pub(crate) jobs: Jobs,
    pub(crate) services: Vec<Service>,
    pub(crate) away: Vec<Away>,
    pub(crate) secret: Option<Secret>,
    pub(crate) users: Option<AppUsers>,
    pub(crate) gateways: Option<Gateways>,
    pub(crate) caps: Caps,
    pub(crate) ready: Vec<(&'static str, Ready)>,
    pub(crate) metrics: Recorder,
}

/// A gateway in front of `services`. Installs the process's metrics recorder when there is none yet.
pub fn build(
    settings: Settings,
    db: Db,
    jobs: Jobs,
    services: Vec<Service>,
) -> Result<Gateway, GatewayError> {
    let metrics = muster_telemetry::recorder()?;
    let (away, ready) = (Vec::new(), Vec::new());
    Ok(Gateway {
        settings,
        db,
        jobs,
        services,
        away,
        secret: None,
        users: None,
        gateways: None,
        caps: Caps::default(),
        ready,
        metrics,
    })
}

impl Gateway {
    /// The caps that the segments service holds rules to, when they are not the default ones: a rule that
    /// does not parse here is taken for the cheapest.
    pub fn with_caps(mut self, caps: Caps) -> Self {
        self.caps = caps;
        self
    }

    /// Services whose requests are forwarded, signed with the secret that their processes know.
    pub fn with_away(mut self, away: Vec<Away>, secret: Option<Secret>) -> Self {
        self.away = away;
        self.secret = secret;
        self
    }

    /// How the gateway learns how large an app is, and whether it is there at all.
    pub fn with_users(mut self, users: AppUsers) -> Self {
        self.users = Some(users);
        self
    }

    /// Where the gateways of a deployment meet: each then takes its share of every quota. Without it this
    /// one takes all.
    pub fn with_redis(mut self, connection: ConnectionManager, prefix: &str) -> Self {
        self.gateways = Some(Gateways::new(connection, prefix));
        self
    }

    /// A further condition of `/readyz`, under a name for its answer.
    pub fn with_ready(mut self, name: &'static str, ready: Ready) -> Self {
        self.ready.push((name, ready));
        self
    }

    /// The OpenAPI document of the gateway and its services, as `/openapi.json` serves it.
    pub fn openapi(&self) -> utoipa::openapi::OpenApi {
        let here = self.services.iter().map(|service| &service.openapi);
        let away = self.away.iter().map(|service| &service.openapi);
        document(GatewayApi::openapi(), here.chain(away))
    }

    /// The state that all worker threads share.
    pub(crate) fn open(self, keyless: bool, stopping: watch::Receiver<bool>) -> Result<Opened, GatewayError> {
        let mut document = self.openapi();
        let here: Vec<&'static str> = self.services.iter().map(|service| service.name).collect();
        let forward = Data::new(Forward::new(self.away, self.secret));
        let process = Process {
            methods: Methods::of(&mut document),
            ready: self.ready,
            metrics: self.metrics,
            stopping: stopping.clone(),
        };
        let gate = Gate {
            door: Door::new(Authority::new(self.db.clone()), keyless),
            slots: Slots::new(&self.settings.in_flight),
            flow: FlowControl::new(&self.settings),
            once: Arc::new(Once::new(self.db.clone(), self.settings.idempotency_hours)),
            openapi: serde_json::to_string(&document).map_err(std::io::Error::other)?,
            settings: self.settings,
            db: self.db,
            jobs: self.jobs,
            sizes: Sizes::new(self.users),
            usage: Usage::default(),
            gateways: self.gateways,
            id: Ulid::generate().to_string(),
            caps: self.caps,
            here,
            at_once: self.services.iter().filter_map(|service| service.at_once.clone()).collect(),
            stopping,
        };
        let (gate, process) = (Data::new(gate), Data::new(process));
        Ok(Opened { gate, process, forward, services: self.services })
    }
}

pub(crate) struct Opened {
    pub gate: Data<Gate>,
    pub process: Data<Process>,
    pub forward: Data<Forward>,
    pub services: Vec<Service>,
}

/// What middleware and the gateway's own routes work with. The type is private to this crate, so no
/// service can put data of the same type on the App.
pub(crate) struct Gate {
    pub settings: Settings,
    pub db: Db,
    pub jobs: Jobs,
    pub door: Door,
    pub slots: Slots,
    pub flow: FlowControl,
    pub once: Arc<Once>,
    pub openapi: String,
    pub sizes: Sizes,
    pub usage: Usage,
    pub gateways: Option<Gateways>,
    /// What this gateway is called among the others; new with every process.
    pub id: String,
    pub caps: Caps,
    /// The services that run in this process.
    pub here: Vec<&'static str>,
    /// What the services know without being asked twice.
    pub at_once: Vec<AtOnce>,
    /// Turns true when the server is told to stop: what streams without end ends then.
    pub stopping: watch::Receiver<bool>,
}

/// What any process that serves HTTP needs, be it a gateway or the host of other roles.
pub(crate) struct Process {
    pub methods: Methods,
    pub ready: Vec<(&'static str, Ready)>,
    pub metrics: Recorder,
    pub stopping: watch::Receiver<bool>,
}
