//! What becomes of an experiment: its check, its start and end, its results, and where a user stands in it.

use std::time::Instant;

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{Bytes, Data, Json, Path, Query};
use chrono::Utc;
use muster_days::Ds;
use muster_http::{Caller, Kind, Problem, ProblemBody, Role};
use muster_jobs::{Job, NewJob, Priority};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::experiments::shown;
use super::{day, read};
use crate::Cohorts;
use crate::answers::{Experiment, Results, UserPlace};
use crate::definition::fault;
use crate::error::Error;
use crate::jobs::{EXPERIMENT, Payload, Step};
use crate::operations::{self, Asked, SALTS, Search, Waiting};

const LEVEL: f64 = 0.95;

/// What a start may be told.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StartBody {
    /// The first day that counts in results, `YYYYMMDD`; today's in the app's zone when not given.
    #[schema(value_type = Option<u32>)]
    from: Option<Ds>,
}

/// What a stop may be told.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StopBody {
    /// The last day that counts in results, `YYYYMMDD`; today's in the app's zone when not given.
    #[schema(value_type = Option<u32>)]
    to: Option<Ds>,
}

fn accepted(job: &Job) -> HttpResponse {
    HttpResponse::Accepted().insert_header((LOCATION, format!("/v1/jobs/{}", job.id))).json(job)
}

/// Have a draft checked: whether its groups differ on its metrics in the days before.
///
/// With `salts` so many further salts are tried, and the draft gets the one with which the groups differ least. Its
/// result, which the experiment shows as `check`, is exact for the audience and the layer as they are now.
#[utoipa::path(
    post,
    path = "/v1/apps/{app}/experiments/{id}/check",
    tag = "experiments",
    operation_id = "checkExperiment",
    params(("app" = String, Path), ("id" = String, Path)),
    request_body(content = Option<Search>, description = "May be empty"),
    responses(
        (status = 202, description = "The job that checks it", body = Job, headers(("Location" = String, description = "The job"))),
        (status = 404, description = "No such experiment", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`app_disabled`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_body`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn check(
    cohorts: Data<Cohorts>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Segment)?;
    let search: Search = read(&body)?;
    if search.salts > SALTS {
        return Err(fault("/salts", "salts", format!("One check tries at most {SALTS} salts.")));
    }
    operations::find(&cohorts, &app, &id).await?;
    let payload = Payload { experiment_id: id, step: Step::Check(search) };
    let job = NewJob {
        id: None,
        app_id: Some(app),
        owner: caller.id.clone(),
        kind: EXPERIMENT,
        payload: serde_json::to_value(payload).map_err(Problem::internal)?,
        priority: Priority::Interactive,
    };
    Ok(accepted(&cohorts.jobs.enqueue(job).await.map_err(Error::from)?))
}

/// Start an experiment.
///
/// Its part of the layer is taken at once; a job makes its groups, and then it runs. Started again while the job is
/// on its way, the answer is that job.
#[utoipa::path(
    post,
    path = "/v1/apps/{app}/experiments/{id}/start",
    tag = "experiments",
    operation_id = "startExperiment",
    params(("app" = String, Path), ("id" = String, Path)),
    request_body(content = Option<StartBody>, description = "May be empty"),
    responses(
        (status = 202, description = "The job that makes the groups", body = Job, headers(("Location" = String, description = "The job"))),
        (status = 404, description = "No such experiment", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`layer_full`: other experiments have too much of the layer; `experiment_state`: it was started before; `app_disabled`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn start(
    cohorts: Data<Cohorts>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Segment)?;
    let StartBody { from } = read(&body)?;
    Ok(accepted(&operations::ask_to_start(&cohorts, (&app, &id), from, &caller, Utc::now()).await?))
}

/// Stop an experiment: its part of the layer is free, its groups and results stay. One whose start is on its way
/// becomes a draft again.
#[utoipa::path(
    post,
    path = "/v1/apps/{app}/experiments/{id}/stop",
    tag = "experiments",
    operation_id = "stopExperiment",
    params(("app" = String, Path), ("id" = String, Path)),
    request_body(content = Option<StopBody>, description = "May be empty"),
    responses(
        (status = 200, description = "The experiment as it is now", body = Experiment),
        (status = 404, description = "No such experiment", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`experiment_state`: it does not run", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn stop(
    cohorts: Data<Cohorts>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Bytes,
) -> Result<Json<Experiment>, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Segment)?;
    let StopBody { to } = read(&body)?;
    let row = operations::stop(&cohorts, (&app, &id), to, Utc::now()).await?;
    Ok(Json(shown(&cohorts, row).await?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ResultsQuery {
    /// The last day that counts, `YYYYMMDD`: the newest that a metric has data of when not given.
    #[param(required = false, value_type = u32, example = 20261101)]
    to: Option<String>,
    /// Confidence of the intervals, 0.5 to 0.999; 0.95 when not given.
    level: Option<f64>,
    /// Intervals and p-values that hold however often one looks.
    #[serde(default)]
    sequential: bool,
    /// Take out what the days before the experiment explain; true when not given.
    cuped: Option<bool>,
    /// A label by id or name, the users of each of whose tags are to be compared by themselves, too.
    label: Option<String>,
}

/// Show what an experiment came to.
///
/// Each metric of each group beside control: the difference of the means with its interval and p-value, after
/// Welch; for shares Newcombe's interval; with `sequential` an always-valid one. `q` is the false discovery rate
/// among all comparisons of the answer. Users are compared by the group that they were split into, whatever became
/// of them.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/experiments/{id}/results",
    tag = "experiments",
    operation_id = "getResults",
    params(("app" = String, Path), ("id" = String, Path), ResultsQuery),
    responses(
        (status = 200, description = "The results", body = Results),
        (status = 404, description = "No such experiment, or label", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`no_data_yet`; `experiment_state`: it does not run; `app_disabled`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn results(
    cohorts: Data<Cohorts>,
    caller: Caller,
    path: Path<(String, String)>,
    query: Query<ResultsQuery>,
) -> Result<Json<Results>, Problem> {
    let began = Instant::now();
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Read)?;
    let ResultsQuery { to, level, sequential, cuped, label } = query.into_inner();
    let level = level.unwrap_or(LEVEL);
    if !(0.5..=0.999).contains(&level) {
        let problem = Problem::new(Kind::BadRequest, "bad_parameter", "The level is from 0.5 to 0.999.");
        return Err(problem.with_fault("level", "level", None));
    }
    let to = to.map(|to| day("to", &to)).transpose()?;
    let asked = Asked { to, level, sequential, cuped: cuped.unwrap_or(true), label };
    let (_waiting, stopped) = Waiting::new();
    Ok(Json(operations::results(&cohorts, (&app, &id), asked, (stopped, began)).await?))
}

/// Show which group a user is in, and why.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/experiments/{id}/users/{user}",
    tag = "experiments",
    operation_id = "getUserPlace",
    params(("app" = String, Path), ("id" = String, Path), ("user" = String, Path, description = "The user's id")),
    responses(
        (status = 200, description = "The group, or why there is none", body = UserPlace),
        (status = 403, description = "`below_floor`: the group has fewer users than the app lets be shown", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such experiment", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`experiment_state`: it does not run", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn place(
    cohorts: Data<Cohorts>,
    caller: Caller,
    path: Path<(String, String, String)>,
) -> Result<Json<UserPlace>, Problem> {
    let (app, id, user) = path.into_inner();
    caller.require(&app, Role::Export)?;
    Ok(Json(operations::place(&cohorts, (&app, &id), user).await?))
}
