//! How many rows a second become parts of the store: parsed ones, and CSV through an import; into an empty
//! store, and once more when all users are known.

use std::path::{Path, PathBuf};
use std::time::Instant;

use clap::Parser;
use muster_load_tests::builds::direct::Parsed;
use muster_load_tests::builds::files::{self, Rows};
use muster_load_tests::builds::process;
use muster_load_tests::times::median;
use muster_profile_store::Store;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[derive(Debug, Parser)]
struct Args {
    /// Each has about ten label rows and nine rows of behaviour
    #[arg(long, default_value_t = 1_000_000)]
    users: u32,
    /// Each into a new store, of which the medians are printed
    #[arg(long, default_value_t = 5)]
    runs: usize,
    /// MiB of rows that an import keeps in memory before it spills
    #[arg(long, default_value_t = 128)]
    memory: usize,
    /// Every label and day names the users in an order of its own
    #[arg(long)]
    shuffled: bool,
    /// Where the temporary files are made; the system's own place unless given
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let folder = tempfile::tempdir_in(args.data.clone().unwrap_or_else(std::env::temp_dir))?;
    println!("{} users, {} threads\n", args.users, std::thread::available_parallelism()?);
    println!("| rows | how many | into an empty store | once more | processor time a row | peak memory |");
    println!("| :--- | ---: | ---: | ---: | ---: | ---: |");
    let parsed = Parsed::labels(args.users, args.shuffled);
    measure("labels, parsed", &args, folder.path(), |store, _| Ok(parsed.publish(store)?))?;
    drop(parsed);
    let parsed = Parsed::behaviour(args.users, args.shuffled);
    measure("behaviour, parsed", &args, folder.path(), |store, _| Ok(parsed.publish(store)?))?;
    drop(parsed);
    let csv = folder.path().join("rows.csv");
    files::write_labels(&csv, args.users, args.shuffled)?;
    measure("labels, CSV", &args, folder.path(), |store, scratch| {
        files::import(&csv, Rows::Labels, store, scratch, args.memory << 20)
    })?;
    files::write_behaviour(&csv, args.users, args.shuffled)?;
    measure("behaviour, CSV", &args, folder.path(), |store, scratch| {
        files::import(&csv, Rows::Behaviour, store, scratch, args.memory << 20)
    })
}

/// Prints a line of the table.
fn measure(
    what: &str,
    args: &Args,
    folder: &Path,
    build: impl Fn(&Store, &Path) -> anyhow::Result<u64>,
) -> anyhow::Result<()> {
    process::reset_peak()?;
    let (mut rows, mut times, mut used) = (0, [Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for _ in 0..args.runs.max(1) {
        let scratch = tempfile::tempdir_in(folder)?;
        let store = Store::open(&scratch.path().join("store"))?;
        for (times, used) in times.iter_mut().zip(&mut used) {
            let (began, before) = (Instant::now(), process::processor_seconds()?);
            rows = build(&store, scratch.path())?;
            times.push(began.elapsed().as_secs_f64());
            used.push(process::processor_seconds()? - before);
        }
    }
    let speed = |times| format!("{:.2} M/s", rows as f64 / median(times) / 1e6);
    let cost = |used| format!("{:.0}", median(used) / rows as f64 * 1e9);
    let ([first, again], [first_used, again_used]) = (times, used);
    println!(
        "| {what} | {rows} | {} | {} | {} and {} ns | {} MiB |",
        speed(first),
        speed(again),
        cost(first_used),
        cost(again_used),
        process::peak()? >> 20
    );
    Ok(())
}
