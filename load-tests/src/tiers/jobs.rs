//! Jobs of one app: how fast they are taken, looked at, and done.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::Method;
use serde_json::{Value, json};

use super::hold::{Step, highest};
use crate::apps::Target;
use crate::stream::steady;

/// Jobs of the batch whose end is waited for.
const BATCH: usize = 100;
/// Requests open at once where it is not their times that are measured.
const SIDE_BY_SIDE: usize = 8;
const MOST_CREATED: u32 = 3_200;
const MOST_POLLED: u32 = 12_800;
const LOOK_EVERY: Duration = Duration::from_millis(20);

pub struct Measured {
    /// Creating and polling at the same time, both at the calm rate.
    pub created: Step,
    pub polled: Step,
    pub most_created: Option<Step>,
    pub most_polled: Option<Step>,
    /// Of a batch that was there at once.
    pub finished_per_second: f64,
}

/// The segment that all jobs of an app run.
struct Segment<'a> {
    target: &'a Target,
    path: String,
}

/// Creates a segment of the rule and runs it again and again, each rate for so long.
pub async fn measure(
    target: &Target,
    app: &str,
    rule: &Value,
    calm: u32,
    time: Duration,
) -> anyhow::Result<Measured> {
    let body = json!({"name": "load", "rule": rule});
    let sent = target.request(Method::POST, &format!("/v1/apps/{app}/segments")).json(&body).send().await?;
    let segment: Value = sent.error_for_status()?.json().await?;
    let id = segment["id"].as_str().context("a segment has an id")?;
    let segment = Segment { target, path: format!("/v1/apps/{app}/segments/{id}/run") };
    let (batch, finished_per_second) = segment.batch().await?;
    let poll = |number: u32| target.request(Method::GET, &job_path(&batch[number as usize % batch.len()]));
    let create = |_| target.request(Method::POST, &segment.path);

    let (created, polled) = tokio::join!(steady(calm, time, create), steady(calm, time, poll));
    segment.cancel(&created.bodies).await?;
    let (created, polled) = (Step::of(calm, &created), Step::of(calm, &polled));
    let most_created = highest(calm, MOST_CREATED, async |rate| {
        let outcome = steady(rate, time, create).await;
        segment.cancel(&outcome.bodies).await?;
        anyhow::Ok(Step::of(rate, &outcome))
    });
    let most_created = most_created.await?;
    let most_polled =
        highest(calm, MOST_POLLED, async |rate| anyhow::Ok(Step::of(rate, &steady(rate, time, poll).await)));
    Ok(Measured { created, polled, most_created, most_polled: most_polled.await?, finished_per_second })
}

impl Segment<'_> {
    /// Starts a batch at once, waits for its end, and answers with its jobs and how many were done a second.
    async fn batch(&self) -> anyhow::Result<(Vec<String>, f64)> {
        let began = Instant::now();
        let start = |_| async {
            let sent = self.target.request(Method::POST, &self.path).send().await?;
            id_of(&sent.error_for_status()?.bytes().await?)
        };
        let jobs = stream::iter(0..BATCH).map(start).buffer_unordered(SIDE_BY_SIDE);
        let jobs: Vec<String> = jobs.try_collect().await?;
        for job in &jobs {
            let state = self.wait_for(job).await?;
            ensure!(state == "done", "{job} ended as {state}");
        }
        Ok((jobs, BATCH as f64 / began.elapsed().as_secs_f64()))
    }

    async fn wait_for(&self, job: &str) -> anyhow::Result<String> {
        loop {
            let sent = self.target.request(Method::GET, &job_path(job)).send().await?;
            let job: Value = sent.error_for_status()?.json().await?;
            match job["state"].as_str().context("a job has a state")? {
                "queued" | "running" => tokio::time::sleep(LOOK_EVERY).await,
                ended => return Ok(ended.to_owned()),
            }
        }
    }

    /// Takes back what still waits, so that the next step does not run beside it. Those that have ended
    /// refuse, which is as good.
    async fn cancel(&self, answers: &[Vec<u8>]) -> anyhow::Result<()> {
        let jobs: anyhow::Result<Vec<String>> = answers.iter().map(|body| id_of(body)).collect();
        let cancel = |job: String| async move {
            let path = format!("{}/cancel", job_path(&job));
            self.target.request(Method::POST, &path).send().await.map(drop)
        };
        // The last ones wait longest.
        let jobs = stream::iter(jobs?.into_iter().rev()).map(cancel).buffer_unordered(SIDE_BY_SIDE);
        Ok(jobs.try_collect().await?)
    }
}

fn job_path(id: &str) -> String {
    format!("/v1/jobs/{id}")
}

fn id_of(job: &[u8]) -> anyhow::Result<String> {
    let job: Value = serde_json::from_slice(job)?;
    Ok(job["id"].as_str().context("a job has an id")?.to_owned())
}
