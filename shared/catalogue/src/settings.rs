//! Settings of an app. What is not set is as the deployment's configuration says.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AppSettings {
    /// The zone in which custom events are folded into days: an IANA name. Days that are published stay
    /// as they are.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "Asia/Shanghai")]
    pub time_zone: Option<String>,
    /// Hash buckets of users: settled by the first import, and refused afterwards.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 16, minimum = 1, maximum = 65536)]
    pub buckets: Option<u32>,
    /// The smallest crowd that may be shown: counts of fewer users, and of all but fewer, are null, and no
    /// cohort is made of them. 0: any.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = 20)]
    pub privacy_floor: Option<u64>,
    /// Days before today that label days and event days are kept; 0: all are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_days: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event_days: Option<u32>,
    /// Whether the app is served. Of one that is disabled, rules are refused; its files are kept aside for a
    /// while and taken in once it is enabled, and what it had published is dropped by the lifecycle. Where
    /// the deployment has basics for disabled apps, its files are taken in nonetheless, and what the profile
    /// of its newest day rests upon is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enabled: Option<bool>,
    /// The time of the day after from which on daily segments are made of a data day, in the app's zone.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "06:30")]
    pub routine_at: Option<String>,
    /// What becomes of rows of labels that the catalogue does not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown_labels: Option<UnknownLabels>,
}

impl AppSettings {
    /// Whether the app is served; `unsaid`: where it does not say.
    pub fn is_enabled(&self, unsaid: bool) -> bool {
        self.enabled.unwrap_or(unsaid)
    }
}

/// What an import does with a label that is not in the catalogue, or retired in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum UnknownLabels {
    /// It is published, and known from then on by the name it came with.
    #[default]
    Declare,
    /// Its rows are rejected.
    Refuse,
}
