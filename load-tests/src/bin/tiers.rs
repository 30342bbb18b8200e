//! Apps of several sizes, rules of several numbers of conditions: how fast estimates are answered, and the
//! highest rate held with 99 of 100 answers within 100 ms; the same for creating and polling jobs.

use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use muster_load_tests::apps::Target;
use muster_load_tests::stream::steady;
use muster_load_tests::tiers::chart::{self, Line};
use muster_load_tests::tiers::hold::{Step, highest};
use muster_load_tests::tiers::jobs::{self, Measured};
use muster_load_tests::tiers::rules::Rules;
use muster_load_tests::tiers::server::{Server, app_of, fill, lift_quotas, program};

/// Asked before rules of another size are timed, so that connections are open.
const WARM_UP: u32 = 20;
/// The calm rate is measured for so many times the time of a step: its percentiles are the ones quoted.
const CALM_STEPS: u32 = 5;
/// Past this rate the sender would be measured.
const MOST: u32 = 12_800;

#[derive(Debug, Parser)]
struct Args {
    /// Users of the apps
    #[arg(long, value_delimiter = ',', default_value = "10000,100000,1000000,10000000")]
    tiers: Vec<u32>,
    /// Numbers of conditions
    #[arg(long, value_delimiter = ',', default_value = "1,3,5,10,20")]
    conditions: Vec<usize>,
    /// Seconds that each rate is held for; the calm one five times as long
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// The calm rate, requests a second
    #[arg(long, default_value_t = 50)]
    calm: u32,
    /// Data folder that the apps are made in; one that has them from an earlier run is used again
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// A server that runs already, over the folder that --data names or with the apps in it
    #[arg(long, env = "MUSTER_SERVER")]
    server: Option<String>,
    /// A key of an administrator of all apps, where one is needed
    #[arg(long, env = "MUSTER_KEY", hide_env_values = true)]
    key: Option<String>,
    /// The program to start; the one beside this one unless given
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Where the chart is written
    #[arg(long, value_name = "FILE", default_value = "tiers.svg")]
    out: PathBuf,
}

/// What rules of one size came to in one app.
struct Row {
    users: u32,
    conditions: usize,
    calm: Step,
    most: Option<Step>,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let temporary = tempfile::tempdir()?;
    let data = match (&args.data, &args.server) {
        (Some(data), _) => Some(data.clone()),
        (None, None) => Some(temporary.path().to_path_buf()),
        (None, Some(_)) => None,
    };
    if let Some(data) = &data {
        std::fs::create_dir_all(data)?;
        args.tiers.iter().try_for_each(|&users| fill(data, users))?;
    }
    let mut own = None;
    let target = match (&args.server, &data) {
        (None, Some(data)) => {
            let program = args.program.clone().map_or_else(program, Ok)?;
            own.insert(Server::start(&program, data).await?).target.clone()
        }
        (server, _) => {
            let base = server.clone().unwrap_or_default();
            Target { http: reqwest::Client::new(), base, key: args.key.clone() }
        }
    };
    measure(&args, &target).await
}

async fn measure(args: &Args, target: &Target) -> anyhow::Result<()> {
    let rules = Rules::new();
    let (mut rows, mut of_jobs) = (Vec::new(), Vec::new());
    for &users in &args.tiers {
        lift_quotas(target, &app_of(users)).await?;
        for rule in rules.of_everything() {
            target.estimate(&app_of(users), &rule).send().await?.error_for_status()?;
        }
        for &conditions in &args.conditions {
            rows.push(estimates(args, target, &rules, users, conditions).await?);
        }
        let (rule, time) = (rules.rule(10, 0), Duration::from_secs(args.seconds));
        of_jobs.push((users, jobs::measure(target, &app_of(users), &rule, args.calm, time).await?));
    }
    print_estimates(args.calm, &rows);
    print_jobs(args.calm, &of_jobs);
    std::fs::write(&args.out, draw(&args.conditions, &rows))?;
    eprintln!("the chart is in {}", args.out.display());
    Ok(())
}

async fn estimates(
    args: &Args,
    target: &Target,
    rules: &Rules,
    users: u32,
    conditions: usize,
) -> anyhow::Result<Row> {
    let (app, step) = (app_of(users), Duration::from_secs(args.seconds));
    let mut asked = 0;
    let mut ask = async |rate, time| {
        // Numbers go on from step to step: no rule is asked twice.
        let from = asked;
        let outcome = steady(rate, time, |number| {
            asked = from + number + 1;
            target.estimate(&app, &rules.rule(conditions, from + number))
        });
        Step::of(rate, &outcome.await)
    };
    ask(WARM_UP, Duration::from_secs(1)).await;
    let calm = ask(args.calm, step * CALM_STEPS).await;
    let most = highest(args.calm, MOST, async |rate| anyhow::Ok(ask(rate, step).await)).await?;
    let (p99, held) = (millis(calm.p99, calm.lost), rate(&most));
    eprintln!("{users} users, {conditions} conditions: p99 {p99} at {}/s, {held} held", args.calm);
    Ok(Row { users, conditions, calm, most })
}

fn print_estimates(calm: u32, rows: &[Row]) {
    println!("| users | conditions | p50 at {calm}/s | p99 at {calm}/s | highest rate held | p99 there |");
    println!("| ---: | ---: | ---: | ---: | ---: | ---: |");
    for Row { users, conditions, calm, most } in rows {
        println!(
            "| {users} | {conditions} | {} | {} | {} | {} |",
            millis(calm.p50, calm.lost),
            millis(calm.p99, calm.lost),
            rate(most),
            most.map_or("-".to_owned(), |step| millis(step.p99, 0)),
        );
    }
    let largest = rows.iter().filter(|row| row.conditions == 10).max_by_key(|row| row.users);
    if let Some(Row { users, calm, .. }) = largest {
        println!(
            "\n10 conditions, {users} users, {} requests a second: p50 {}, p99 {}\n",
            calm.rate,
            millis(calm.p50, calm.lost),
            millis(calm.p99, calm.lost),
        );
    }
}

fn print_jobs(calm: u32, rows: &[(u32, Measured)]) {
    println!(
        "| users | create p50 at {calm}/s | create p99 | highest rate created | poll p50 at {calm}/s | poll p99 | \
         highest rate polled | jobs done a second |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (users, jobs) in rows {
        println!(
            "| {users} | {} | {} | {} | {} | {} | {} | {:.1} |",
            millis(jobs.created.p50, jobs.created.lost),
            millis(jobs.created.p99, jobs.created.lost),
            rate(&jobs.most_created),
            millis(jobs.polled.p50, jobs.polled.lost),
            millis(jobs.polled.p99, jobs.polled.lost),
            rate(&jobs.most_polled),
            jobs.finished_per_second,
        );
    }
}

/// Says it when requests were lost: percentiles are of those that were answered.
fn millis(time: f64, lost: usize) -> String {
    match lost {
        0 => format!("{time:.2} ms"),
        lost => format!("{time:.2} ms, {lost} lost"),
    }
}

fn rate(step: &Option<Step>) -> String {
    step.map_or("none".to_owned(), |step| format!("{}/s", step.rate))
}

fn draw(conditions: &[usize], rows: &[Row]) -> String {
    let lines = rows.chunk_by(|a, b| a.users == b.users).map(|rows| Line {
        name: format!("{} users", rows[0].users),
        rates: rows.iter().map(|row| row.most.map_or(0, |step| step.rate)).collect(),
    });
    let title = "Estimates a second held with p99 under 100 ms";
    chart::svg(title, conditions, &lines.collect::<Vec<_>>())
}
