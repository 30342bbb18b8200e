//! Deliveries as the API shows them.

use chrono::{DateTime, Utc};
use muster_days::Ds;
use muster_jobs::Job;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::destination::DOWNLOAD;

/// What is to be delivered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct DeliveryBody {
    /// A cohort, or a segment or list, of which the newest cohort is meant; or an experiment, whose users are
    /// delivered with the `group` that each is in now.
    pub of: String,
    /// By name: see `GET …/destinations`. `download`, and when not given: the files are kept here for a while, to be
    /// fetched from `…/files/{file}`.
    #[serde(default = "download")]
    pub destination: String,
    #[serde(default)]
    pub mode: Mode,
    /// With `changes`: the cohort since which; the one that was delivered there last when not given.
    #[serde(default)]
    pub since: Option<String>,
    /// `ndjson` (the default, and what a webhook gets), `csv` or `parquet`.
    #[serde(default = "ndjson")]
    pub format: String,
    /// By id or name, whose tags are to stand beside each id.
    #[serde(default)]
    pub labels: Vec<String>,
}

fn download() -> String {
    DOWNLOAD.to_owned()
}

fn ndjson() -> String {
    "ndjson".to_owned()
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// All users.
    #[default]
    Full,
    /// Those who entered, to be added, and those who left, to be removed.
    Changes,
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Delivery {
    pub id: String,
    pub app_id: String,
    #[serde(flatten)]
    pub asked: DeliveryBody,
    pub job_id: String,
    /// Once it is done.
    pub manifest: Option<Manifest>,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    /// When its files went, of a download.
    pub removed_at: Option<DateTime<Utc>>,
}

/// The job that delivers.
#[derive(Debug, Serialize, ToSchema)]
pub struct Accepted {
    #[serde(flatten)]
    pub job: Job,
    pub delivery_id: String,
}

/// What was delivered. It is delivered with the files, too, after them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Manifest {
    pub app_id: String,
    pub of: String,
    /// None of an experiment: each of its groups has one.
    pub cohort_id: Option<String>,
    #[schema(value_type = u32)]
    pub ds: Ds,
    /// The version of the segment's rule, of the list, or of the experiment's groups.
    pub version: u32,
    /// Content hash of the whole cohort: see `muster verify`. None of an experiment.
    pub hash: Option<String>,
    /// Users of the whole cohort, or of all groups.
    pub users: u64,
    /// Of an experiment.
    #[serde(default)]
    pub groups: Vec<GroupDelivered>,
    /// What it came to: `full` also where changes were asked for and nothing had been delivered before.
    pub mode: Mode,
    pub since: Option<String>,
    pub format: String,
    /// `10001=20261101`: the day of each label.
    pub label_days: Vec<String>,
    pub parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GroupDelivered {
    pub name: String,
    pub cohort_id: String,
    pub users: u64,
    pub hash: String,
}

/// A file, or what a webhook was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Part {
    pub what: What,
    pub users: u64,
    /// Of a file: where it lies; of a download: its name behind `…/files/`. Of a webhook: none.
    pub file: Option<String>,
    pub bytes: u64,
    /// Of a file, in hex.
    pub sha256: Option<String>,
    /// Of a webhook.
    pub batches: Option<u64>,
}

/// What is to be done with the users of a part.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum What {
    /// These, and nobody else.
    Full,
    Add,
    Remove,
}

impl What {
    pub fn name(self) -> &'static str {
        match self {
            What::Full => "full",
            What::Add => "add",
            What::Remove => "remove",
        }
    }
}

#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct DestinationShown {
    pub name: String,
    /// `download`, `folder`, `s3` or `webhook`.
    pub kind: &'static str,
}
