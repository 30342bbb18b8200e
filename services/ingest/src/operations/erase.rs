//! Accepts users who are to be erased.

use chrono::{DateTime, TimeDelta, Utc};
use muster_http::{Kind, Problem};
use muster_jobs::{Jobs, JobsError, NewJob, Priority, State};
use muster_sql::Db;
use serde_json::json;
use ulid::Ulid;

use super::jobs_problem;
use crate::Ingest;
use crate::jobs::{ERASE, ErasePayload};
use crate::store::{self, ErasureRow};

/// Ids of one erasure.
const MOST: usize = 10_000;

/// A request takes no longer from its row to its job.
const ACCEPTED: TimeDelta = TimeDelta::minutes(1);

type Failed = Box<dyn std::error::Error + Send + Sync>;

/// The row is there before its job, which needs it.
pub async fn ask(
    ingest: &Ingest,
    app: &str,
    mut users: Vec<String>,
    by: &str,
    now: DateTime<Utc>,
) -> Result<ErasureRow, Problem> {
    users.sort_unstable();
    users.dedup();
    let invalid = |detail: String| Err(Problem::new(Kind::Invalid, "invalid_body", detail));
    if users.is_empty() || users.len() > MOST {
        return invalid(format!("`users` takes 1 to {MOST} ids, not {}.", users.len()));
    }
    if users[0].is_empty() {
        return invalid("An id is empty.".to_owned());
    }
    let (profiles, name) = (ingest.store.clone(), app.to_owned());
    let known =
        tokio::task::spawn_blocking(move || profiles.users(&name)).await.map_err(Problem::internal)?;
    let known = known.map_err(|error| {
        let away = error.is_away();
        Problem::of_store(error, away)
    })?;
    if known.is_none() {
        return Err(Problem::app_not_found(app));
    }
    let ids = serde_json::to_string(&users).map_err(Problem::internal)?;
    let row = ErasureRow {
        id: format!("era_{}", Ulid::generate()),
        app_id: app.to_owned(),
        job_id: format!("job_{}", Ulid::generate()),
        asked: users.len() as i64,
        known: None,
        label_days: None,
        event_days: None,
        requested_by: by.to_owned(),
        requested_at: now.timestamp_millis(),
        finished_at: None,
    };
    store::create(&ingest.db, &row, &ids).await.map_err(of_sql)?;
    ingest.jobs.enqueue(job_of(&row)).await.map_err(jobs_problem)?;
    Ok(row)
}

fn job_of(row: &ErasureRow) -> NewJob {
    NewJob {
        id: Some(row.job_id.clone()),
        app_id: Some(row.app_id.clone()),
        owner: row.requested_by.clone(),
        kind: ERASE,
        payload: json!(ErasePayload { erasure_id: row.id.clone() }),
        priority: Priority::Interactive,
    }
}

/// Takes up what was accepted and would not be done: its job was never made, or its attempts are used up. Of one that
/// was cancelled the ids are forgotten.
pub async fn take_up(db: &Db, jobs: &Jobs, now: DateTime<Utc>) -> Result<(), Failed> {
    for mut row in store::unfinished(db, (now - ACCEPTED).timestamp_millis()).await? {
        match jobs.get(&row.job_id).await?.map(|job| job.state) {
            Some(State::Cancelled) => store::forget_ids(db, (&row.app_id, &row.id)).await?,
            Some(State::Failed) => {
                row.job_id = format!("job_{}", Ulid::generate());
                store::hand_over(db, (&row.app_id, &row.id), &row.job_id).await?;
                jobs.enqueue(job_of(&row)).await?;
            }
            // Of two processes that find it the second is told that it is there.
            None => match jobs.enqueue(job_of(&row)).await {
                Err(JobsError::Exists(_)) => {}
                made => drop(made?),
            },
            Some(_) => {}
        }
    }
    Ok(())
}

/// What the database answered, for a caller.
pub fn of_sql(error: sqlx::Error) -> Problem {
    let away = muster_sql::is_away(&error);
    Problem::of_store(error, away)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use async_trait::async_trait;
    use muster_jobs::{Failure, Handler, QueueAt, Run};
    use serde_json::Value;

    use super::*;

    struct Fails;

    #[async_trait]
    impl Handler for Fails {
        fn kind(&self) -> &'static str {
            ERASE
        }

        fn concurrency(&self) -> usize {
            1
        }

        async fn run(&self, _: &Run) -> Result<Value, Failure> {
            Err(Failure::new("away", "the storage is away"))
        }
    }

    async fn accepted(db: &Db, id: &str) {
        let row = ErasureRow {
            id: id.to_owned(),
            app_id: "shop".to_owned(),
            job_id: format!("job_{id}"),
            asked: 1,
            known: None,
            label_days: None,
            event_days: None,
            requested_by: "local".to_owned(),
            requested_at: 0,
            finished_at: None,
        };
        store::create(db, &row, "[\"u1\"]").await.unwrap();
    }

    #[tokio::test]
    async fn what_was_accepted_is_taken_up_and_what_was_cancelled_forgotten() {
        let dir = tempfile::tempdir().unwrap();
        let db = Db::open(&dir.path().join("muster.db")).await.unwrap();
        let queue = QueueAt::File(dir.path().join("queue.db"));
        let jobs = Jobs::new(db.clone(), &queue, muster_jobs::Settings::default()).await.unwrap();
        let [jobless, failed, cancelled] = ["era_1", "era_2", "era_3"];
        for id in [jobless, failed, cancelled] {
            accepted(&db, id).await;
        }
        let row = async |id| store::erasure(&db, "shop", id).await.unwrap().unwrap();
        let job = jobs.enqueue(job_of(&row(failed).await)).await.unwrap();
        let ended = async {
            while !jobs.get(&job.id).await.unwrap().unwrap().state.is_final() {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        jobs.run_workers(vec![Arc::new(Fails)], ended).await.unwrap();
        let other = jobs.enqueue(job_of(&row(cancelled).await)).await.unwrap();
        jobs.cancel(&other.id).await.unwrap();

        take_up(&db, &jobs, Utc::now()).await.unwrap();
        let state = async |id: String| jobs.get(&id).await.unwrap().map(|job| job.state);
        assert_eq!(state(row(jobless).await.job_id).await, Some(State::Queued));
        let again = row(failed).await.job_id;
        assert!(again != job.id, "{again}");
        assert_eq!(state(again).await, Some(State::Queued));
        let ids = async |id| store::ids(&db, "shop", id).await.unwrap();
        assert_eq!(ids(cancelled).await, None);
        assert!(ids(failed).await.is_some() && ids(jobless).await.is_some());
        // What has its job is let be.
        take_up(&db, &jobs, Utc::now()).await.unwrap();
        assert_eq!(jobs.list(&Default::default(), None, 10).await.unwrap().items.len(), 4);
    }
}
