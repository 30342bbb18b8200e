//! Damages store files and reads them, case after case, on every core. Ends with an error when a case
//! panics, hangs, or has an answer that is neither right nor refused by the name of the file.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::bail;
use clap::Parser;
use muster_load_tests::damage::{Bench, Size, Verdict};

/// After so many failures the rest would say the same.
const ENOUGH: usize = 20;
/// A case this long is taken for one that never ends.
const HANGS: Duration = Duration::from_secs(120);
/// One case in so many is about the larger store.
const LARGE: u64 = 25;

#[derive(Debug, Parser)]
struct Args {
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// The first case; cases go on from it, and without it from a new number every time
    #[arg(long)]
    from: Option<u64>,
    /// Runs this one case only
    #[arg(long)]
    case: Option<u64>,
    #[arg(long)]
    threads: Option<usize>,
}

#[derive(Default)]
struct Tally {
    next: AtomicU64,
    harmless: AtomicU64,
    refused: AtomicU64,
    survived: AtomicU64,
    failed: AtomicUsize,
}

impl Tally {
    fn line(&self) -> String {
        let of = |number: &AtomicU64| number.load(Ordering::Relaxed);
        let (refused, harmless, survived) = (of(&self.refused), of(&self.harmless), of(&self.survived));
        format!(
            "{} cases: {refused} refused by name, {harmless} harmless, {survived} hostile ones read, {} failed",
            refused + harmless + survived + self.failed() as u64,
            self.failed()
        )
    }

    fn failed(&self) -> usize {
        self.failed.load(Ordering::Relaxed)
    }

    fn run(&self, benches: &(Bench, Bench), case: u64) {
        let bench = if case.is_multiple_of(LARGE) { &benches.1 } else { &benches.0 };
        let counter = match bench.run(case) {
            Ok(Verdict::Harmless) => &self.harmless,
            Ok(Verdict::Refused) => &self.refused,
            Ok(Verdict::Survived) => &self.survived,
            Err(error) => {
                eprintln!("case {case}: {error:#}");
                self.failed.fetch_add(1, Ordering::Relaxed);
                return;
            }
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

fn build() -> anyhow::Result<(Bench, Bench)> {
    Ok((Bench::build(Size::Small)?, Bench::build(Size::Large)?))
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let tally = Tally::default();
    if let Some(case) = args.case {
        tally.run(&build()?, case);
    } else {
        let clock = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        tally.next.store(args.from.unwrap_or(clock << 20), Ordering::Relaxed);
        eprintln!("from case {} on, for {} s", tally.next.load(Ordering::Relaxed), args.seconds);
        let cores = std::thread::available_parallelism()?.get();
        let until = Instant::now() + Duration::from_secs(args.seconds);
        run_until(&tally, until, args.threads.unwrap_or(cores))?;
    }
    println!("{}", tally.line());
    match tally.failed() {
        0 => Ok(()),
        failed => bail!("{failed} cases failed; `--case N` runs one again"),
    }
}

/// Cases on every thread, each with stores of its own, and an eye on those that take too long.
fn run_until(tally: &Tally, until: Instant, threads: usize) -> anyhow::Result<()> {
    let mut benches = Vec::new();
    for _ in 0..threads {
        benches.push(build()?);
    }
    let running: Vec<Mutex<(u64, Instant)>> =
        benches.iter().map(|_| Mutex::new((0, Instant::now()))).collect();
    let goes_on = || Instant::now() < until && tally.failed() < ENOUGH;
    std::thread::scope(|scope| {
        let workers = benches.iter().zip(&running).map(|(benches, running)| {
            scope.spawn(move || {
                while goes_on() {
                    let case = tally.next.fetch_add(1, Ordering::Relaxed);
                    if let Ok(mut running) = running.lock() {
                        *running = (case, Instant::now());
                    }
                    tally.run(benches, case);
                }
            })
        });
        let workers: Vec<_> = workers.collect();
        let mut seconds: u64 = 0;
        while workers.iter().any(|worker| !worker.is_finished()) {
            std::thread::sleep(Duration::from_secs(1));
            seconds += 1;
            if seconds.is_multiple_of(30) {
                eprintln!("{seconds} s, {}", tally.line());
            }
            for running in &running {
                let Ok((case, since)) = running.lock().map(|running| *running) else { continue };
                if since.elapsed() > HANGS && workers.iter().any(|worker| !worker.is_finished()) {
                    eprintln!("case {case} takes more than {} s", HANGS.as_secs());
                    std::process::exit(1);
                }
            }
        }
    });
    Ok(())
}
