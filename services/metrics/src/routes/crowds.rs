//! `/v1/apps/{app}/insights/crowds`: how many they are.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use muster_http::{Caller, Problem, ProblemBody, Role};

use super::events::{DayParams, DaysParams};
use super::insights::day;
use super::tagged;
use crate::Metrics;
use crate::crowd_answers::{CrowdList, CrowdTrend};
use crate::operations;

/// Show how many users the app and each base crowd have on a day, and who of them is new.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/insights/crowds",
    tag = "insights",
    operation_id = "crowdSizes",
    params(("app" = String, Path), DayParams),
    responses(
        (status = 200, description = "The crowds, with users, new users and returning ones", body = CrowdList,
            headers(("ETag" = String, description = "Stays the same until the day is published anew"))),
        (status = 304, description = "What `If-None-Match` names is still so"),
        (status = 400, description = "`invalid_ds`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`app_not_found`, `not_computed` with the first day that is", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn list(
    metrics: Data<Metrics>,
    caller: Caller,
    app: Path<String>,
    params: Query<DayParams>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    caller.require(&app, Role::Read)?;
    let snapshot = operations::snapshot(&metrics, &app).await?;
    let ds = day("ds", params.into_inner().ds)?;
    let found = operations::crowds(&metrics, &snapshot, ds);
    tagged::answer(&metrics, (&app, &snapshot), &request, found).await
}

/// Show a crowd over days, at most 400 of them.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/insights/crowds/{crowd}",
    tag = "insights",
    operation_id = "crowdTrend",
    params(("app" = String, Path), ("crowd" = String, Path, description = "`all` or a base crowd"), DaysParams),
    responses(
        (status = 200, description = "Users, new users and returning ones by day", body = CrowdTrend,
            headers(("ETag" = String, description = "Stays the same until one of the days is published anew"))),
        (status = 304, description = "What `If-None-Match` names is still so"),
        (status = 400, description = "`unknown_crowd` with the nearest name, `invalid_ds`, `invalid_days`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`app_not_found`, `not_computed` with the first day that is", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn trend(
    metrics: Data<Metrics>,
    caller: Caller,
    path: Path<(String, String)>,
    params: Query<DaysParams>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (app, crowd) = path.into_inner();
    caller.require(&app, Role::Read)?;
    let snapshot = operations::snapshot(&metrics, &app).await?;
    let DaysParams { from, to } = params.into_inner();
    let days = (day("from", from)?, day("to", to)?);
    let found = operations::crowd_trend(&metrics, &snapshot, &crowd, days);
    tagged::answer(&metrics, (&app, &snapshot), &request, found).await
}
