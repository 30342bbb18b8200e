//! `muster bench`: makes a shop in a folder of its own, serves it, measures, and removes it.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use clap::Args;
use muster_days::Ds;
use serde_json::json;

use super::export::{self, Format};
use super::segment;
use super::serve::ServeArgs;
use crate::bench::estimates::{self, Times};
use crate::bench::report::Report;
use crate::client::upload::Kind;
use crate::client::{Client, follow};
use crate::demo::files::Recipe;
use crate::demo::shop::APP;
use crate::demo::supply::{self, Supplied};
use crate::failure::Failure;
use crate::show;

const CONDITIONS: [usize; 5] = [1, 3, 5, 10, 20];
const SEED: u64 = 7;
/// One caller asks as fast as it can: no quota may be in its way.
const CONFIG: &str = "[gateway.quotas]\nestimate = { per_second = 1000000000, burst = 1000000000 }\n";
const UNTIL: i64 = 20_261_101;

#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// Users of the shop; among fewer than 10000 not everything the rules name would occur
    #[arg(long, default_value_t = 1_000_000, value_parser = clap::value_parser!(u64).range(10_000..))]
    pub users: u64,
    /// Time for the estimates of each size; at least 200 are made
    #[arg(long, default_value_t = 5)]
    pub seconds: u64,
    /// Where the temporary data folder is made; the system's own place unless given
    #[arg(long, value_name = "DIR")]
    pub data: Option<PathBuf>,
    /// Print JSON, and nothing else
    #[arg(long)]
    pub json: bool,
}

pub async fn run(args: BenchArgs) -> Result<(), Failure> {
    let place = args.data.clone().unwrap_or_else(std::env::temp_dir);
    // Removed when it goes out of scope, on Ctrl-C too.
    let folder = tempfile::Builder::new().prefix("muster-bench-").tempdir_in(place)?;
    tokio::select! {
        report = served(&args, folder.path()) => {
            let report = report?;
            show::print(if args.json { report.to_json().to_string() } else { report.to_markdown() });
            Ok(())
        }
        _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted("stopped; the data are removed".to_owned())),
    }
}

async fn served(args: &BenchArgs, folder: &Path) -> Result<Report, Failure> {
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = folder.join("muster.toml");
    std::fs::write(&config, CONFIG)?;
    let serve = ServeArgs {
        data: Some(folder.join("data")),
        listen: Some(listen),
        config: Some(config),
        // Without metrics: its jobs would run while imports and estimates are measured.
        roles: ["gateway", "labels", "ingest", "segments"].map(str::to_owned).to_vec(),
    };
    let server = crate::serve::start(serve).await?;
    let client = Client::new(&format!("http://{}", server.address()), None)?;
    let report = measure(args, folder, &client).await;
    server.stop().await?;
    report
}

async fn measure(args: &BenchArgs, folder: &Path, client: &Client) -> Result<Report, Failure> {
    let begun = Instant::now();
    let until = Ds::from_number(UNTIL).expect("a day of the calendar");
    let recipe = Recipe { users: args.users, seed: SEED, until };
    let made = supply::make(recipe, &folder.join("files"), args.json).await?;
    let supplied = supply::import(client, &made, args.json).await?;
    let of = |wanted: Kind| supplied.iter().find(|(kind, _)| *kind == wanted).map(|(_, done)| *done);
    let nothing = Supplied { rows: 0, took: Duration::ZERO };
    Ok(Report {
        users: args.users,
        labels: of(Kind::Labels).unwrap_or(nothing),
        behavior: of(Kind::Behavior).unwrap_or(nothing),
        estimates: all_sizes(args, client).await?,
        exported: export_everyone(client, args.json).await?,
        took: begun.elapsed(),
    })
}

async fn all_sizes(args: &BenchArgs, client: &Client) -> Result<Vec<Times>, Failure> {
    let mut all = Vec::new();
    for conditions in CONDITIONS {
        all.push(estimates::measure(client, conditions, Duration::from_secs(args.seconds)).await?);
    }
    Ok(all)
}

async fn export_everyone(client: &Client, quiet: bool) -> Result<Supplied, Failure> {
    let everyone = json!({ "where": { "all": [] } });
    let segment = segment::create(client, APP, "everyone", ("manual", "last"), &everyone).await?;
    let job = segment::start(client, APP, &show::text(&segment, "id"), None).await?;
    let job = follow::to_success(client, job.id(), quiet).await?;
    let cohort = job.result("cohort_id").and_then(|id| id.as_str()).unwrap_or_default().to_owned();
    let begun = Instant::now();
    let mut nowhere = tokio::io::sink();
    let wanted = export::Wanted { app: APP, cohort: &cohort, format: Format::Ndjson, labels: None };
    let done = export::to_writer(client, wanted, &mut nowhere, quiet).await?;
    Ok(Supplied { rows: done.ids, took: begun.elapsed() })
}
