//! Daily segments: what their days came to, a run now, and a cohort worked out again.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Json, Path, Query};
use muster_http::{Caller, Page, PageQuery, Problem, ProblemBody, Role};
use muster_jobs::Priority;

use super::cohorts::find_open;
use super::evaluation::{evaluate, turn};
use crate::Segments;
use crate::answers::{SegmentDay, Verified};
use crate::daily::ask;
use crate::error::Error;
use crate::operations::{self, Asked};
use crate::store;

/// List what the days of a daily segment came to, newest first.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/segments/{id}/days",
    tag = "segments",
    operation_id = "listSegmentDays",
    params(("app" = String, Path), ("id" = String, Path), PageQuery),
    responses(
        (status = 200, description = "Days", body = Page<SegmentDay>),
        (status = 404, description = "No such segment", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn days(
    segments: Data<Segments>,
    caller: Caller,
    path: Path<(String, String)>,
    page: Query<PageQuery>,
) -> Result<Json<Page<SegmentDay>>, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Read)?;
    let size = page.size()?;
    let rows = store::days_of(&segments.db, &app, &id, page.number()?, size).await?;
    if rows.is_empty() {
        operations::get(&segments, &app, &id).await?;
    }
    let days = rows.into_iter().map(SegmentDay::try_from).collect::<Result<Vec<_>, Error>>()?;
    Ok(Json(Page::cut(days, size, |day| day.ds.to_string())))
}

/// Have the due days of all daily segments made now.
///
/// This happens by itself when a day's time has come (`routine_at` of the app's settings) and when data have.
/// Where such a job waits already, that one is answered.
#[utoipa::path(
    post,
    path = "/v1/apps/{app}/routine",
    tag = "segments",
    operation_id = "runDailySegments",
    params(("app" = String, Path)),
    responses(
        (status = 202, description = "The job", body = muster_jobs::Job,
            headers(("Location" = String, description = "The job"))),
        (status = 404, description = "`app_not_found`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`app_disabled`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn routine(
    segments: Data<Segments>,
    caller: Caller,
    app: Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.require(&app, Role::Segment)?;
    operations::require_served(&segments, &app).await?;
    let job = ask(&segments, &app, &caller.id, Priority::Interactive).await?;
    Ok(HttpResponse::Accepted().insert_header((LOCATION, format!("/v1/jobs/{}", job.id))).json(job))
}

/// Work a cohort out again and compare.
#[utoipa::path(
    post,
    path = "/v1/apps/{app}/cohorts/{id}/verify",
    tag = "cohorts",
    operation_id = "verifyCohort",
    params(("app" = String, Path), ("id" = String, Path)),
    responses(
        (status = 200, description = "What came out", body = Verified),
        (status = 403, description = "`below_floor`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such cohort", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn verify(
    segments: Data<Segments>,
    caller: Caller,
    path: Path<(String, String)>,
) -> Result<Json<Verified>, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Read)?;
    let cohort = find_open(&segments, &app, &id).await?;
    let rule = operations::parse(&segments, cohort.rule.to_string().as_bytes(), "")?;
    let turn = turn(&segments, &app, muster_rules::cost(&rule)).await?;
    let asked = Asked::of(&segments, &app, rule).await?;
    Ok(Json(evaluate(turn, move |control| operations::verify(&segments, &cohort, &asked, control)).await?))
}
