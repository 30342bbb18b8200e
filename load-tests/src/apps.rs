//! Apps made for a test: labels of generated users, imported through the API.

use std::fmt::Write;
use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::Client;
use serde_json::{Value, json};

/// Labels of every user, with so many tags each.
const LABELS: [u32; 5] = [2, 5, 12, 30, 8];
const POLL_EVERY: Duration = Duration::from_millis(100);

/// A server under test.
#[derive(Clone)]
pub struct Target {
    pub http: Client,
    pub base: String,
    pub key: Option<String>,
}

impl Target {
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.key {
            Some(key) => request.bearer_auth(key),
            None => request,
        }
    }

    /// A request for the count of a rule.
    pub fn estimate(&self, app: &str, rule: &Value) -> reqwest::RequestBuilder {
        self.request(reqwest::Method::POST, &format!("/v1/apps/{app}/segments/estimate")).json(rule)
    }

    /// Imports an app of so many users, each with a tag of every label.
    pub async fn import(&self, app: &str, users: u32) -> anyhow::Result<()> {
        let request = self.request(reqwest::Method::POST, "/v1/imports?kind=labels");
        let sent = request.header("content-type", "text/csv").body(labels(app, users)).send().await?;
        self.follow(&sent.error_for_status()?.json().await?).await
    }

    /// Waits until a job is done.
    pub async fn follow(&self, job: &Value) -> anyhow::Result<()> {
        let path = format!("/v1/jobs/{}", job["id"].as_str().context("a job has an id")?);
        loop {
            let job: Value = self.request(reqwest::Method::GET, &path).send().await?.json().await?;
            match job["state"].as_str() {
                Some("queued" | "running") => tokio::time::sleep(POLL_EVERY).await,
                Some("done") => return Ok(()),
                _ => bail!("a job ended otherwise: {job}"),
            }
        }
    }

    /// Sets the quota of estimates, in units a second and at once.
    pub async fn set_quota(&self, app: &str, per_second: u64) -> anyhow::Result<()> {
        let body = json!({"estimate": {"per_second": per_second, "burst": per_second}});
        let path = format!("/v1/apps/{app}/quotas");
        self.request(reqwest::Method::PUT, &path).json(&body).send().await?.error_for_status()?;
        Ok(())
    }

    /// What an estimate of [`rule`] costs, by the headers of its answer.
    pub async fn cost_of_a_rule(&self, app: &str) -> anyhow::Result<u64> {
        let answer = self.estimate(app, &rule(0)).send().await?.error_for_status()?;
        let header = |name| answer.headers().get(name)?.to_str().ok()?.parse::<u64>().ok();
        let (limit, left) = (header("ratelimit-limit"), header("ratelimit-remaining"));
        Ok(limit.zip(left).map_or(1, |(limit, left)| limit.saturating_sub(left)).max(1))
    }
}

/// The same for the same numbers, on any machine.
fn labels(app: &str, users: u32) -> String {
    let mut text = "ds,app_id,label_id,label_name,user_id,tag_id,tag_name\n".to_owned();
    for (label, tags) in LABELS.iter().enumerate() {
        for user in 0..users {
            // Scattered, so that no tag is a run of neighbours.
            let tag = user.wrapping_mul(2_654_435_761).rotate_left(7 * label as u32 + 5) % tags + 1;
            _ = writeln!(text, "20261101,{app},{},label-{label},user-{user},{tag},tag-{tag}", label + 1);
        }
    }
    text
}

/// Five conditions; another number is another rule.
pub fn rule(number: u32) -> Value {
    let condition = |label: usize, tags: u32| {
        let tag = (number / (label as u32 + 1)) % tags + 1;
        json!({"label": format!("label-{label}"), "in": [tag, tag % tags + 1]})
    };
    let all: Vec<Value> = LABELS.iter().enumerate().map(|(label, &tags)| condition(label, tags)).collect();
    json!({ "where": { "all": all } })
}
