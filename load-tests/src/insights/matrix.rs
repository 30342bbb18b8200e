//! The profile of a whole day in one pass over the users, and the same cells counted one crowd and label at a
//! time.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, ensure};
use muster_evaluator::{Control, Matrix, MatrixCounts, SnapshotCatalogue, earlier};
use muster_profile_store::{LabelPart, Snapshot};
use muster_rules::{Caps, Catalogue, Condition, Rule, Universe};

use crate::engine::set::{DAYS, day};
use crate::times::median;

/// The whole app, as a crowd.
const EVERYONE: &str = "all";

/// The newest day of an app: its crowds, and every label it has.
pub struct Day {
    snapshot: Arc<Snapshot>,
    crowds: Vec<(String, Universe)>,
    /// By the number of the crowd: who was there before its window.
    earlier: Vec<(usize, Universe)>,
    labels: Vec<Arc<LabelPart>>,
}

/// What a day came to.
pub struct Counted {
    pub users: u64,
    pub labels: usize,
    pub tags: usize,
    /// With their users.
    pub crowds: Vec<(String, u64)>,
    pub runs: Vec<Timed>,
}

/// Medians of seconds.
pub struct Timed {
    pub threads: usize,
    pub one_pass: f64,
    pub one_by_one: f64,
}

impl Day {
    pub fn new(snapshot: Arc<Snapshot>) -> anyhow::Result<Day> {
        let catalogue = SnapshotCatalogue::new(&snapshot);
        let names = std::iter::once(EVERYONE.to_owned()).chain(catalogue.crowd_names());
        let crowds = names.map(|name| Ok((name.clone(), universe(name, &catalogue)?)));
        let crowds: Vec<(String, Universe)> = crowds.collect::<anyhow::Result<_>>()?;
        let before = crowds.iter().enumerate().filter_map(|(number, (name, _))| {
            Some((number, earlier(&catalogue, name, day(DAYS - 1))?.users))
        });
        let earlier = before.collect();
        let part = |&id| snapshot.label(id, day(DAYS - 1))?.context("a label lacks its day");
        let labels = snapshot.manifest().labels.keys().map(part).collect::<anyhow::Result<_>>()?;
        Ok(Day { crowds, earlier, labels, snapshot })
    }

    /// Counts both ways, which must come to the same, on pools of so many threads: `runs` times each, after
    /// one that opens the files.
    pub fn measure(&self, threads: &[usize], runs: usize) -> anyhow::Result<Counted> {
        let (mut timed, mut crowds) = (Vec::new(), Vec::new());
        for &threads in threads {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
            let (together, one_pass) = pool.install(|| repeat(runs, || self.one_pass()))?;
            let (apart, one_by_one) = pool.install(|| repeat(runs, || self.one_by_one()))?;
            // Who returns is counted in the one pass alone.
            let together = MatrixCounts { returning: Vec::new(), ..together };
            ensure!(together == apart, "one pass counts otherwise than one crowd and label at a time");
            timed.push(Timed { threads, one_pass, one_by_one });
            crowds = self.crowds.iter().map(|(name, _)| name.clone()).zip(together.crowds).collect();
        }
        Ok(Counted {
            users: self.snapshot.directory().users(),
            labels: self.labels.len(),
            tags: self.labels.iter().map(|label| label.meta().tags.len()).sum(),
            crowds,
            runs: timed,
        })
    }

    fn one_pass(&self) -> anyhow::Result<MatrixCounts> {
        let universes: Vec<Universe> = self.crowds.iter().map(|(_, universe)| universe.clone()).collect();
        let matrix = Matrix::new(&universes, &self.earlier, self.labels.clone(), self.snapshot.clone())?;
        Ok(matrix.counts(&Control::NONE)?)
    }

    fn one_by_one(&self) -> anyhow::Result<MatrixCounts> {
        let mut all: Option<MatrixCounts> = None;
        for (_, universe) in &self.crowds {
            let mut of_crowd: Option<MatrixCounts> = None;
            for label in &self.labels {
                let universe = std::slice::from_ref(universe);
                let matrix = Matrix::new(universe, &[], vec![label.clone()], self.snapshot.clone())?;
                let counts = matrix.counts(&Control::NONE)?;
                match &mut of_crowd {
                    Some(of_crowd) => of_crowd.labels.extend(counts.labels),
                    None => of_crowd = Some(counts),
                }
            }
            let of_crowd = of_crowd.context("no label")?;
            match &mut all {
                Some(all) => add_crowd(all, of_crowd),
                None => all = Some(of_crowd),
            }
        }
        all.context("no crowd")
    }
}

/// The very users that a rule counts in which names the crowd.
fn universe(name: String, catalogue: &SnapshotCatalogue<'_>) -> anyhow::Result<Universe> {
    let rule = Rule { universe: name, as_of: Some(day(DAYS - 1)), root: Condition::All(Vec::new()) };
    let checked = muster_rules::check(&rule, catalogue, &Caps::default());
    Ok(checked.map_err(|problems| anyhow::anyhow!("{}: {problems:?}", rule.universe))?.plan.universe)
}

/// Puts another crowd behind those that are there.
fn add_crowd(all: &mut MatrixCounts, crowd: MatrixCounts) {
    all.crowds.extend(crowd.crowds);
    for (all, one) in all.labels.iter_mut().zip(crowd.labels) {
        all.users.extend(one.users);
        all.carrying.extend(one.carrying);
        all.weights.extend(one.weights);
    }
}

/// What `run` answers, and the median of its seconds after a first time.
fn repeat<T>(runs: usize, run: impl Fn() -> anyhow::Result<T>) -> anyhow::Result<(T, f64)> {
    let mut answer = run()?;
    let mut seconds = Vec::with_capacity(runs);
    for _ in 0..runs.max(1) {
        let began = Instant::now();
        answer = run()?;
        seconds.push(began.elapsed().as_secs_f64());
    }
    Ok((answer, median(seconds)))
}

impl Counted {
    pub fn print(&self) {
        println!("| crowd | users |\n| :--- | ---: |");
        self.crowds.iter().for_each(|(crowd, users)| println!("| {crowd} | {users} |"));
        println!(
            "\n| users | labels | tags | crowds | cells | threads | one pass | one crowd and label at a time \
             | times faster |"
        );
        println!("| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |");
        let (crowds, cells) = (self.crowds.len(), self.crowds.len() * self.tags);
        for Timed { threads, one_pass, one_by_one } in &self.runs {
            println!(
                "| {} | {} | {} | {crowds} | {cells} | {threads} | {one_pass:.3} s | {one_by_one:.3} s \
                 | {:.1} |",
                self.users,
                self.labels,
                self.tags,
                one_by_one / one_pass,
            );
        }
        println!();
    }
}
