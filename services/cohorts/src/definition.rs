//! What an experiment is to be, as its author writes it.

use muster_days::Ds;
use muster_http::{Kind, Problem};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use crate::assignment::{in_millionths, millionths};

/// Groups of one experiment.
const GROUPS: usize = 20;
/// Metrics of one experiment.
const METRICS: usize = 20;
/// Days before an experiment that may be looked at.
const PRE_DAYS: u32 = 180;
/// Characters of a name.
const NAME: usize = 200;

/// An experiment as it is created or changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    pub name: String,
    /// A rule: whose users are split. `{"where": {"segment": "seg_…"}}`, a list, a cohort, or any other; every
    /// user of the app when not given.
    #[serde(default = "everybody")]
    #[schema(value_type = Object)]
    pub population: Value,
    #[serde(default)]
    pub membership: Membership,
    /// The first one is control: the others are compared with it.
    pub groups: Vec<GroupShare>,
    /// Experiments of one layer share no users. Without a layer an experiment knows nothing of any other.
    #[serde(default)]
    pub layer: Option<String>,
    /// Share of the layer's users that the experiment takes.
    #[serde(default = "all")]
    pub traffic: f64,
    #[serde(default)]
    pub metrics: Vec<Metric>,
    /// Only users who did this event since the experiment began are compared: those who came by what it changes.
    #[serde(default)]
    pub exposure: Option<String>,
    /// So many days before the experiment are what users are compared by beforehand, and what CUPED takes out.
    #[serde(default = "two_weeks")]
    pub pre_days: u32,
    /// Splits users into groups; one of its own when not given.
    #[serde(default)]
    pub salt: Option<String>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Membership {
    /// Who is in the audience when the experiment begins, until it ends.
    #[default]
    Frozen,
    /// Who comes into the audience later is split, too. Who leaves it is in no group any more, but stays in what
    /// is compared.
    Following,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupShare {
    pub name: String,
    /// Of the experiment's users; above 0, and together 1.
    pub share: f64,
}

/// A number per user, of an event since the experiment began.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Metric {
    pub name: String,
    pub event: String,
    pub of: NumberOf,
    /// With `sum`: the measure, such as `m_amount`.
    #[serde(default)]
    pub measure: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum NumberOf {
    /// 1 for whoever did it, 0 for the others: the mean is a share.
    Users,
    /// How often.
    Pv,
    /// What a measure comes to.
    Sum,
}

fn everybody() -> Value {
    serde_json::json!({ "where": { "all": [] } })
}

fn all() -> f64 {
    1.0
}

fn two_weeks() -> u32 {
    14
}

impl Definition {
    /// What can be said without the app's data.
    pub fn check(&self) -> Result<(), Problem> {
        name("/name", &self.name)?;
        let shares: Vec<f64> = self.groups.iter().map(|group| group.share).collect();
        if !(2..=GROUPS).contains(&shares.len()) {
            return Err(fault("/groups", "groups", format!("An experiment has 2 to {GROUPS} groups.")));
        }
        millionths(&shares).ok_or_else(|| {
            fault("/groups", "shares", "The shares of the groups are above 0 and add up to 1.".into())
        })?;
        let names = |number: usize| self.groups[..number].iter().map(|group| &group.name);
        for (number, group) in self.groups.iter().enumerate() {
            let pointer = format!("/groups/{number}/name");
            name(&pointer, &group.name)?;
            if names(number).any(|other| *other == group.name) {
                return Err(fault(&pointer, "repeated", "Another group has this name.".into()));
            }
        }
        if let Some(layer) = &self.layer {
            name("/layer", layer)?;
        }
        if in_millionths(self.traffic).unwrap_or_default() == 0 {
            return Err(fault(
                "/traffic",
                "traffic",
                "The traffic is a share above 0, and 1 at most.".into(),
            ));
        }
        if let Some(salt) = &self.salt {
            name("/salt", salt)?;
        }
        if self.pre_days > PRE_DAYS {
            return Err(fault("/pre_days", "pre_days", format!("At most {PRE_DAYS} days are looked back.")));
        }
        self.check_metrics()
    }

    fn check_metrics(&self) -> Result<(), Problem> {
        if self.metrics.len() > METRICS {
            return Err(fault(
                "/metrics",
                "metrics",
                format!("An experiment has at most {METRICS} metrics."),
            ));
        }
        for (number, metric) in self.metrics.iter().enumerate() {
            let pointer = format!("/metrics/{number}");
            name(&format!("{pointer}/name"), &metric.name)?;
            if self.metrics[..number].iter().any(|other| other.name == metric.name) {
                return Err(fault(
                    &format!("{pointer}/name"),
                    "repeated",
                    "Another metric has this name.".into(),
                ));
            }
            if (metric.of == NumberOf::Sum) != metric.measure.is_some() {
                let detail = "`sum` names a measure, and nothing else does.".to_owned();
                return Err(fault(&format!("{pointer}/measure"), "measure", detail));
            }
        }
        Ok(())
    }

    pub fn shares(&self) -> Vec<u32> {
        let shares: Vec<f64> = self.groups.iter().map(|group| group.share).collect();
        millionths(&shares).unwrap_or_default()
    }

    /// The last of the days before `from` that are looked at, and the first.
    pub fn days_before(&self, from: Ds) -> Option<(Ds, Ds)> {
        (self.pre_days > 0).then(|| (from.plus(-i64::from(self.pre_days)), from.plus(-1)))
    }
}

fn name(pointer: &str, given: &str) -> Result<(), Problem> {
    let sound = !given.trim().is_empty()
        && given.trim() == given
        && given.chars().count() <= NAME
        && !given.contains(char::is_control);
    if sound {
        return Ok(());
    }
    let detail = format!("It has 1 to {NAME} characters, and no space at its ends.");
    Err(fault(pointer, "invalid_name", detail))
}

pub fn fault(pointer: &str, code: &str, detail: String) -> Problem {
    Problem::new(Kind::Invalid, "invalid_body", detail).with_fault(pointer, code, None)
}
