//! Muster's evaluator beside ClickHouse's engine: the same rows, the same rules, equal counts, and how long
//! each took.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use clap::Parser;
use muster_evaluator::{Batch, Bound, Control, SnapshotCatalogue};
use muster_load_tests::engine::bandwidth;
use muster_load_tests::engine::load::{self, Users};
use muster_load_tests::engine::peer::{self, Peer};
use muster_load_tests::engine::rules::{self, Rule};
use muster_load_tests::engine::set::Ids;
use muster_load_tests::times::median;
use muster_profile_store::{Snapshot, Store};
use muster_rules::{Caps, Plan};
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
    /// What the users' ids are like
    #[arg(long, default_value = "scattered")]
    ids: Ids,
    /// Rules that are counted together, and one by one; 0 leaves that out
    #[arg(long, default_value_t = 200)]
    batch: usize,
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
        let users = Users::of(args.users, args.ids);
        let rows = load::fill(APP, &users, &store, peer.as_mut(), &folder)?;
        eprintln!(
            "{} label rows and {} behaviour rows into both in {:.0} s",
            rows.labels,
            rows.behaviour,
            began.elapsed().as_secs_f64()
        );
    }
    let snapshot = store.snapshot(APP)?.context("nothing was published")?;
    let machine = Machine::measure(threads)?;
    machine.table(&args, &snapshot, peer.as_mut())?;
    storage(&snapshot, peer.as_mut())?;
    machine.batch(args.batch, &snapshot)
}

/// What the rules run on.
struct Machine {
    one: ThreadPool,
    all: ThreadPool,
    threads: usize,
    /// Bytes a second that one thread and all of them read from memory.
    bandwidth: [f64; 2],
}

impl Machine {
    fn measure(threads: usize) -> anyhow::Result<Machine> {
        let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        let bandwidth = [bandwidth::measure(1), bandwidth::measure(threads)];
        Ok(Machine { one: pool(1)?, all: pool(threads)?, threads, bandwidth })
    }

    fn table(
        &self,
        args: &Args,
        snapshot: &Arc<Snapshot>,
        mut peer: Option<&mut Peer>,
    ) -> anyhow::Result<()> {
        let [one, all] = self.bandwidth.map(|bytes| bytes / 1e9);
        let (users, threads) = (snapshot.directory().users(), self.threads);
        println!("{users} users, {:?} ids, {threads} threads", args.ids);
        println!("memory is read at {one:.1} GB/s by one thread, {all:.1} GB/s by all");
        if let Some(peer) = &mut peer {
            println!("ClickHouse {}, {threads} threads", peer.version()?);
        }
        println!(
            "\n| rule | users | ClickHouse | Muster, 1 thread | Muster, {threads} threads | with each condition's \
             count | times faster | MB | time against the limit |"
        );
        println!("| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
        for rule in rules::all().into_iter().filter(|rule| rule.name.contains(&args.only)) {
            self.row(args, &rule, snapshot, peer.as_deref_mut())?;
        }
        Ok(())
    }

    fn row(
        &self,
        args: &Args,
        rule: &Rule,
        snapshot: &Arc<Snapshot>,
        peer: Option<&mut Peer>,
    ) -> anyhow::Result<()> {
        let text = rule.json().to_string();
        let runs = args.runs * 5;
        let (count, one) = time(&self.one, runs, || Ok(bind(&text, snapshot)?.count(&Control::NONE)?))?;
        let (_, all) = time(&self.all, runs, || Ok(bind(&text, snapshot)?.count(&Control::NONE)?))?;
        let (counts, each) = time(&self.all, runs, || Ok(bind(&text, snapshot)?.counts(&Control::NONE)?))?;
        ensure!(counts.count == count, "{}: {} with the conditions, {count} alone", rule.name, counts.count);
        let mut theirs = ["-".to_owned(), "-".to_owned()];
        if let Some(peer) = peer {
            let (count_there, seconds) = peer.count(&rule.sql(), args.runs)?;
            let seconds = median(seconds);
            ensure!(count_there == count, "{}: ClickHouse counts {count_there}, Muster {count}", rule.name);
            theirs = [format!("{:.1} ms", seconds * 1e3), format!("{:.0}", seconds / all)];
        }
        let bytes = bind(&text, snapshot)?.bytes()? as f64;
        let [theirs, faster] = theirs;
        println!(
            "| {} | {count} | {theirs} | {:.3} ms | {:.3} ms | {:.3} ms | {faster} | {:.1} | {:.1} |",
            rule.name,
            one * 1e3,
            all * 1e3,
            each * 1e3,
            bytes / 1e6,
            all * self.bandwidth[1] / bytes,
        );
        Ok(())
    }

    /// Rules with some conditions in common, in one pass and one by one.
    fn batch(&self, size: usize, snapshot: &Arc<Snapshot>) -> anyhow::Result<()> {
        if size == 0 {
            return Ok(());
        }
        let texts: Vec<String> = rules::some(size).iter().map(|rule| rule.json().to_string()).collect();
        let plans =
            || -> anyhow::Result<Vec<Plan>> { texts.iter().map(|text| plan(text, snapshot)).collect() };
        let together = || Ok(Batch::new(&plans()?, snapshot.clone())?.counts(&Control::NONE)?);
        let alone = || texts.iter().map(|text| Ok(bind(text, snapshot)?.count(&Control::NONE)?)).collect();
        let (counts, together) = time(&self.all, 3, together)?;
        let (counts_alone, alone): (Vec<u64>, f64) = time(&self.all, 3, alone)?;
        ensure!(counts == counts_alone, "rules taken together count otherwise than alone");
        println!(
            "\n{size} rules in one pass: {:.0} ms; one by one: {:.0} ms, {:.1} times as long",
            together * 1e3,
            alone * 1e3,
            alone / together,
        );
        Ok(())
    }
}

/// Bytes on disk.
fn storage(snapshot: &Snapshot, peer: Option<&mut Peer>) -> anyhow::Result<()> {
    let manifest = snapshot.manifest();
    let users: Vec<&str> = manifest.users.iter().map(|entry| entry.file.as_str()).collect();
    let (mut directory, mut rest) = (0, 0);
    for file in manifest.files() {
        match users.contains(&file) {
            true => directory += snapshot.file_len(file)?,
            false => rest += snapshot.file_len(file)?,
        }
    }
    println!(
        "\nMuster keeps {:.1} MB, and {:.1} MB for the users' ids",
        rest as f64 / 1e6,
        directory as f64 / 1e6
    );
    if let Some(peer) = peer {
        let (labels, behaviour) = peer.bytes()?;
        let theirs = (labels + behaviour) as f64;
        println!(
            "ClickHouse keeps {:.1} MB ({:.1} labels, {:.1} behaviour); Muster's is {:.0} % of it",
            theirs / 1e6,
            labels as f64 / 1e6,
            behaviour as f64 / 1e6,
            100.0 * rest as f64 / theirs,
        );
    }
    Ok(())
}

/// What `run` answers, and the median of its times in seconds.
fn time<T: Send>(
    pool: &ThreadPool,
    runs: usize,
    run: impl Fn() -> anyhow::Result<T> + Sync,
) -> anyhow::Result<(T, f64)> {
    // The first one opens the files.
    let mut answer = pool.install(&run)?;
    let mut times = Vec::with_capacity(runs);
    for _ in 0..runs {
        let began = Instant::now();
        answer = pool.install(&run)?;
        times.push(began.elapsed().as_secs_f64());
    }
    Ok((answer, median(times)))
}

/// From a rule's text to what can be evaluated, as the server does it.
fn bind(text: &str, snapshot: &Arc<Snapshot>) -> anyhow::Result<Bound> {
    Ok(Bound::new(plan(text, snapshot)?, snapshot.clone())?)
}

fn plan(text: &str, snapshot: &Snapshot) -> anyhow::Result<Plan> {
    let caps = Caps::default();
    let refused = |problems| anyhow::anyhow!("{problems:?}");
    let rule = muster_rules::parse(text.as_bytes(), &caps).map_err(refused)?;
    Ok(muster_rules::check(&rule, &SnapshotCatalogue::new(snapshot), &caps).map_err(refused)?.plan)
}
