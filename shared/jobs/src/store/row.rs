//! How a job lies in its row.

use chrono::{DateTime, Utc};
use serde_json::Value;
use sqlx::types::Json;

use crate::{Failure, Job, JobsError, Priority, State};

#[derive(sqlx::FromRow)]
pub(super) struct Row {
    id: String,
    app_id: Option<String>,
    owner: String,
    kind: String,
    priority: i64,
    payload: Json<Value>,
    state: String,
    progress: f64,
    attempt: i64,
    max_attempts: i64,
    error: Option<Json<Failure>>,
    result: Option<Json<Value>>,
    trace: Option<String>,
    created_at: i64,
    started_at: Option<i64>,
    finished_at: Option<i64>,
}

impl Row {
    pub fn into_job(self) -> Result<Job, JobsError> {
        let unreadable = |why: &str| JobsError::Unreadable { id: self.id.clone(), why: why.to_owned() };
        let time = |ms: i64| DateTime::<Utc>::from_timestamp_millis(ms).ok_or_else(|| unreadable("a time"));
        let count = |n: i64| u32::try_from(n).map_err(|_| unreadable("a number of attempts"));
        Ok(Job {
            priority: Priority::from_number(self.priority).ok_or_else(|| unreadable("its priority"))?,
            state: State::from_name(&self.state).ok_or_else(|| unreadable("its state"))?,
            attempt: count(self.attempt)?,
            max_attempts: count(self.max_attempts)?,
            created_at: time(self.created_at)?,
            started_at: self.started_at.map(time).transpose()?,
            finished_at: self.finished_at.map(time).transpose()?,
            id: self.id,
            app_id: self.app_id,
            owner: self.owner,
            kind: self.kind,
            progress: self.progress,
            payload: self.payload.0,
            error: self.error.map(|error| error.0),
            result: self.result.map(|result| result.0),
            trace: self.trace,
            position: None,
        })
    }
}
