//! One app sends ten times its quota: what do two other apps notice of it?
//!
//! Quiet rounds and loud ones take turns, so that whatever else the machine does falls on both alike.

use std::time::Duration;

use clap::Parser;
use muster_load_tests::apps::{Target, rule};
use muster_load_tests::stream::{Outcome, steady};
use muster_load_tests::times::{Times, median};

const LOUD: &str = "loud";
const CALM: [&str; 2] = ["calm-1", "calm-2"];

#[derive(Debug, Parser)]
struct Args {
    /// The gateway to ask; `deploy/local.sh up` starts one
    #[arg(long, env = "MUSTER_SERVER", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// A key of an administrator of all apps, where one is needed
    #[arg(long, env = "MUSTER_KEY", hide_env_values = true)]
    key: Option<String>,
    /// Users of each of the three apps
    #[arg(long, default_value_t = 200_000)]
    users: u32,
    /// Estimates a second of each calm app
    #[arg(long, default_value_t = 40)]
    calm: u32,
    /// Estimates a second that the loud app's quota allows; it sends ten times as many
    #[arg(long, default_value_t = 40)]
    quota: u32,
    #[arg(long, default_value_t = 10)]
    seconds: u64,
    /// Pairs of a quiet and a loud round
    #[arg(long, default_value_t = 5)]
    rounds: usize,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let target = Target { http: reqwest::Client::new(), base: args.server.clone(), key: args.key.clone() };
    for app in [LOUD, CALM[0], CALM[1]] {
        target.import(app, args.users).await?;
    }
    let cost = target.cost_of_a_rule(LOUD).await?;
    target.set_quota(LOUD, cost * u64::from(args.quota)).await?;
    round(&target, &args, false).await;

    println!(
        "| round | quiet p50 | quiet p99 | loud p50 | loud p99 | p99 ratio | loud app: answered / over quota / turned away |"
    );
    println!("| ---: | ---: | ---: | ---: | ---: | ---: | :--- |");
    let (mut quiet_p99, mut loud_p99, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for number in 1..=args.rounds {
        let (quiet, _) = round(&target, &args, false).await;
        let (loud, noise) = round(&target, &args, true).await;
        let ratio = loud.millis(99) / quiet.millis(99).max(0.001);
        println!(
            "| {number} | {:.1} ms | {:.1} ms | {:.1} ms | {:.1} ms | {ratio:.2} | {} / {} / {} |",
            quiet.millis(50),
            quiet.millis(99),
            loud.millis(50),
            loud.millis(99),
            noise.answered.count(),
            noise.over_quota,
            noise.turned_away,
        );
        quiet_p99.push(quiet.millis(99));
        loud_p99.push(loud.millis(99));
        ratios.push(ratio);
    }
    println!(
        "\nmedians of {} rounds: p99 of the calm apps {:.1} ms alone, {:.1} ms beside the loud one; ratio {:.2}",
        args.rounds,
        median(quiet_p99),
        median(loud_p99),
        median(ratios),
    );
    Ok(())
}

async fn estimates(target: &Target, app: &str, per_second: u32, time: Duration) -> Outcome {
    steady(per_second, time, |number| target.estimate(app, &rule(number))).await
}

/// The calm apps' times, and what became of the loud one's requests.
async fn round(target: &Target, args: &Args, loud: bool) -> (Times, Outcome) {
    let time = Duration::from_secs(args.seconds);
    let calm = async {
        let (one, two) = tokio::join!(
            estimates(target, CALM[0], args.calm, time),
            estimates(target, CALM[1], args.calm, time)
        );
        let lost = one.lost() + two.lost();
        let mut times = one.answered;
        times.extend(&two.answered);
        if lost > 0 {
            eprintln!("{lost} requests of the calm apps were not answered");
        }
        times
    };
    let noise = async {
        match loud {
            true => estimates(target, LOUD, args.quota * 10, time).await,
            false => Outcome::default(),
        }
    };
    tokio::join!(calm, noise)
}
