//! What insights cost: the profile of a day counted in one pass, its cells written, and its answers read.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::{Parser, ValueEnum};
use muster_load_tests::insights::matrix::Day;
use muster_load_tests::insights::reads::{self, Load, Pair};
use muster_load_tests::insights::{bare, writes};
use muster_load_tests::tiers::server::{Server, app_of, fill, program};
use muster_profile_store::Store;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Pools that a day is counted on.
const THREADS: [usize; 2] = [1, 2];

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    Matrix,
    Writes,
    Reads,
}

#[derive(Debug, Parser)]
struct Args {
    /// What is measured
    #[arg(long, value_delimiter = ',', default_value = "matrix,writes,reads")]
    parts: Vec<Part>,
    /// Users of the app whose day is counted
    #[arg(long, default_value_t = 10_000_000)]
    users: u32,
    /// Counts and writes of each kind, of which the medians are printed
    #[arg(long, default_value_t = 7)]
    runs: usize,
    /// Labels whose cells are written, each in eight crowds
    #[arg(long, default_value_t = 45)]
    labels: i64,
    /// Cells that are written with a commit each
    #[arg(long, default_value_t = 500)]
    committed: usize,
    /// Leave MariaDB out
    #[arg(long)]
    embedded: bool,
    /// Users of the app that is read
    #[arg(long, default_value_t = 100_000)]
    read_users: u32,
    /// The label that is read
    #[arg(long, default_value = "label-6")]
    label: String,
    /// Connections that reads come over
    #[arg(long, default_value_t = 32)]
    connections: usize,
    /// Seconds that each server is asked in a round
    #[arg(long, default_value_t = 5.0)]
    seconds: f64,
    /// Rounds of reads, of which the medians are printed
    #[arg(long, default_value_t = 7)]
    rounds: usize,
    /// Data folder that the apps are made in; one that has them from an earlier run is used again
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The program to start; the one beside this one unless given
    #[arg(long, value_name = "FILE")]
    program: Option<PathBuf>,
    /// Be the bare server
    #[arg(long, hide = true)]
    bare: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let runtime = tokio::runtime::Runtime::new()?;
    if args.bare {
        return runtime.block_on(bare::serve(reads::ROUTE));
    }
    let temporary = tempfile::tempdir()?;
    let data = args.data.clone().unwrap_or_else(|| temporary.path().to_path_buf());
    std::fs::create_dir_all(&data)?;
    for part in &args.parts {
        match part {
            Part::Matrix => matrix(&args, &data)?,
            Part::Writes => runtime.block_on(write(&args, temporary.path()))?,
            Part::Reads => runtime.block_on(read(&args, &data))?,
        }
    }
    Ok(())
}

fn matrix(args: &Args, data: &Path) -> anyhow::Result<()> {
    fill(data, args.users)?;
    let snapshot = Store::open(&data.join("store"))?.snapshot(&app_of(args.users))?;
    Day::new(snapshot.context("nothing was published")?)?.measure(&THREADS, args.runs)?.print();
    Ok(())
}

async fn write(args: &Args, folder: &Path) -> anyhow::Result<()> {
    let (rows, often) = (writes::rows(args.labels), (args.runs, args.committed));
    let mut measured = vec![writes::on_sqlite(folder, &rows, often).await?];
    if !args.embedded {
        measured.push(writes::on_mariadb(&rows, often).await?);
    }
    writes::print(&measured);
    Ok(())
}

async fn read(args: &Args, data: &Path) -> anyhow::Result<()> {
    fill(data, args.read_users)?;
    let app = app_of(args.read_users);
    let server = Server::start(&args.program.clone().map_or_else(program, Ok)?, data).await?;
    reads::work_out(&server, &app).await?;
    let time = Duration::from_secs_f64(args.seconds);
    let load = Load { connections: args.connections, time, rounds: args.rounds };
    let (this, path) = (std::env::current_exe()?, reads::path(&app, &args.label));
    let (pair, _bare) = Pair::new((server.address, server.id()), &path, (&this, &["--bare"])).await?;
    pair.measure(load).await?.print(args.read_users, &args.label, load);
    Ok(())
}
