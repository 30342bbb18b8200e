//! A job followed as it changes, by server-sent events.

use std::time::Duration;

use actix_web::HttpResponse;
use actix_web::http::header::CACHE_CONTROL;
use actix_web::web::{Data, Path};
use bytes::Bytes;
use futures::{Stream, StreamExt};
use muster_http::{Caller, Problem};
use muster_jobs::{Job, JobsError};
use tokio::sync::watch;
use tokio::time::{Instant, interval_at};
use tokio_stream::wrappers::IntervalStream;

use super::jobs::seen;
use crate::gateway::Gate;

/// A comment this often keeps proxies from closing a silent stream.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The job now and at every change, up to its final state
#[utoipa::path(get, path = "/v1/jobs/{job}/events", tag = "jobs", params(("job" = String, Path)),
    responses((status = 200, content_type = "text/event-stream", body = String,
        description = "Events named `job`, each with the job's JSON as its data.")))]
pub async fn follow(gate: Data<Gate>, caller: Caller, id: Path<String>) -> Result<HttpResponse, Problem> {
    seen(&gate.jobs, &caller, &id).await?;
    let stop = stopped(gate.stopping.clone());
    let events = events(gate.jobs.changes(&id)).take_until(stop).map(Ok::<_, Problem>);
    Ok(HttpResponse::Ok()
        .content_type("text/event-stream")
        .insert_header((CACHE_CONTROL, "no-cache"))
        .insert_header(("X-Accel-Buffering", "no"))
        .streaming(events))
}

/// The server stops: a client that follows a job does not hold it up, but connects to the next one.
async fn stopped(mut stopping: watch::Receiver<bool>) {
    // An error says that the server is gone, which is a stop as well.
    let _ = stopping.wait_for(|stop| *stop).await;
}

/// The changes as events, with heartbeats between them, ending with the changes.
fn events(changes: impl Stream<Item = Result<Job, JobsError>>) -> impl Stream<Item = Bytes> {
    let changes = changes.map(|change| Some(event(change))).chain(futures::stream::iter([None]));
    let beats = IntervalStream::new(interval_at(Instant::now() + HEARTBEAT, HEARTBEAT));
    let beats = beats.map(|_| Some(Bytes::from_static(b": still here\n\n")));
    futures::stream::select(changes, beats)
        .take_while(|event| std::future::ready(event.is_some()))
        .filter_map(std::future::ready)
}

fn event(change: Result<Job, JobsError>) -> Bytes {
    let sent = change.map_err(|err| err.to_string());
    match sent.and_then(|job| serde_json::to_string(&job).map_err(|err| err.to_string())) {
        Ok(json) => Bytes::from(format!("event: job\ndata: {json}\n\n")),
        Err(err) => {
            // The client sees a gap; the next look at the job may do better.
            tracing::error!(error = %err, "a job could not be read for its followers");
            Bytes::from_static(b": the job could not be read\n\n")
        }
    }
}
