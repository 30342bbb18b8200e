//! The configuration: one commented file that is embedded as default and documentation, a file of the
//! operator's that says what differs, and the command line on top.

mod sections;

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, bail};
use muster_cohorts::{DOWNLOAD, Destination, Destinations};
use muster_days::Tz;
use muster_http::identity::Secret;
use muster_http::is_padded;
use muster_ingest::rejects::RejectLimit;
use muster_ingest::retention::Retention;
use muster_jobs::QueueAt;
use muster_profile_store::BucketAt;
use muster_sql::Server;
use muster_telemetry::{LogSettings, TraceSettings};
use serde::Deserialize;

use crate::commands::serve::ServeArgs;

pub use sections::ServicesConfig;
use sections::{
    DatabaseConfig, DeliveriesConfig, IngestConfig, JobsConfig, LifecycleConfig, MetricsConfig, QueueConfig,
    SegmentsConfig, StoreConfig,
};

/// Every setting with its default and what it means.
pub const DEFAULT: &str = include_str!("muster.toml");

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub data: PathBuf,
    pub listen: SocketAddr,
    pub roles: Vec<Role>,
    pub log: LogSettings,
    pub telemetry: TraceSettings,
    pub database: DatabaseConfig,
    pub store: StoreConfig,
    pub services: ServicesConfig,
    pub queue: QueueConfig,
    pub jobs: JobsConfig,
    pub ingest: IngestConfig,
    pub lifecycle: LifecycleConfig,
    pub segments: SegmentsConfig,
    pub metrics: MetricsConfig,
    pub deliveries: DeliveriesConfig,
    pub gateway: muster_gateway::Settings,
}

/// What a process may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    Gateway,
    Labels,
    Ingest,
    Segments,
    Metrics,
    Cohorts,
}

impl Config {
    /// What the commands that work without a server need: where things are.
    pub fn of(data: Option<PathBuf>, config: Option<PathBuf>) -> anyhow::Result<Config> {
        Config::read(&ServeArgs { data, config, ..ServeArgs::default() })
    }

    /// Default, file and command line, in this order.
    pub fn read(args: &ServeArgs) -> anyhow::Result<Config> {
        let mut table: toml::Table = DEFAULT.parse().context("the embedded configuration")?;
        if let Some(path) = &args.config {
            let text = fs::read_to_string(path).with_context(|| format!("can't read {}", path.display()))?;
            let said: toml::Table = text.parse().with_context(|| format!("{}", path.display()))?;
            lay_over(&mut table, said);
        }
        let name = args.config.as_deref().unwrap_or(Path::new("the embedded configuration"));
        let mut config: Config = table.try_into().with_context(|| format!("{}", name.display()))?;
        if let Some(data) = &args.data {
            config.data = data.clone();
        }
        if let Some(listen) = args.listen {
            config.listen = listen;
        }
        if !args.roles.is_empty() {
            config.roles = args.roles.iter().map(|name| role(name)).collect::<anyhow::Result<_>>()?;
        }
        config.read_environment();
        config.check()?;
        Ok(config)
    }

    /// What may be secret need not lie in a file.
    fn read_environment(&mut self) {
        let say = |name: &str, setting: &mut String| {
            if let Ok(value) = std::env::var(name) {
                *setting = value;
            }
        };
        say("MUSTER_DATABASE_URL", &mut self.database.url);
        say("MUSTER_QUEUE_URL", &mut self.queue.url);
        say("MUSTER_SERVICES_SECRET", &mut self.services.secret);
        say("OTEL_EXPORTER_OTLP_ENDPOINT", &mut self.telemetry.endpoint);
    }

    /// The bucket that holds the profiles, when one is named.
    pub fn bucket(&self) -> Option<BucketAt> {
        let StoreConfig { url, endpoint, region } = self.store.clone();
        (!url.is_empty()).then_some(BucketAt { url, endpoint, region })
    }

    /// Where cohorts may be delivered to. Downloads lie beside the profiles: in the data folder, or in their bucket.
    pub fn destinations(&self) -> anyhow::Result<Destinations> {
        let mut all = self.deliveries.destinations.clone();
        let own = match self.bucket() {
            None => Destination::folder(self.data.join("downloads")),
            Some(BucketAt { url, endpoint, region }) => {
                let url = format!("{}/downloads", url.trim_end_matches('/'));
                Destination::bucket(&url, &endpoint, &region).context("store.url is no bucket")?
            }
        };
        if all.insert(DOWNLOAD.to_owned(), own).is_some() {
            bail!("`{DOWNLOAD}` is a destination that is always there: give yours another name");
        }
        Ok(all)
    }

    /// What gateways sign with and the other roles check; None where nothing is said.
    pub fn secret(&self) -> anyhow::Result<Option<Secret>> {
        if self.services.secret.is_empty() {
            return Ok(None);
        }
        let secret = Secret::new(&self.services.secret);
        Ok(Some(secret.context("services.secret has at least 16 bytes; take random ones")?))
    }

    fn check_services(&self) -> anyhow::Result<()> {
        let ServicesConfig { secret, labels, ingest, segments, metrics, cohorts } = &self.services;
        for url in labels.iter().chain(ingest).chain(segments).chain(metrics).chain(cohorts) {
            let named =
                url.strip_prefix("http://").is_some_and(|rest| !rest.is_empty() && !rest.contains('/'));
            if !named {
                bail!("`{url}` is no address of a role: write http://host:port, without a path");
            }
            if secret.is_empty() {
                bail!("roles elsewhere need services.secret, or MUSTER_SERVICES_SECRET: at least 16 bytes");
            }
        }
        Ok(())
    }

    /// The database server, when one is named.
    pub fn server(&self) -> anyhow::Result<Option<Server>> {
        if self.database.url.is_empty() {
            return Ok(None);
        }
        Ok(Some(Server::new(&self.database.url, self.database.connections)?))
    }

    pub fn queue_at(&self) -> anyhow::Result<QueueAt> {
        if self.queue.url.is_empty() {
            return Ok(QueueAt::File(self.data.join("queue.db")));
        }
        Ok(QueueAt::redis(&self.queue.url, &self.queue.prefix)?)
    }

    fn check(&self) -> anyhow::Result<()> {
        if self.roles.is_empty() {
            bail!(
                "a process without a role does nothing: name one of gateway, labels, ingest, segments, metrics, \
                 cohorts"
            );
        }
        if self.jobs.lease_seconds == 0 || self.jobs.max_attempts == 0 || self.jobs.share == 0 {
            bail!("jobs.lease_seconds, jobs.max_attempts and jobs.share are at least 1");
        }
        if self.database.connections == 0 {
            bail!("database.connections is at least 1");
        }
        if !(0.0..=1.0).contains(&self.telemetry.sample) {
            bail!("telemetry.sample is a share from 0 to 1");
        }
        self.server()?;
        self.secret()?;
        self.destinations()?;
        self.check_services()?;
        if self.ingest.memory_mb == 0 || self.ingest.concurrency == 0 || self.segments.concurrency == 0 {
            bail!("ingest.memory_mb, ingest.concurrency and segments.concurrency are at least 1");
        }
        let MetricsConfig { recent_days, dimension_values, concurrency, .. } = self.metrics;
        if recent_days == 0 || dimension_values == 0 || concurrency == 0 {
            bail!("metrics.recent_days, metrics.dimension_values and metrics.concurrency are at least 1");
        }
        let mut apps = self.gateway.app_quotas.keys().chain(self.ingest.time_zones.keys());
        if let Some(app) = apps.find(|app| is_padded(app)) {
            bail!("`{app}` is no id of an app: it begins or ends with white space");
        }
        self.routine_settings().map(drop)
    }

    /// What a collector of traces calls this process.
    pub fn service_name(&self) -> String {
        let names: Vec<String> = self.roles.iter().map(|role| format!("{role:?}").to_lowercase()).collect();
        format!("muster-{}", names.join("-"))
    }

    /// Evaluations that run side by side.
    pub fn evaluations(&self) -> usize {
        let cores = || std::thread::available_parallelism().map_or(1, |cores| cores.get());
        if self.segments.evaluations == 0 { cores() } else { self.segments.evaluations }
    }

    pub fn has(&self, role: Role) -> bool {
        self.roles.contains(&role)
    }

    pub fn job_settings(&self) -> muster_jobs::Settings {
        muster_jobs::Settings {
            lease: Duration::from_secs(self.jobs.lease_seconds),
            max_attempts: self.jobs.max_attempts,
            share: self.jobs.share,
            ..muster_jobs::Settings::default()
        }
    }

    pub fn metrics_settings(&self) -> muster_metrics::Settings {
        let MetricsConfig { recent_days, kept_days, dimension_values, concurrency } = self.metrics;
        let start_disabled = self.ingest.start_disabled;
        muster_metrics::Settings { recent_days, start_disabled, kept_days, dimension_values, concurrency }
    }

    fn retention(&self) -> Retention {
        let LifecycleConfig { label_days, event_days } = self.lifecycle;
        Retention { label_days, event_days }
    }

    pub fn routine_settings(&self) -> anyhow::Result<muster_segments::RoutineSettings> {
        let SegmentsConfig { routine_at, catch_up_days, kept_days, .. } = &self.segments;
        let at = muster_days::time_of_day(routine_at);
        let at = at.context("segments.routine_at is a time of day: write 06:30")?;
        let muster_ingest::Settings { zone, zones, .. } = self.ingest_settings()?;
        let (catch_up_days, kept_days) = (*catch_up_days, *kept_days);
        Ok(muster_segments::RoutineSettings { at, zone, zones, catch_up_days, kept_days })
    }

    pub fn ingest_settings(&self) -> anyhow::Result<muster_ingest::Settings> {
        let zone = |name: &String| {
            name.parse::<Tz>().map_err(|_| anyhow::anyhow!("`{name}` is no time zone: write Asia/Shanghai"))
        };
        let zones = self.ingest.time_zones.iter().map(|(app, name)| Ok((app.clone(), zone(name)?)));
        Ok(muster_ingest::Settings {
            memory: self.ingest.memory_mb << 20,
            reject_limit: RejectLimit::new(self.ingest.reject_limit).context("ingest.reject_limit")?,
            zone: zone(&self.ingest.time_zone).context("ingest.time_zone")?,
            zones: zones.collect::<anyhow::Result<_>>().context("ingest.time_zones")?,
            retention: self.retention(),
            start_disabled: self.ingest.start_disabled,
            basics_when_disabled: self.ingest.basics_when_disabled,
            aside_days: self.ingest.aside_days,
            days_ahead: self.ingest.days_ahead,
            concurrency: self.ingest.concurrency,
            ..muster_ingest::Settings::new(self.data.join("imports"))
        })
    }
}

fn role(name: &str) -> anyhow::Result<Role> {
    Ok(match name {
        "gateway" => Role::Gateway,
        "labels" => Role::Labels,
        "ingest" => Role::Ingest,
        "segments" => Role::Segments,
        "metrics" => Role::Metrics,
        "cohorts" => Role::Cohorts,
        _ => bail!(
            "there is no role `{name}`: the roles are gateway, labels, ingest, segments, metrics and cohorts"
        ),
    })
}

/// What `over` says replaces what `under` said, table by table.
fn lay_over(under: &mut toml::Table, over: toml::Table) {
    for (key, value) in over {
        match (under.get_mut(&key), value) {
            (Some(toml::Value::Table(under)), toml::Value::Table(over)) => lay_over(under, over),
            (_, value) => _ = under.insert(key, value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> anyhow::Result<Config> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        Config::read(&ServeArgs { config: Some(file.path().to_path_buf()), ..ServeArgs::default() })
    }

    #[test]
    fn the_embedded_file_says_the_defaults_of_the_gateway() {
        let config = Config::read(&ServeArgs::default()).unwrap();
        assert_eq!(config.gateway, muster_gateway::Settings::default());
        assert_eq!(config.ingest.reject_limit, RejectLimit::default().share());
        assert_eq!(config.jobs.lease_seconds, muster_jobs::Settings::default().lease.as_secs());
    }

    #[test]
    fn a_file_says_only_what_differs() {
        let text = "listen = '127.0.0.1:9'\n[ingest.time_zones]\nshop = 'Asia/Shanghai'\n[gateway.quotas]\nread = { per_second = 1, burst = 2 }";
        let config = read(text).unwrap();
        assert_eq!(config.listen.port(), 9);
        assert_eq!(
            config.ingest_settings().unwrap().zone("shop", &Default::default()).name(),
            "Asia/Shanghai"
        );
        assert_eq!(config.gateway.quotas.read, muster_gateway::Quota::new(1, 2));
        assert_eq!(config.gateway.quotas.job, muster_gateway::Quotas::default().job);
    }

    #[test]
    fn what_can_t_be_meant_stops_the_start() {
        for text in [
            "lisen = '127.0.0.1:9'",
            "[ingest]\nreject_limit = 2.0",
            "[ingest]\ntime_zone = 'Mars/Base'",
            "[ingest]\ndays_ahead = -1",
            "[ingest.time_zones]\n'shop ' = 'Asia/Shanghai'",
            "[gateway.app_quotas.' shop']\nread = { per_second = 1, burst = 2 }",
            "[jobs]\nlease_seconds = 0",
            "[ingest]\nbasics_when_disabled = 'yes'",
            "[lifecycle]\nlabel_days = -1",
            "[database]\nurl = 'postgres://host/muster'",
            "[database]\nurl = 'mysql://host'",
            "[telemetry]\nsample = 2.0",
            "[services]\nsecret = 'short'",
            "[services]\nlabels = ['http://host:1']",
            "[services]\nsecret = 'sixteen bytes at least'\nlabels = ['http://host:1/path']",
            "roles = []",
            "roles = ['cook']",
            "[gateway]\nspeed = 1",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
