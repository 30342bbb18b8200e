//! Follows a job to its end, with a bar on a terminal.

use std::time::Duration;

use reqwest::Method;

use super::Client;
use super::job::Job;
use crate::failure::Failure;
use crate::show::bar;

const FIRST_LOOK: Duration = Duration::from_millis(50);
const SLOWEST_LOOK: Duration = Duration::from_millis(1000);

pub async fn job(client: &Client, id: &str) -> Result<Job, Failure> {
    let request = client.request(Method::GET, &["jobs", id])?;
    Ok(Job { raw: client.json_patiently(request).await? })
}

/// Waits until the job has ended, however it ended.
///
/// # Errors
/// [`Failure::Interrupted`] on Ctrl-C: the job goes on, and the text says how to come back to it.
pub async fn to_end(client: &Client, id: &str, quiet: bool) -> Result<Job, Failure> {
    tokio::select! {
        ended = look_until_ended(client, id, quiet) => ended,
        _ = tokio::signal::ctrl_c() => Err(Failure::Interrupted(format!(
            "{id} goes on without this terminal. Follow it: muster job watch {id} --server {}\n\
             Stop it: muster job cancel {id} --server {}",
            client.server(), client.server(),
        ))),
    }
}

/// Waits until the job is done.
///
/// # Errors
/// [`Failure::Job`] when it ended otherwise.
pub async fn to_success(client: &Client, id: &str, quiet: bool) -> Result<Job, Failure> {
    let job = to_end(client, id, quiet).await?;
    if job.done() { Ok(job) } else { Err(Failure::Job(Box::new(job))) }
}

async fn look_until_ended(client: &Client, id: &str, quiet: bool) -> Result<Job, Failure> {
    let bar = bar::job(quiet);
    let mut pause = FIRST_LOOK;
    loop {
        let job = job(client, id).await?;
        bar.set_position((job.progress() * bar::JOB_STEPS) as u64);
        bar.set_message(state(&job));
        if job.ended() {
            bar.finish_and_clear();
            return Ok(job);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 3 / 2).min(SLOWEST_LOOK);
    }
}

fn state(job: &Job) -> String {
    match job.position() {
        Some(position) if job.state() == "queued" => format!("{} queued, place {position}", job.id()),
        _ => format!("{} {}", job.id(), job.state()),
    }
}
