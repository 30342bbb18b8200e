//! Jobs: what became of work that was answered with 202.

use actix_web::web::{Data, Json, Path, Query};
use muster_http::{Caller, Kind, Page, PageQuery, Problem, Role, check_app_id};
use muster_jobs::{Cancel, Filter, Job, Jobs, State};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::error::jobs_problem;
use crate::gateway::Gate;

/// The most jobs that one page looks through for a caller who may see only some of them.
const LOOKED_THROUGH: usize = 10_000;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct JobQuery {
    /// Only jobs of this app.
    #[param(required = false)]
    app: Option<String>,
    #[param(required = false)]
    kind: Option<String>,
    #[param(required = false, inline)]
    state: Option<State>,
}

/// Jobs, newest first
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs", params(JobQuery, PageQuery),
    responses((status = 200, body = Page<Job>)))]
pub async fn list(
    gate: Data<Gate>,
    caller: Caller,
    query: Query<JobQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Job>>, Problem> {
    let JobQuery { app, kind, state } = query.into_inner();
    app.as_deref().map_or(Ok(()), check_app_id)?;
    if let Some(app) = app.as_deref().filter(|app| !caller.may(app)) {
        return Err(Problem::app_not_found(app));
    }
    let filter = Filter { app, kind, state, ..Filter::default() };
    Ok(Json(visible(&gate.jobs, &caller, &filter, page.size()?, page.cursor.as_deref()).await?))
}

/// A page of what the caller may see. For a caller with few jobs among very many of others it can hold
/// less than it could, even nothing, and still name a next one.
async fn visible(
    jobs: &Jobs,
    caller: &Caller,
    filter: &Filter,
    size: u32,
    cursor: Option<&str>,
) -> Result<Page<Job>, Problem> {
    let mut items = Vec::new();
    let mut cursor = cursor.map(str::to_owned);
    let mut looked = 0;
    loop {
        let wanted = size - items.len() as u32;
        let part = jobs.list(filter, cursor.as_deref(), wanted).await.map_err(jobs_problem)?;
        looked += part.items.len();
        items.extend(part.items.into_iter().filter(|job| caller.sees(job.app_id.as_deref(), &job.owner)));
        cursor = part.next;
        if cursor.is_none() || items.len() == size as usize || looked >= LOOKED_THROUGH {
            return Ok(Page { items, next: cursor });
        }
    }
}

/// One job
#[utoipa::path(get, path = "/v1/jobs/{job}", tag = "jobs", params(("job" = String, Path)),
    responses((status = 200, body = Job)))]
pub async fn get(gate: Data<Gate>, caller: Caller, id: Path<String>) -> Result<Json<Job>, Problem> {
    Ok(Json(seen(&gate.jobs, &caller, &id).await?))
}

/// Cancel a job; 409 when it has ended otherwise
#[utoipa::path(post, path = "/v1/jobs/{job}/cancel", tag = "jobs", params(("job" = String, Path)),
    responses((status = 200, body = Job)))]
pub async fn cancel(gate: Data<Gate>, caller: Caller, id: Path<String>) -> Result<Json<Job>, Problem> {
    let job = seen(&gate.jobs, &caller, &id).await?;
    let writes = caller.has_role(Role::Segment) || caller.has_role(Role::Import);
    if job.owner != caller.id && !writes {
        caller.require_role(Role::Admin)?;
    }
    match gate.jobs.cancel(&id).await.map_err(jobs_problem)? {
        Cancel::Cancelled(job) => Ok(Json(job)),
        Cancel::AlreadyFinished(_) => {
            let detail = "This job has ended; there is nothing left to cancel.";
            Err(Problem::new(Kind::Conflict, "job_finished", detail))
        }
        Cancel::NotFound => Err(Problem::not_found("such job")),
    }
}

/// The job, when there is one and the caller may see it.
pub async fn seen(jobs: &Jobs, caller: &Caller, id: &str) -> Result<Job, Problem> {
    let job = jobs.get(id).await.map_err(jobs_problem)?;
    job.filter(|job| caller.sees(job.app_id.as_deref(), &job.owner))
        .ok_or_else(|| Problem::not_found("such job"))
}
