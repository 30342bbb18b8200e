//! From a rule's text to something that can be evaluated: parsed, checked against what is published, and
//! bound to it.

use std::time::Instant;

use muster_catalogue::Floor;
use muster_days::Ds;
use muster_evaluator::{Bound, SnapshotCatalogue, plan_files};
use muster_profile_store::Manifest;
use muster_rules::{Checked, Freshness, Made, Plan, Rule, Warning, check};
use xxhash_rust::xxh3::xxh3_128;

use super::served::snapshot;
use crate::Segments;
use crate::error::Error;
use crate::instruments;
use crate::store;

/// A rule on one snapshot of its app.
pub struct Prepared {
    pub bound: Bound,
    pub freshness: Vec<Freshness>,
    pub warnings: Vec<Warning>,
}

/// A rule, and what was made of the segments and lists that it names.
pub struct Asked {
    pub rule: Rule,
    pub made: Made,
}

impl Asked {
    /// Reads a rule that stands under `prefix` in the request's body.
    pub async fn read(segments: &Segments, app: &str, text: &[u8], prefix: &str) -> Result<Asked, Error> {
        Asked::of(segments, app, parse(segments, text, prefix)?).await
    }

    /// What was made until now: to be asked once it is the rule's turn, not before it waits for that.
    pub async fn of(segments: &Segments, app: &str, rule: Rule) -> Result<Asked, Error> {
        let named = rule.named();
        let ids = (named.segments.into_keys().collect(), named.lists.into_keys().collect());
        let made = store::made(&segments.db, app, ids).await?;
        Ok(Asked { rule, made })
    }
}

/// Reads a rule that stands under `prefix` in the request's body.
pub fn parse(segments: &Segments, text: &[u8], prefix: &str) -> Result<Rule, Error> {
    muster_rules::parse(text, &segments.caps)
        .map_err(|problems| Error::Rule(problems.into_iter().map(|problem| problem.under(prefix)).collect()))
}

impl Prepared {
    /// Opens the newest snapshot and binds the rule to it. When the files are replaced in that very moment
    /// it is done again with the snapshot that replaced them.
    pub fn open(segments: &Segments, app: &str, asked: &Asked, prefix: &str) -> Result<Prepared, Error> {
        let began = Instant::now();
        let opened = super::on_newest_data(|| Prepared::try_open(segments, app, asked, prefix));
        instruments::opened(began.elapsed());
        opened
    }

    fn try_open(segments: &Segments, app: &str, asked: &Asked, prefix: &str) -> Result<Prepared, Error> {
        let snapshot = snapshot(segments, app)?;
        let refused = |problems: Vec<muster_rules::Problem>| {
            Error::Rule(problems.into_iter().map(|problem| problem.under(prefix)).collect())
        };
        let catalogue = SnapshotCatalogue::with_made(&snapshot, &asked.made);
        let checked = check(&asked.rule, &catalogue, &segments.caps).map_err(refused)?;
        let Checked { plan, warnings, freshness } = checked;
        let bound = Bound::new(plan, snapshot)?;
        Ok(Prepared { bound, freshness, warnings })
    }

    pub fn as_of(&self) -> Ds {
        self.bound.plan().as_of
    }

    /// The smallest crowd that the app lets be shown.
    pub fn floor(&self) -> Floor {
        self.bound.snapshot().catalogue().settings.floor()
    }

    /// Names the exact data the answer rests on: equal for two runs on the same files.
    pub fn inputs(&self) -> String {
        inputs(self.bound.plan(), self.bound.snapshot().manifest())
    }
}

/// Names the exact data files that a plan reads.
pub fn inputs(plan: &Plan, manifest: &Manifest) -> String {
    let names = plan_files(plan, manifest);
    format!("{:032x}", xxh3_128(names.join("\n").as_bytes()))
}
