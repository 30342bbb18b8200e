//! Muster's evaluator beside ClickHouse's engine: the same rows, the same rules, equal counts, and how long
//! each took.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;
use muster_evaluator::{Bound, Control, SnapshotCatalogue};
use muster_load_tests::engine::bandwidth;
use muster_load_tests::engine::load::{self, Users};
use muster_load_tests::engine::peer::{self, Peer};
use muster_load_tests::engine::rules::{self, Rule};
use muster_load_tests::times::median;
use muster_profile_store::{Snapshot, Store};
use muster_rules::Caps;
use rayon::ThreadPool;

const APP: &str = "engine";

#[derive(Debug, Parser)]
struct Args {
    #[arg(long, default_value_t = 10_000_000)]
    users: u32,
    /// Runs of each rule in ClickHouse; ours run more often
    #[arg(long, default_value_t = 7)]
    runs: usize,
    /// Where the data are made; a folder that has them from an earlier run is used again
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// Only rules whose name has this in it
    #[arg(long, default_value = "")]
    only: String,
    /// Leave ClickHouse out
    #[arg(long)]
    alone: bool,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let temporary = tempfile::tempdir()?;
    let folder = args.data.clone().unwrap_or_else(|| temporary.path().to_path_buf());
    std::fs::create_dir_all(&folder)?;
    let threads = std::thread::available_parallelism()?.get();
    let mut peer = match args.alone {
        true => None,
        false => Some(Peer::start(&peer::environment(), &folder.join("clickhouse"), threads)?),
    };
    let store = Store::open(&folder.join("muster"))?;
    if store.users(APP)?.is_none() {
        if let Some(peer) = &mut peer {
            peer.make_tables()?;
        }
        let began = Instant::now();
        let users = Users::of(args.users);
        let rows = load::fill(APP, &users, &store, peer.as_mut(), &folder)?;
        eprintln!(
            "{} label rows and {} behaviour rows into both in {:.0} s",
            rows.labels,
            rows.behaviour,
            began.elapsed().as_secs_f64()
        );
    }
    let snapshot = store.snapshot(APP)?.context("nothing was published")?;
    report(&args, &snapshot, peer.as_mut(), threads)
}

fn report(
    args: &Args,
    snapshot: &Arc<Snapshot>,
    mut peer: Option<&mut Peer>,
    threads: usize,
) -> anyhow::Result<()> {
    let bandwidth = bandwidth::measure(threads);
    println!(
        "{} users, {threads} threads; memory is read at {:.1} GB/s",
        snapshot.directory().users(),
        bandwidth / 1e9
    );
    if let Some(peer) = &mut peer {
        println!("ClickHouse {}", peer.version()?);
    }
    println!("\n| rule | users | ClickHouse | Muster, 1 thread | Muster, {threads} threads | times faster |");
    println!("| :--- | ---: | ---: | ---: | ---: | ---: |");
    let one = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let all = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
    for rule in rules::all().into_iter().filter(|rule| rule.name.contains(&args.only)) {
        let (count, single) = time(&one, &rule, snapshot, args.runs * 5)?;
        let (_, parallel) = time(&all, &rule, snapshot, args.runs * 5)?;
        let theirs = match &mut peer {
            None => None,
            Some(peer) => {
                let (theirs, seconds) = peer.count(&rule.sql(), args.runs)?;
                ensure!(theirs == count, "{}: ClickHouse counts {theirs}, Muster {count}", rule.name);
                Some(median(seconds))
            }
        };
        println!(
            "| {} | {count} | {} | {:.3} ms | {:.3} ms | {} |",
            rule.name,
            theirs.map_or("-".to_owned(), |theirs| format!("{:.1} ms", theirs * 1e3)),
            single * 1e3,
            parallel * 1e3,
            theirs.map_or("-".to_owned(), |theirs| format!("{:.0}", theirs / parallel)),
        );
    }
    Ok(())
}

/// From the rule's text to its count: the count, and the median time in seconds.
fn time(pool: &ThreadPool, rule: &Rule, snapshot: &Arc<Snapshot>, runs: usize) -> anyhow::Result<(u64, f64)> {
    let text = rule.json().to_string();
    let mut times = Vec::new();
    let mut count = 0;
    for _ in 0..=runs {
        let began = Instant::now();
        count = pool.install(|| evaluate(&text, snapshot))?;
        times.push(began.elapsed().as_secs_f64());
    }
    // The first one opens the files.
    Ok((count, median(times.split_off(1))))
}

fn evaluate(text: &str, snapshot: &Arc<Snapshot>) -> anyhow::Result<u64> {
    let caps = Caps::default();
    let rule =
        muster_rules::parse(text.as_bytes(), &caps).map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let checked = muster_rules::check(&rule, &SnapshotCatalogue(snapshot), &caps)
        .map_err(|problems| anyhow::anyhow!("{problems:?}"))?;
    let bound = Bound::new(checked.plan, snapshot.clone())?;
    Ok(bound.count(&Control::NONE)?)
}
