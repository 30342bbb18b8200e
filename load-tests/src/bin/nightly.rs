//! A night: the cohorts of many daily segments made in one routine run, and the same ones made by a job each; and
//! what is asked of them in the morning.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use clap::Parser;
use futures::{StreamExt, TryStreamExt, stream};
use muster_days::Ds;
use muster_load_tests::apps::Target;
use muster_load_tests::engine::rules;
use muster_load_tests::tiers::server::{Server, app_of, fill, lift_quotas, program};
use reqwest::Method;
use serde_json::{Value, json};

/// Requests that are under way at the same time.
const SIDE_BY_SIDE: usize = 8;
const LOOK_EVERY: Duration = Duration::from_millis(10);
/// Times that a question of the morning is asked.
const ROUNDS: usize = 500;

#[derive(Debug, Parser)]
struct Args {
    /// Users of the app
    #[arg(long, default_value_t = 1_000_000)]
    users: u32,
    /// Daily segments, of three conditions each out of sixty
    #[arg(long, default_value_t = 1_000)]
    segments: usize,
    /// Leave out the jobs for each
    #[arg(long)]
    alone: bool,
    /// Data folder that the app is made in; one that has it from an earlier run is used again
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The program to start; the one beside this one unless given
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
}

struct Night<'a> {
    target: &'a Target,
    /// `/v1/apps/…`
    app: String,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let temporary = tempfile::tempdir()?;
    let data = args.data.clone().unwrap_or_else(|| temporary.path().to_path_buf());
    std::fs::create_dir_all(&data)?;
    fill(&data, args.users)?;
    let server = Server::start(&args.program.clone().map_or_else(program, Ok)?, &data).await?;
    lift_quotas(&server.target, &app_of(args.users)).await?;
    let night = Night { target: &server.target, app: format!("/v1/apps/{}", app_of(args.users)) };

    // The server has a run of its own made when it first sees a daily segment, and then when data come.
    let first = night.create(json!({"where": {"all": []}})).await?;
    while night.made(&first).await?.is_none() {
        tokio::time::sleep(LOOK_EVERY * 10).await;
    }
    let rules = rules::some(args.segments).into_iter().map(|rule| night.create(rule.json()));
    let segments: Vec<String> = stream::iter(rules).buffered(SIDE_BY_SIDE).try_collect().await?;

    let (together, done) = night.routine().await?;
    println!("| users | segments | members of all | one run | a job each | times faster |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    let cohorts = night.cohorts(&segments).await?;
    let members: u64 = cohorts.values().map(|cohort| cohort["size"].as_u64().unwrap_or(0)).sum();
    let begin = format!("| {} | {} | {members} | {together:.2} s |", args.users, segments.len());
    if args.alone {
        println!("{begin} | |\n\n{done}");
        return night.morning(&first, &cohorts).await;
    }
    let (apart, hashes) = night.one_by_one(&segments).await?;
    for (segment, hash) in &hashes {
        ensure!(cohorts[segment]["hash"] == *hash, "{segment} has other members when it is made alone");
    }
    println!("{begin} {apart:.2} s | {:.1} |", apart / together);
    night.morning(&first, &cohorts).await
}

impl Night<'_> {
    async fn send(&self, method: Method, path: &str, body: Option<&Value>) -> anyhow::Result<Value> {
        let request = self.target.request(method, path);
        let request = if let Some(body) = body { request.json(body) } else { request };
        let answer = request.send().await?;
        let (status, text) = (answer.status(), answer.text().await?);
        ensure!(status.is_success(), "{path}: {text}");
        Ok(serde_json::from_str(&text)?)
    }

    async fn create(&self, rule: Value) -> anyhow::Result<String> {
        let body = json!({"name": "one of many", "refresh": "daily", "rule": rule});
        let made = self.send(Method::POST, &format!("{}/segments", self.app), Some(&body)).await?;
        Ok(made["id"].as_str().context("a segment has an id")?.to_owned())
    }

    /// The cohort of the segment's newest day.
    async fn made(&self, segment: &str) -> anyhow::Result<Option<String>> {
        let days = self.send(Method::GET, &format!("{}/segments/{segment}/days", self.app), None).await?;
        Ok(days["items"][0]["cohort_id"].as_str().map(str::to_owned))
    }

    async fn cohorts(&self, segments: &[String]) -> anyhow::Result<BTreeMap<String, Value>> {
        let cohort = |segment: String| async move {
            let id = self.made(&segment).await?.with_context(|| format!("{segment} was not made"))?;
            let cohort = self.send(Method::GET, &format!("{}/cohorts/{id}", self.app), None).await?;
            anyhow::Ok((segment, cohort))
        };
        stream::iter(segments.to_vec()).map(cohort).buffer_unordered(SIDE_BY_SIDE).try_collect().await
    }

    /// Seconds until all due segments are made, and what the job says.
    async fn routine(&self) -> anyhow::Result<(f64, Value)> {
        let began = Instant::now();
        let job = self.send(Method::POST, &format!("{}/routine", self.app), Some(&json!({}))).await?;
        let done = self.ended(&job).await?;
        Ok((began.elapsed().as_secs_f64(), done["result"].clone()))
    }

    /// Seconds until each is made by a job of its own, and the hashes of what they made.
    async fn one_by_one(&self, segments: &[String]) -> anyhow::Result<(f64, Vec<(String, Value)>)> {
        let began = Instant::now();
        let run = |segment: String| async move {
            let path = format!("{}/segments/{segment}/run", self.app);
            anyhow::Ok((segment, self.send(Method::POST, &path, Some(&json!({}))).await?))
        };
        let jobs: Vec<(String, Value)> =
            stream::iter(segments.to_vec()).map(run).buffer_unordered(SIDE_BY_SIDE).try_collect().await?;
        let mut hashes = Vec::new();
        for (segment, job) in jobs {
            hashes.push((segment, self.ended(&job).await?["result"]["hash"].clone()));
        }
        Ok((began.elapsed().as_secs_f64(), hashes))
    }

    /// `everybody` is a segment that holds all users.
    async fn morning(&self, everybody: &str, cohorts: &BTreeMap<String, Value>) -> anyhow::Result<()> {
        let everybody = self.made(everybody).await?.context("it was made")?;
        let ids: Vec<&str> = cohorts.values().filter_map(|cohort| cohort["id"].as_str()).take(100).collect();
        let users = self.some_users(&everybody, 1_000).await?;
        let memberships = json!({"users": users, "cohorts": ids});
        let profile = format!("{}/cohorts/{}/profile", self.app, ids.first().context("there are cohorts")?);
        let overlap = format!("{}/cohorts/overlap?cohorts={}", self.app, ids[..ids.len().min(6)].join(","));
        println!("\n| asked | median | p99 | median in the server | p99 in the server |");
        println!("| :--- | ---: | ---: | ---: | ---: |");
        let path = format!("{}/cohorts/membership", self.app);
        let asked = format!("{} users × {} cohorts", users.len(), ids.len());
        self.times(&asked, Method::POST, &path, Some(&memberships)).await?;
        self.times("profile of a cohort, all labels", Method::GET, &profile, None).await?;
        self.times("overlap of six cohorts", Method::GET, &overlap, None).await?;
        let one = format!("{}/cohorts/{}/users/{}", self.app, ids[0], users[0]);
        self.times("one user in one cohort, and why", Method::GET, &one, None).await?;
        let results = format!("{}/results", self.experiment().await?);
        let asked = "results of an experiment over everybody: two metrics of a week, two weeks before";
        self.times(asked, Method::GET, &results, None).await
    }

    /// One that has run for the last week; its path.
    async fn experiment(&self) -> anyhow::Result<String> {
        let events = self.send(Method::GET, &format!("{}/events", self.app), None).await?;
        let event = &events["items"][0];
        let newest =
            event["published"]["last"].as_u64().with_context(|| format!("{event} has a newest day"))?;
        let metric = |of: &str| json!({"name": of, "event": event["name"], "of": of});
        let body = json!({
            "name": "A/A", "metrics": [metric("users"), metric("pv")],
            "groups": [{"name": "control", "share": 0.5}, {"name": "treatment", "share": 0.5}],
        });
        let made = self.send(Method::POST, &format!("{}/experiments", self.app), Some(&body)).await?;
        let id = made["id"].as_str().context("an experiment has an id")?;
        let path = format!("{}/experiments/{id}", self.app);
        let from = Ds::from_number(newest as i64)?.plus(-6);
        let job = self.send(Method::POST, &format!("{path}/start"), Some(&json!({ "from": from }))).await?;
        self.ended(&job).await?;
        Ok(path)
    }

    /// So many of a cohort's users, from all over it.
    async fn some_users(&self, cohort: &str, some: usize) -> anyhow::Result<Vec<String>> {
        let path = format!("{}/cohorts/{cohort}/users?format=csv", self.app);
        let ids = self.target.request(Method::GET, &path).send().await?.error_for_status()?.text().await?;
        let ids: Vec<&str> = ids.lines().skip(1).collect();
        let step = (ids.len() / some).max(1);
        Ok(ids.iter().step_by(step).take(some).map(|id| (*id).to_owned()).collect())
    }

    /// Prints a line: how long the answer takes, asked again and again.
    async fn times(
        &self,
        asked: &str,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> anyhow::Result<()> {
        let (mut all, mut within) = (Vec::new(), Vec::new());
        for _ in 0..ROUNDS {
            let began = Instant::now();
            let answer = self.send(method.clone(), path, body).await?;
            all.push(began.elapsed().as_secs_f64() * 1e3);
            within.extend(answer["took_ms"].as_f64());
        }
        let of = |times: &mut Vec<f64>, share: f64| {
            times.sort_by(f64::total_cmp);
            let place = ((times.len() as f64 * share).ceil() as usize).saturating_sub(1);
            times.get(place).map_or_else(String::new, |time| format!("{time:.2} ms"))
        };
        let (median, p99) = (of(&mut all, 0.5), of(&mut all, 0.99));
        println!("| {asked} | {median} | {p99} | {} | {} |", of(&mut within, 0.5), of(&mut within, 0.99));
        Ok(())
    }

    async fn ended(&self, job: &Value) -> anyhow::Result<Value> {
        let path = format!("/v1/jobs/{}", job["id"].as_str().context("a job has an id")?);
        loop {
            let job = self.send(Method::GET, &path, None).await?;
            match job["state"].as_str() {
                Some("queued" | "running") => tokio::time::sleep(LOOK_EVERY).await,
                Some("done") => return Ok(job),
                _ => bail!("a job ended otherwise: {job}"),
            }
        }
    }
}
