//! A routine run: the due days, from old to new, each in passes of as many segments as memory allows.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use muster_days::Ds;
use muster_evaluator::Control;
use muster_jobs::Run;
use muster_profile_store::Snapshot;
use muster_rules::{Made, cost};
use rayon::ThreadPool;

use super::due::{Due, days, due};
use super::order::in_order;
use super::pass::{Pass, Passed};
use super::{Done, Settings};
use crate::Segments;
use crate::error::Error;
use crate::operations::prepare::parse;
use crate::operations::served::snapshot;
use crate::store::{self, DailyRow, Outcome};

/// Members of the segments of one pass, as bitmaps.
const MEMBER_BYTES: u64 = 512 << 20;
/// Segments of one pass, however few users they have.
const AT_ONCE: u64 = 2_000;
/// Data that are replaced while they are read are looked at again so often.
const TRIES: usize = 10;

/// Makes the days that are due. Done again it makes those that are not made yet.
pub async fn run(segments: &Segments, app: &str, run: &Run, now: DateTime<Utc>) -> Result<Done, Error> {
    let mut done = Done::default();
    let daily = store::daily_segments(&segments.db, app).await?;
    let opened = opened(segments, app).await?;
    let days = due_days(&segments.routine, &opened, now);
    let (Some(first), false) = (days.first(), daily.is_empty()) else { return Ok(done) };
    let known = store::days_from(&segments.db, app, *first).await?;
    let before = store::cohorts_before(&segments.db, app, *first).await?;
    let before: BTreeSet<String> = before.into_keys().collect();
    let due = due(&days, &daily, &known, &before);
    // Threads of its own: estimates on the process's pool must not wait for these.
    let pool = rayon::ThreadPoolBuilder::new().build();
    let pool = Arc::new(pool.map_err(|error| Error::Inside(error.to_string()))?);
    let total: usize = due.iter().map(|due| due.segments.len()).sum();
    let mut worked = 0;
    let daily: Arc<BTreeSet<String>> = Arc::new(daily.into_iter().map(|segment| segment.id).collect());
    for due in due {
        let ds = due.ds;
        let skipped = known.iter().filter(|day| day.ds == ds.number() && day.outcome == Outcome::Skipped);
        let skipped = skipped.map(|day| (day.segment_id.clone(), day.outcome)).collect();
        worked += make_day(segments, (app, run, now), (&pool, &daily), (due, skipped), &mut done).await?;
        run.progress(worked as f64 / total as f64);
        tracing::info!(app, %ds, "a day of the daily segments is made");
    }
    done.dropped = super::expire::expire(segments, app, days.last().copied()).await?;
    Ok(done)
}

fn due_days(settings: &Settings, snapshot: &Snapshot, now: DateTime<Utc>) -> Vec<Ds> {
    let manifest = snapshot.manifest();
    let labels = manifest.labels.values().flat_map(|label| label.days.keys().copied());
    let events = manifest.events.values().flat_map(|event| event.days.keys().copied());
    let published: BTreeSet<Ds> = labels.chain(events).collect();
    let when = settings.of(snapshot.app(), &snapshot.catalogue().settings);
    days(&published, now, when, settings.catch_up_days)
}

async fn opened(segments: &Segments, app: &str) -> Result<Arc<Snapshot>, Error> {
    let (segments, app) = (segments.clone(), app.to_owned());
    let opened = tokio::task::spawn_blocking(move || snapshot(&segments, &app)).await;
    opened.map_err(|error| Error::Inside(error.to_string()))?
}

/// Answers how many segments were seen to.
async fn make_day(
    segments: &Segments,
    (app, run, now): (&str, &Run, DateTime<Utc>),
    (pool, daily): (&Arc<ThreadPool>, &Arc<BTreeSet<String>>),
    (due, mut outcomes): (Due, HashMap<String, Outcome>),
    done: &mut Done,
) -> Result<usize, Error> {
    let seen_to = due.segments.len();
    let before = Arc::new(store::cohorts_before(&segments.db, app, due.ds).await?);
    let users = opened(segments, app).await?.directory().users();
    let at_once = (MEMBER_BYTES / (users / 8 + 1)).clamp(1, AT_ONCE) as usize;
    let groups = in_order(due.segments);
    for chunk in groups.iter().flat_map(|group| group.chunks(at_once)) {
        let named =
            |kind| -> BTreeSet<&str> { chunk.iter().flat_map(|row| store::named(&row.rule, kind)).collect() };
        let of_named = |id: &&str| Some(((*id).to_owned(), *outcomes.get(*id)?));
        let of_named = named("segment").iter().filter_map(of_named).collect();
        let made = store::made(&segments.db, app, (named("segment"), named("list"))).await?;
        let (before, daily) = (before.clone(), daily.clone());
        let order = Order { app: app.to_owned(), ds: due.ds, before, made, daily, outcomes: of_named };
        let passed = pass(segments, order, chunk, (run, now), pool).await?;
        if !run.still_mine().await? {
            return Err(Error::Stopped);
        }
        for day in &passed.days {
            outcomes.insert(day.segment_id.clone(), day.outcome);
            *done.days.entry(due.ds).or_default().entry(day.outcome).or_default() += 1;
        }
        write(segments, app, passed).await?;
    }
    Ok(seen_to)
}

struct Order {
    app: String,
    ds: Ds,
    before: Arc<HashMap<String, (u32, String)>>,
    made: Made,
    daily: Arc<BTreeSet<String>>,
    outcomes: HashMap<String, Outcome>,
}

async fn pass(
    segments: &Segments,
    order: Order,
    chunk: &[DailyRow],
    (run, now): (&Run, DateTime<Utc>),
    pool: &Arc<ThreadPool>,
) -> Result<Passed, Error> {
    let costs = chunk.iter().map(|segment| {
        // One that can't be read is refused later, and costs nothing.
        parse(segments, segment.rule.as_bytes(), "").map_or(0, |rule| cost(&rule))
    });
    let turn = tokio::select! {
        turn = segments.turns.take_patiently(&order.app, costs.sum()) => turn,
        () = run.until_stopped() => return Err(Error::Stopped),
    };
    let (segments, chunk, run, pool) = (segments.clone(), chunk.to_vec(), run.clone(), pool.clone());
    let passed = tokio::task::spawn_blocking(move || {
        let _turn = turn;
        let control = Control { stopped: &|| run.stopped(), progress: &|_| {} };
        let mut tries = 0;
        loop {
            let pass = Pass {
                segments: &segments,
                app: &order.app,
                ds: order.ds,
                snapshot: snapshot(&segments, &order.app)?,
                before: &order.before,
                made: &order.made,
                daily: &order.daily,
                outcomes: &order.outcomes,
                job: &run.job.id,
                now,
            };
            match pool.install(|| pass.work(&chunk, &control)) {
                Err(error) if error.is_stale() && tries < TRIES => tries += 1,
                result => return result,
            }
        }
    });
    passed.await.map_err(|error| Error::Inside(error.to_string()))?
}

/// Shows the cohorts. Where another run has made some of them meanwhile, one by one: those that it made stay.
async fn write(segments: &Segments, app: &str, passed: Passed) -> Result<(), Error> {
    let Passed { days, cohorts } = passed;
    if store::put_days(&segments.db, app, &days, &cohorts).await? {
        return Ok(());
    }
    let mut cohorts: HashMap<String, _> =
        cohorts.into_iter().map(|cohort| (cohort.segment_id.clone(), cohort)).collect();
    for day in days {
        let cohort: Vec<_> = cohorts.remove(&day.segment_id).into_iter().collect();
        let made = store::put_days(&segments.db, app, std::slice::from_ref(&day), &cohort).await?;
        let shown = match &day.cohort_id {
            Some(id) if !made => store::cohort(&segments.db, app, id).await?.is_some(),
            _ => true,
        };
        if let (Some(id), false) = (&day.cohort_id, shown) {
            segments.profiles.remove_cohort(app, id)?;
        }
    }
    Ok(())
}
