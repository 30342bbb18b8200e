//! What was measured, as a Markdown table or as JSON.

use std::time::Duration;

use serde_json::{Value, json};

use super::estimates::Times;
use crate::demo::supply::Supplied;
use crate::show::number::{grouped, rate, took};

pub struct Report {
    pub users: u64,
    pub labels: Supplied,
    pub behavior: Supplied,
    pub estimates: Vec<Times>,
    /// Ids of a cohort of everyone, streamed out.
    pub exported: Supplied,
    /// From the first user made to the last id streamed.
    pub took: Duration,
}

impl Report {
    pub fn to_markdown(&self) -> String {
        let mut lines = vec![
            format!("muster {}, {} build", env!("CARGO_PKG_VERSION"), build()),
            format!("{} cores, {}, {}", cores(), processor(), std::env::consts::ARCH),
            format!(
                "{} users, {} label rows, {} behaviour rows; took {}",
                grouped(self.users),
                grouped(self.labels.rows),
                grouped(self.behavior.rows),
                took(self.took),
            ),
            String::new(),
            "| conditions | estimates | median | p99 | median in the server | p99 in the server |".to_owned(),
            "| ---: | ---: | ---: | ---: | ---: | ---: |".to_owned(),
        ];
        lines.extend(self.estimates.iter().map(|times| {
            format!(
                "| {} | {} | {:.2} ms | {:.2} ms | {:.2} ms | {:.2} ms |",
                times.conditions,
                times.estimates(),
                times.client_ms(50),
                times.client_ms(99),
                times.server_ms(50),
                times.server_ms(99),
            )
        }));
        lines.extend([
            String::new(),
            "| stream | count | took | per second |".to_owned(),
            "| :--- | ---: | ---: | ---: |".to_owned(),
        ]);
        let streams = [
            ("label rows imported", &self.labels),
            ("behaviour rows imported", &self.behavior),
            ("ids exported", &self.exported),
        ];
        lines.extend(streams.map(|(name, done)| {
            format!(
                "| {name} | {} | {} | {} |",
                grouped(done.rows),
                took(done.took),
                rate(done.rows, done.took)
            )
        }));
        lines.join("\n")
    }

    pub fn to_json(&self) -> Value {
        let stream = |done: &Supplied| json!({"rows": done.rows, "took_ms": done.took.as_millis() as u64});
        let estimates = self.estimates.iter().map(|times| {
            json!({
                "conditions": times.conditions, "estimates": times.estimates(),
                "median_ms": times.client_ms(50), "p99_ms": times.client_ms(99),
                "server_median_ms": times.server_ms(50), "server_p99_ms": times.server_ms(99),
            })
        });
        json!({
            "version": env!("CARGO_PKG_VERSION"), "build": build(), "cores": cores(), "processor": processor(),
            "users": self.users, "labels": stream(&self.labels), "behavior": stream(&self.behavior),
            "exported": stream(&self.exported), "estimates": estimates.collect::<Vec<_>>(),
            "took_ms": self.took.as_millis() as u64,
        })
    }
}

fn build() -> &'static str {
    if cfg!(debug_assertions) { "debug" } else { "release" }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The processor's name, where the system tells it.
fn processor() -> String {
    let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = told.lines().find(|line| line.starts_with("model name"));
    let name = model.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim().to_owned());
    name.unwrap_or_else(|| "unknown processor".to_owned())
}
