//! `/v1/apps/{app}/insights/events`: what they do.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use muster_http::{Caller, Problem, ProblemBody, Role};
use serde::Deserialize;
use utoipa::IntoParams;

use super::insights::{count, day};
use super::tagged;
use crate::Metrics;
use crate::event_answers::{DimensionValues, EventList, EventTrend};
use crate::operations;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DayParams {
    /// The day, `YYYYMMDD`: the newest one up to it that is worked out. The newest of all when not given.
    #[param(required = false, value_type = u32, example = 20261101)]
    pub(super) ds: Option<String>,
}

/// Show what each event came to on a day.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/insights/events",
    tag = "insights",
    operation_id = "eventTotals",
    params(("app" = String, Path), DayParams),
    responses(
        (status = 200, description = "The events, with pv and users", body = EventList,
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
    let found = operations::events(&metrics, &snapshot, ds);
    tagged::answer(&metrics, (&app, &snapshot), &request, found).await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DaysParams {
    /// The first day, `YYYYMMDD`; the 30th up to the newest one when not given.
    #[param(required = false, value_type = u32, example = 20261001)]
    pub(super) from: Option<String>,
    /// The last day; the newest one that is worked out when not given.
    #[param(required = false, value_type = u32, example = 20261101)]
    pub(super) to: Option<String>,
}

/// Show an event over days, at most 400 of them.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/insights/events/{event}",
    tag = "insights",
    operation_id = "eventTrend",
    params(("app" = String, Path), ("event" = String, Path), DaysParams),
    responses(
        (status = 200, description = "pv and users by day", body = EventTrend,
            headers(("ETag" = String, description = "Stays the same until one of the days is published anew"))),
        (status = 304, description = "What `If-None-Match` names is still so"),
        (status = 400, description = "`invalid_ds`, `invalid_days`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`app_not_found`, `event_not_found` with the nearest name, `not_computed` with the first day that is", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn trend(
    metrics: Data<Metrics>,
    caller: Caller,
    path: Path<(String, String)>,
    params: Query<DaysParams>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (app, event) = path.into_inner();
    caller.require(&app, Role::Read)?;
    let snapshot = operations::snapshot(&metrics, &app).await?;
    let DaysParams { from, to } = params.into_inner();
    let days = (day("from", from)?, day("to", to)?);
    let found = operations::event_trend(&metrics, &snapshot, &event, days);
    tagged::answer(&metrics, (&app, &snapshot), &request, found).await
}

/// Values of an answer that asks for no number of them.
const VALUES: usize = 100;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DimensionParams {
    /// The day, `YYYYMMDD`: the newest one up to it that is worked out. The newest of all when not given.
    #[param(required = false, value_type = u32, example = 20261101)]
    ds: Option<String>,
    /// At most so many values, up to 10000; 100 when not given.
    #[param(required = false, value_type = u32, minimum = 1, maximum = 10000)]
    top: Option<String>,
}

/// Show the values of a dimension that an event had most of on a day.
///
/// `metrics.dimension_values` of them are kept; what the answer leaves out is counted in it.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/insights/events/{event}/dimensions/{dim}",
    tag = "insights",
    operation_id = "dimensionTotals",
    params(("app" = String, Path), ("event" = String, Path), ("dim" = String, Path), DimensionParams),
    responses(
        (status = 200, description = "The values, with pv, users and share", body = DimensionValues,
            headers(("ETag" = String, description = "Stays the same until the day is published anew"))),
        (status = 304, description = "What `If-None-Match` names is still so"),
        (status = 400, description = "`invalid_ds`, `invalid_top`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`app_not_found`, `event_not_found` and `dimension_not_found` with the nearest name, `not_computed` with the first day that is", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn dimension(
    metrics: Data<Metrics>,
    caller: Caller,
    path: Path<(String, String, String)>,
    params: Query<DimensionParams>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (app, event, dimension) = path.into_inner();
    caller.require(&app, Role::Read)?;
    let snapshot = operations::snapshot(&metrics, &app).await?;
    let DimensionParams { ds, top } = params.into_inner();
    let (ds, top) = (day("ds", ds)?, count(top.as_deref(), VALUES)?);
    let found = operations::dimension(&metrics, &snapshot, (&event, &dimension), ds, top);
    tagged::answer(&metrics, (&app, &snapshot), &request, found).await
}
