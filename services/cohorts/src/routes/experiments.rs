//! `/v1/apps/{app}/experiments`: what experiments are to be.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Json, Path, Query};
use chrono::Utc;
use muster_http::{Caller, Page, PageQuery, Problem, ProblemBody, Role};

use crate::Cohorts;
use crate::answers::Experiment;
use crate::definition::Definition;
use crate::operations;
use crate::store::{self, ExperimentRow};

pub(super) async fn shown(cohorts: &Cohorts, row: ExperimentRow) -> Result<Experiment, Problem> {
    let floor = cohorts.audiences.settings(&row.app_id).await?.floor();
    Ok(operations::shown(row, floor)?)
}

/// Create an experiment, as a draft.
#[utoipa::path(
    post,
    path = "/v1/apps/{app}/experiments",
    tag = "experiments",
    operation_id = "createExperiment",
    params(("app" = String, Path)),
    request_body = Definition,
    responses(
        (status = 201, description = "The draft", body = Experiment),
        (status = 404, description = "`app_not_found`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`app_disabled`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_body`, or `rule_refused` of its population", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    cohorts: Data<Cohorts>,
    caller: Caller,
    app: Path<String>,
    body: Json<Definition>,
) -> Result<HttpResponse, Problem> {
    caller.require(&app, Role::Segment)?;
    let row = operations::create(&cohorts, &app, body.into_inner(), &caller.id, Utc::now()).await?;
    let location = format!("/v1/apps/{app}/experiments/{}", row.id);
    Ok(HttpResponse::Created().insert_header((LOCATION, location)).json(shown(&cohorts, row).await?))
}

/// List experiments, newest first.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/experiments",
    tag = "experiments",
    operation_id = "listExperiments",
    params(("app" = String, Path), PageQuery),
    responses((status = 200, description = "Experiments", body = Page<Experiment>)),
)]
pub async fn list(
    cohorts: Data<Cohorts>,
    caller: Caller,
    app: Path<String>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Experiment>>, Problem> {
    caller.require(&app, Role::Read)?;
    let size = page.size()?;
    let rows = store::experiments(&cohorts.db, &app, page.cursor.as_deref(), size).await?;
    let page = Page::cut(rows, size, |row| row.id.clone());
    let mut items = Vec::new();
    for row in page.items {
        items.push(shown(&cohorts, row).await?);
    }
    Ok(Json(Page { items, next: page.next }))
}

/// Show an experiment.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/experiments/{id}",
    tag = "experiments",
    operation_id = "getExperiment",
    params(("app" = String, Path), ("id" = String, Path)),
    responses(
        (status = 200, description = "The experiment", body = Experiment),
        (status = 404, description = "No such experiment", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn show(
    cohorts: Data<Cohorts>,
    caller: Caller,
    path: Path<(String, String)>,
) -> Result<Json<Experiment>, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Read)?;
    let row = operations::find(&cohorts, &app, &id).await?;
    Ok(Json(shown(&cohorts, row).await?))
}

/// Change a draft.
#[utoipa::path(
    put,
    path = "/v1/apps/{app}/experiments/{id}",
    tag = "experiments",
    operation_id = "changeExperiment",
    params(("app" = String, Path), ("id" = String, Path)),
    request_body = Definition,
    responses(
        (status = 200, description = "The draft as it is now", body = Experiment),
        (status = 404, description = "No such experiment", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`experiment_state`: it is no draft any more; `experiment_changed`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_body`, or `rule_refused` of its population", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn change(
    cohorts: Data<Cohorts>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Json<Definition>,
) -> Result<Json<Experiment>, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Segment)?;
    let row = operations::change(&cohorts, (&app, &id), body.into_inner(), Utc::now()).await?;
    Ok(Json(shown(&cohorts, row).await?))
}

/// Delete a draft or a stopped experiment, with its groups' cohorts.
#[utoipa::path(
    delete,
    path = "/v1/apps/{app}/experiments/{id}",
    tag = "experiments",
    operation_id = "deleteExperiment",
    params(("app" = String, Path), ("id" = String, Path)),
    responses(
        (status = 204, description = "It is deleted"),
        (status = 404, description = "No such experiment", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`experiment_state`: it runs; `cohort_in_use`: a rule names one of its groups", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn delete(
    cohorts: Data<Cohorts>,
    caller: Caller,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Segment)?;
    operations::delete(&cohorts, &app, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}
