//! The job that works out the days of followed cohorts: whatever rests on other files or another cohort than the row
//! that is there. All cohorts of a day in one pass; each day is a row of its own, so that a job that dies has done
//! what it has done.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use chrono::Utc;
use muster_catalogue::AppCatalogue;
use muster_days::Ds;
use muster_evaluator::{Behaviour, BehaviourCounts, Control, Did, EventCounts};
use muster_jobs::{Failure, Handler, Run};
use muster_profile_store::Snapshot;
use muster_rules::crowds::Counted;
use muster_rules::{Leaf, Node, Plan, Test, Universe};
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::answers::Kind;
use super::operations::kind;
use super::store::{self, CrowdFigures, DayRow, EventFigures, Figures, TrackedRow};
use crate::Cohorts;
use crate::audiences::{Stopped, Users, size};
use crate::error::Error;
use crate::operations::{day, evaluate};

pub const TRACKING: &str = "tracking";
/// Days up to the newest one that are worked out.
pub const DAYS: i64 = 90;

pub struct TrackingHandler {
    pub cohorts: Cohorts,
}

#[async_trait]
impl Handler for TrackingHandler {
    fn kind(&self) -> &'static str {
        TRACKING
    }

    fn concurrency(&self) -> usize {
        1
    }

    async fn run(&self, run: &Run) -> Result<Value, Failure> {
        let app = run.app()?;
        let days = compute(&self.cohorts, app, run).await?;
        Ok(json!({ "days": days }))
    }
}

/// A cohort of a day that is to be worked out.
struct Due {
    subject: TrackedRow,
    cohort: String,
    inputs: String,
}

/// The newest day that any event is published for.
pub fn newest(snapshot: &Snapshot) -> Option<Ds> {
    snapshot.manifest().events.values().filter_map(|event| event.days.keys().next_back()).max().copied()
}

/// Whose users are those of the day: of what is static the one there is, of what is dynamic the newest up to then.
pub fn cohort_on(known: &[(Ds, String)], kind: Kind, ds: Ds) -> Option<&str> {
    match kind {
        Kind::Static => known.first().map(|(_, cohort)| &**cohort),
        Kind::Dynamic => known.iter().rfind(|(of, _)| *of <= ds).map(|(_, cohort)| &**cohort),
    }
}

/// More looks than that nobody needs: the next job is not far.
const LOOKS: usize = 5;

/// Answers how many days of cohorts were worked out. Looks again until nothing is due: so the last writer of two is
/// also the last to look, and figures of older data that it wrote over newer ones do not stay.
async fn compute(cohorts: &Cohorts, app: &str, run: &Run) -> Result<u64, Error> {
    let mut done = 0;
    for _ in 0..LOOKS {
        let more = round(cohorts, app, run).await?;
        if more == 0 {
            break;
        }
        done += more;
    }
    Ok(done)
}

async fn round(cohorts: &Cohorts, app: &str, run: &Run) -> Result<u64, Error> {
    let snapshot = match cohorts.audiences.snapshot(app).await {
        // Nothing is worked out of an app that is disabled.
        Err(problem) if problem.kind == muster_http::Kind::Conflict => return Ok(0),
        snapshot => snapshot?,
    };
    let Some(newest) = newest(&snapshot) else { return Ok(0) };
    let due = due(cohorts, app, &snapshot, newest).await?;
    let (all, mut done) = (due.len(), 0);
    // The newest first: that is what is looked at.
    for (place, (ds, due)) in due.into_iter().rev().enumerate() {
        let figures = figures(cohorts, &snapshot, (app, ds), &due, run).await?;
        if !run.still_mine().await? {
            return Err(Error::Stopped);
        }
        for (due, figures) in due.into_iter().zip(figures) {
            let (figures, inputs) = (serde_json::to_string(&figures)?, due.inputs);
            let row = DayRow { ds: ds.number(), cohort_id: due.cohort, inputs, figures };
            let now = Utc::now().timestamp_millis();
            store::put_day(&cohorts.db, app, &due.subject.subject, &row, now).await?;
            done += 1;
        }
        run.progress((place + 1) as f64 / all as f64);
    }
    Ok(done)
}

/// By day: what is not there yet, or rests on something else.
async fn due(
    cohorts: &Cohorts,
    app: &str,
    snapshot: &Snapshot,
    newest: Ds,
) -> Result<BTreeMap<Ds, Vec<Due>>, Error> {
    let mut due: BTreeMap<Ds, Vec<Due>> = BTreeMap::new();
    for subject in store::all_of(&cohorts.db, app).await? {
        let known = match cohorts.audiences.cohorts_of(app, &subject.subject).await {
            Ok(known) => known,
            // It is deleted: its days stay as they are.
            Err(problem) if problem.kind == muster_http::Kind::NotFound => continue,
            Err(problem) => return Err(problem.into()),
        };
        let first = day(subject.from_ds)?;
        let recent = first.max(newest.plus(1 - DAYS));
        // Users who were erased are in older days, too.
        let from = if snapshot.manifest().erasure() > 0 { first } else { recent };
        let there = store::days(&cohorts.db, app, &subject.subject, (from, newest)).await?;
        for ds in from.through(newest) {
            let Some(cohort) = cohort_on(&known, kind(&subject.subject), ds) else { continue };
            let Some(inputs) = inputs(snapshot, ds, (cohort, &subject.first_cohort)) else { continue };
            let row = there.iter().find(|row| row.ds == ds.number());
            if ds < recent && row.is_none() {
                continue;
            }
            // Of a cohort that is no longer kept the day stays: an older one did not have its users.
            if row
                .is_some_and(|row| row.inputs == inputs || !known.iter().any(|(_, id)| *id == row.cohort_id))
            {
                continue;
            }
            let (subject, cohort) = (subject.clone(), cohort.to_owned());
            due.entry(ds).or_default().push(Due { subject, cohort, inputs });
        }
    }
    Ok(due)
}

/// Names what a day rests on: the files of its events, what these count as, and the cohorts. None without data.
fn inputs(snapshot: &Snapshot, ds: Ds, (cohort, first): (&str, &str)) -> Option<String> {
    // Users who were erased have left the cohorts, whatever their files are called.
    let erasure = match snapshot.manifest().erasure() {
        0 => String::new(),
        erasure => format!(" {erasure}"),
    };
    let mut text = format!("{cohort}\n{first}{erasure}\n");
    for (event, entry) in &snapshot.manifest().events {
        let Some(day) = entry.days.get(&ds) else { continue };
        let Counted { active, trade, .. } = counted(snapshot.catalogue(), event);
        text.push_str(&format!("{event}\n{active} {trade} {}\n", day.file));
    }
    let any = text.lines().count() > 2;
    any.then(|| format!("{:032x}", xxh3_128(text.as_bytes())))
}

fn counted(catalogue: &AppCatalogue, event: &str) -> Counted {
    let card = catalogue.events.get(event);
    Counted::new(event, card.and_then(|card| card.active), card.and_then(|card| card.trade))
}

async fn figures(
    cohorts: &Cohorts,
    snapshot: &Arc<Snapshot>,
    (app, ds): (&str, Ds),
    due: &[Due],
    run: &Run,
) -> Result<Vec<Figures>, Error> {
    let watched = run.clone();
    let stopped: Stopped = Arc::new(move || watched.stopped());
    let turn = tokio::select! {
        turn = cohorts.audiences.turn_patiently(app, 1 + due.len() as u64) => turn,
        () = run.until_stopped() => return Err(Error::Stopped),
    };
    let mut crowds = Vec::new();
    for crowd in ["active_1d", "trade_1d"] {
        let rule = json!({ "universe": crowd, "as_of": ds, "where": { "all": [] } });
        let rule = cohorts.audiences.read(app, rule.to_string().as_bytes(), "").await?;
        crowds.push(cohorts.audiences.find(app, &rule, stopped.clone()).await?.users);
    }
    let mut members: Vec<(Users, Option<Users>)> = Vec::new();
    for due in due {
        let users = cohorts.audiences.members(app, &due.cohort).await?;
        let first = match due.cohort == due.subject.first_cohort {
            true => Some(users.clone()),
            false => first(cohorts, app, &due.subject.first_cohort).await?,
        };
        if let Some(now) = first.as_ref().map(|first| size(first))
            && now != due.subject.first_users as u64
        {
            // Some of them were erased.
            store::put_first_users(&cohorts.db, app, &due.subject.subject, now).await?;
        }
        members.push((users, first));
    }
    let universes: Vec<Universe> =
        due.iter().map(|due| members_of(&due.cohort, ds)).chain([Universe::All]).collect();
    let snapshot = snapshot.clone();
    evaluate(turn, stopped, move |control| {
        let counts = count(&snapshot, &universes, ds, control)?;
        let app_users = snapshot.directory().users();
        let figures = |(place, (users, first)): (usize, &(Users, Option<Users>))| Figures {
            cohort: crowd(
                &snapshot,
                &counts,
                place,
                (size(users), both(users, &crowds[0]), both(users, &crowds[1])),
            ),
            app: crowd(&snapshot, &counts, members.len(), (app_users, size(&crowds[0]), size(&crowds[1]))),
            retained: first.as_ref().map(|first| both(first, &crowds[0])),
        };
        Ok(members.iter().enumerate().map(figures).collect())
    })
    .await
}

/// None where it is no longer kept.
async fn first(cohorts: &Cohorts, app: &str, cohort: &str) -> Result<Option<Users>, Error> {
    match cohorts.audiences.cohorts_of(app, cohort).await {
        Ok(_) => Ok(Some(cohorts.audiences.members(app, cohort).await?)),
        Err(problem) if problem.kind == muster_http::Kind::NotFound => Ok(None),
        Err(problem) => Err(problem.into()),
    }
}

fn members_of(cohort: &str, ds: Ds) -> Universe {
    let leaf = Leaf { pointer: String::new(), test: Test::Cohort { id: cohort.to_owned() } };
    let plan = Plan { universe: Universe::All, as_of: ds, root: Node::Leaf(0), leaves: vec![leaf] };
    Universe::Defined { name: cohort.to_owned(), plan: Box::new(plan) }
}

fn both(a: &Users, b: &Users) -> u64 {
    a.iter().zip(b).map(|(a, b)| a.intersection_len(b)).sum()
}

fn count(
    snapshot: &Arc<Snapshot>,
    crowds: &[Universe],
    ds: Ds,
    control: &Control<'_>,
) -> Result<BehaviourCounts, Error> {
    let events: Vec<&str> = events_of(snapshot, ds).collect();
    Ok(Behaviour::new(crowds, &events, &(ds..=ds), snapshot.clone())?.counts(control)?)
}

fn events_of(snapshot: &Snapshot, ds: Ds) -> impl Iterator<Item = &str> {
    let events = snapshot.manifest().events.iter();
    events.filter(move |(_, entry)| entry.days.contains_key(&ds)).map(|(event, _)| &**event)
}

/// `counts` are of the day's events, in their order.
fn crowd(
    snapshot: &Snapshot,
    counts: &BehaviourCounts,
    place: usize,
    (users, active, trades): (u64, u64, u64),
) -> CrowdFigures {
    // The day is the same for all events.
    let ds = counts.events.iter().find_map(|event| event.days.first());
    let names = ds.into_iter().flat_map(|ds| events_of(snapshot, *ds));
    let event = |(name, counts): (&str, &EventCounts)| {
        let Did { users, pv, sums } = &counts.crowds[place].range;
        let measures =
            counts.measures.iter().cloned().zip(sums.iter().map(|sum| i64::try_from(*sum).ok())).collect();
        let Counted { active, trade, .. } = counted(snapshot.catalogue(), name);
        (
            name.to_owned(),
            EventFigures { users: *users, pv: i64::try_from(*pv).ok(), measures, active, trade },
        )
    };
    CrowdFigures { users, active, trades, events: names.zip(&counts.events).map(event).collect() }
}
