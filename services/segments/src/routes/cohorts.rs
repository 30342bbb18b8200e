//! `/v1/apps/{app}/cohorts`: what segment runs have made.

use actix_web::HttpResponse;
use actix_web::web::{Data, Json, Path, Query};
use muster_http::{Caller, Kind, Page, PageQuery, Problem, Role};
use serde::Deserialize;
use utoipa::IntoParams;

use crate::Segments;
use crate::answers::Cohort;
use crate::error::Error;
use crate::operations::{self, floor};
use crate::store;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CohortQuery {
    /// Only cohorts made of this segment.
    segment: Option<String>,
}

/// List cohorts, newest first.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/cohorts",
    tag = "cohorts",
    operation_id = "listCohorts",
    params(("app" = String, Path), CohortQuery, PageQuery),
    responses((status = 200, description = "Cohorts", body = Page<Cohort>)),
)]
pub async fn list(
    segments: Data<Segments>,
    caller: Caller,
    app: Path<String>,
    query: Query<CohortQuery>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Cohort>>, Problem> {
    caller.require(&app, Role::Read)?;
    let size = page.size()?;
    let cursor = page.cursor.as_deref();
    let rows = store::cohorts(&segments.db, &app, query.segment.as_deref(), cursor, size).await?;
    let floor = floor(&segments, &app).await?;
    Ok(Json(Page::cut(rows, size, |cohort| cohort.id.clone()).map(|cohort| cohort.under(floor))))
}

/// Show a cohort.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/cohorts/{id}",
    tag = "cohorts",
    operation_id = "getCohort",
    params(("app" = String, Path), ("id" = String, Path)),
    responses(
        (status = 200, description = "The cohort", body = Cohort),
        (status = 404, description = "No such cohort", body = muster_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn show(
    segments: Data<Segments>,
    caller: Caller,
    path: Path<(String, String)>,
) -> Result<Json<Cohort>, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Read)?;
    let floor = floor(&segments, &app).await?;
    Ok(Json(find(&segments, &app, &id).await?.under(floor)))
}

/// One whose members may be told.
pub(super) async fn find_open(segments: &Segments, app: &str, id: &str) -> Result<Cohort, Error> {
    let (cohort, floor) = (find(segments, app, id).await?, floor(segments, app).await?);
    match cohort.clone().under(floor).size {
        Some(_) => Ok(cohort),
        None => Err(Error::BelowFloor(floor)),
    }
}

pub(super) async fn find(segments: &Segments, app: &str, id: &str) -> Result<Cohort, Error> {
    store::cohort(&segments.db, app, id).await?.ok_or(Error::NotFound("such cohort"))
}

/// Delete a cohort: the list of its members goes, the users stay.
#[utoipa::path(
    delete,
    path = "/v1/apps/{app}/cohorts/{id}",
    tag = "cohorts",
    operation_id = "deleteCohort",
    params(("app" = String, Path), ("id" = String, Path)),
    responses(
        (status = 204, description = "It is deleted"),
        (status = 409, description = "`cohort_in_use`: a segment or an experiment uses it, or it is what is on a list, or a group of an experiment", body = muster_http::ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such cohort", body = muster_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn delete(
    segments: Data<Segments>,
    caller: Caller,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Segment)?;
    let Cohort { id, segment_id, segment_version, .. } = find(&segments, &app, &id).await?;
    let newest = store::newest_version(&segments.db, &app, &segment_id).await?;
    let is_list = newest.is_some_and(|newest| newest.version == segment_version)
        && store::list(&segments.db, &app, &segment_id).await?.is_some();
    if is_list {
        let detail = "The cohort is what is on a list now; delete the list instead.";
        return Err(Problem::new(Kind::Conflict, "cohort_in_use", detail).with("list", segment_id));
    }
    if segment_id.starts_with("exp_") {
        let detail = "The cohort is a group of an experiment; delete the experiment instead.";
        return Err(Problem::new(Kind::Conflict, "cohort_in_use", detail).with("experiment", segment_id));
    }
    operations::require_unused(&segments, &app, ("cohort", &id)).await?;
    if !store::remove_cohort(&segments.db, &app, &id).await? {
        return Err(Error::NotFound("such cohort").into());
    }
    // The row was what made it visible; the file follows.
    operations::remove_file(&segments, &app, id).await?;
    Ok(HttpResponse::NoContent().finish())
}
