//! What is known of one label, base crowd or event besides its data.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::DisplayNames;

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct LabelCard {
    /// The name that rules use until an import brings another.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "gender")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub display_names: DisplayNames,
    /// Labels that belong together, such as `demographics`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// Who answers for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// No longer to be used: left out of lists unless asked for, and a warning where a rule names it.
    #[serde(skip_serializing_if = "is_false")]
    pub retired: bool,
    /// By code.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<i64, TagCard>,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct TagCard {
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(example = "female")]
    pub name: Option<String>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub display_names: DisplayNames,
    #[serde(skip_serializing_if = "is_false")]
    pub retired: bool,
}

/// A base crowd of the app's own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct BaseCrowdCard {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub display_names: DisplayNames,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who is in it, on the day that is looked from: a rule without `as_of`, in `all` or a predefined
    /// crowd.
    #[schema(value_type = Object, example = json!({"universe": "active_30d", "where": {"event": "order", "last_days": 30, "sum": {"m_amount": {"gte": 10000}}}}))]
    pub rule: Value,
    /// No longer to be used: nothing is worked out for it, and a warning where a rule names it.
    #[serde(default, skip_serializing_if = "is_false")]
    pub retired: bool,
}

#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default, deny_unknown_fields)]
pub struct EventCard {
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub display_names: DisplayNames,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Whether it makes a user active; every event does that does not say otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active: Option<bool>,
    /// Whether it counts as trade; `trade`, `order` and `purchase` do that do not say otherwise.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trade: Option<bool>,
}

fn is_false(it: &bool) -> bool {
    !it
}
