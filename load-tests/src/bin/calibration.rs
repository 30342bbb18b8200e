//! How often the intervals of sampled estimates hold: random rules over a generated set, each counted
//! exactly and from some of the buckets.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use anyhow::Context;
use clap::Parser;
use muster_evaluator::{Bound, Control, Counts, Sampled, Sampling, SnapshotCatalogue};
use muster_load_tests::engine::load::{self, Users};
use muster_load_tests::engine::set::Ids;
use muster_load_tests::times::median;
use muster_profile_store::{Snapshot, Store};
use muster_rules::arbitrary::Arbitrary;
use muster_rules::{Caps, EventWords, LabelWords, Rule, Vocabulary};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

/// What is asked of each rule: a relative error, or no more than the first buckets.
const APP: &str = "calibration";
const ASKED: [Option<f64>; 6] = [Some(0.01), Some(0.02), Some(0.05), Some(0.1), Some(0.2), None];
/// Of each rule and what is asked of it; the median counts.
const RUNS: usize = 5;

#[derive(Debug, Parser)]
struct Args {
    #[arg(long, default_value_t = 1_000_000)]
    users: u32,
    /// Rules that hold for some of their universe and not for all of it
    #[arg(long, default_value_t = 1_000)]
    rules: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Where the data are made; a folder that has them from an earlier run is used again
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// What became of one kind of asking.
#[derive(Default)]
struct Tally {
    answers: usize,
    sampled: usize,
    /// Intervals that are too low, and too high, for the exact count.
    below: usize,
    above: usize,
    /// Half the interval's width against the count, of sampled answers.
    widths: Vec<f64>,
    evaluated: f64,
    seconds: f64,
    exact_seconds: f64,
}

fn main() -> anyhow::Result<()> {
    let args = Args::parse();
    let temporary = tempfile::tempdir()?;
    let folder = args.data.clone().unwrap_or_else(|| temporary.path().to_path_buf());
    std::fs::create_dir_all(&folder)?;
    let store = Store::open(&folder.join("muster"))?;
    if store.users(APP)?.is_none() {
        load::fill(APP, &Users::of(args.users, Ids::Scattered), &store, None, &folder)?;
    }
    let snapshot = store.snapshot(APP)?.context("nothing was published")?;
    let words = words(&snapshot)?;
    let mut dice = StdRng::seed_from_u64(args.seed);
    let mut tallies = ASKED.map(|_| Tally::default());
    let mut rules = 0;
    while rules < args.rules {
        let rule = random_rule(&words, &mut dice);
        let bound = bind(&rule, &snapshot)?;
        let (exact, exact_seconds) = timed(|| Ok(bound.counts(&Control::NONE)?))?;
        if exact.count == 0 || exact.count == exact.universe {
            continue;
        }
        rules += 1;
        for (within, tally) in ASKED.into_iter().zip(&mut tallies) {
            let until = within.is_none().then(Instant::now);
            let sampling = Sampling { within, until, seed: dice.random() };
            let (answer, seconds) = timed(|| Ok(bound.sampled(&sampling, &Control::NONE)?))?;
            tally.add(&answer, &exact);
            tally.seconds += seconds;
            tally.exact_seconds += exact_seconds;
        }
        eprint!("\rrule {rules} of {} ", args.rules);
    }
    eprintln!();
    report(&snapshot, rules, &tallies);
    Ok(())
}

impl Tally {
    fn add(&mut self, answer: &Sampled, exact: &Counts) {
        self.answers += 1;
        self.evaluated += answer.evaluated;
        let Some((low, high)) = answer.interval else { return };
        self.sampled += 1;
        self.below += usize::from(high < exact.count);
        self.above += usize::from(exact.count < low);
        self.widths.push((high - low) as f64 / 2.0 / answer.counts.count.max(1) as f64);
    }
}

fn report(snapshot: &Snapshot, rules: usize, tallies: &[Tally]) {
    println!(
        "{} users, {rules} rules, {} threads\n",
        snapshot.directory().users(),
        rayon::current_num_threads()
    );
    println!(
        "| asked | sampled | held of these | too low | too high | median half-width | buckets evaluated | time against exact |"
    );
    println!("| :--- | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
    for (within, tally) in ASKED.iter().zip(tallies) {
        let percent = |part: usize, of: usize| part as f64 * 100.0 / of.max(1) as f64;
        let held = tally.sampled - tally.below - tally.above;
        println!(
            "| {} | {:.1} % | {:.1} % | {} | {} | {:.1} % | {:.1} % | {:.2} |",
            within.map_or("no time at all".to_owned(), |within| format!("within {within}")),
            percent(tally.sampled, tally.answers),
            percent(held, tally.sampled),
            tally.below,
            tally.above,
            median(tally.widths.clone()) * 100.0,
            tally.evaluated * 100.0 / tally.answers.max(1) as f64,
            tally.seconds / tally.exact_seconds,
        );
    }
}

/// The answer, and the median of the seconds it took.
fn timed<T>(run: impl Fn() -> anyhow::Result<T>) -> anyhow::Result<(T, f64)> {
    let mut seconds = Vec::new();
    loop {
        let began = Instant::now();
        let answer = run()?;
        seconds.push(began.elapsed().as_secs_f64());
        if seconds.len() == RUNS {
            return Ok((answer, median(seconds)));
        }
    }
}

fn random_rule(words: &Vocabulary, dice: &mut StdRng) -> Rule {
    let mut draw = |bound| dice.random_range(0..bound);
    Arbitrary { words, draw: &mut draw, depth: 3, largest: 6 }.rule()
}

fn bind(rule: &Rule, snapshot: &Arc<Snapshot>) -> anyhow::Result<Bound> {
    let checked = muster_rules::check(rule, &SnapshotCatalogue::new(snapshot), &Caps::default())
        .map_err(|problems| anyhow::anyhow!("{}: {problems:?}", rule.to_json()))?;
    Ok(Bound::new(checked.plan, snapshot.clone())?)
}

/// What there is to ask for.
fn words(snapshot: &Snapshot) -> anyhow::Result<Vocabulary> {
    let manifest = snapshot.manifest();
    let labels = manifest.labels.iter().map(|(id, label)| LabelWords {
        id: *id,
        name: label.name.clone(),
        tags: label.tags.iter().map(|(code, name)| (*code, name.clone())).collect(),
        published: label.days.keys().copied().collect(),
    });
    let mut words = Vocabulary { labels: labels.collect(), ..Vocabulary::default() };
    for (name, event) in &manifest.events {
        let mut dimensions = BTreeMap::new();
        for dimension in event.dimensions.keys() {
            let values = snapshot.dictionary(name, dimension)?.context("a dimension without its values")?;
            dimensions.insert(dimension.clone(), values.values().map(str::to_owned).collect());
        }
        words.events.push(EventWords {
            name: name.clone(),
            dimensions,
            measures: event.measures.clone(),
            published: event.days.keys().copied().collect(),
        });
    }
    Ok(words)
}
