//! The sections of the configuration, as `muster.toml` has them. What the settings mean stands there.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;

/// Where profiles are.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreConfig {
    /// Empty: the folder `store` in the data folder.
    pub url: String,
    pub endpoint: String,
    pub region: String,
}

/// Where the roles are that do not run in this process.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ServicesConfig {
    /// Empty: nothing is forwarded, and nothing is served to gateways.
    pub secret: String,
    pub labels: Vec<String>,
    pub ingest: Vec<String>,
    pub segments: Vec<String>,
    pub metrics: Vec<String>,
    pub cohorts: Vec<String>,
}

impl fmt::Debug for ServicesConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ServicesConfig { secret: _, labels, ingest, segments, metrics, cohorts } = self;
        f.debug_struct("ServicesConfig")
            .field("labels", labels)
            .field("ingest", ingest)
            .field("segments", segments)
            .field("metrics", metrics)
            .field("cohorts", cohorts)
            .finish_non_exhaustive()
    }
}

/// Where results and metadata are.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DatabaseConfig {
    /// Empty: SQLite in the data folder. It holds a password.
    pub url: String,
    pub connections: u32,
}

/// Where jobs wait, and where gateways agree on quotas.
#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueueConfig {
    /// Empty: SQLite in the data folder. It may hold a password.
    pub url: String,
    pub prefix: String,
}

impl fmt::Debug for DatabaseConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseConfig").field("connections", &self.connections).finish_non_exhaustive()
    }
}

impl fmt::Debug for QueueConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QueueConfig").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JobsConfig {
    pub lease_seconds: u64,
    pub max_attempts: u32,
    pub share: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IngestConfig {
    pub memory_mb: usize,
    pub reject_limit: f64,
    pub time_zone: String,
    #[serde(default)]
    pub time_zones: BTreeMap<String, String>,
    pub start_disabled: bool,
    pub basics_when_disabled: bool,
    pub aside_days: u32,
    pub days_ahead: u32,
    pub concurrency: usize,
}

/// Data days that are kept; 0: all.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LifecycleConfig {
    pub label_days: u32,
    pub event_days: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SegmentsConfig {
    pub concurrency: usize,
    /// 0: one per core.
    pub evaluations: usize,
    pub waiting: usize,
    pub routine_at: String,
    pub catch_up_days: usize,
    /// 0: all.
    pub kept_days: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveriesConfig {
    pub kept_days: u32,
    #[serde(default)]
    pub destinations: muster_cohorts::Destinations,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricsConfig {
    pub recent_days: u32,
    /// 0: all.
    pub kept_days: u32,
    pub dimension_values: usize,
    pub concurrency: usize,
}
