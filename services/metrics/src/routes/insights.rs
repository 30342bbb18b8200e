//! `/v1/apps/{app}/insights/labels/{label}`: who the users are.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use muster_days::Ds;
use muster_http::{Caller, Problem, ProblemBody, Role};
use serde::Deserialize;
use utoipa::IntoParams;

use super::tagged;
use crate::Metrics;
use crate::answers::{Distribution, Trend};
use crate::error::Error;
use crate::operations::{self, Asked, Order};

/// Tags of one answer.
const MOST_TAGS: usize = 10_000;
pub(super) const TAGS: usize = 1_000;
/// Tags of a trend that says nothing about it.
const TREND_TAGS: usize = 20;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DistributionParams {
    /// `all`, which is the default, or a base crowd.
    #[param(required = false, value_type = String, example = "active_7d")]
    crowd: Option<String>,
    /// The day to look from, `YYYYMMDD`: the newest day up to it that is worked out. The newest of all when
    /// not given.
    #[param(required = false, value_type = u32, example = 20261101)]
    ds: Option<String>,
    /// `users`, the default; `index`: the tags first that set the crowd apart; or `surprise`: those first
    /// whose share differs most significantly from the rest of the app's, either way.
    #[param(required = false, value_type = String, example = "index")]
    sort: Option<String>,
    /// At most so many tags, up to 10000; 1000 when not given.
    #[param(required = false, value_type = u32, minimum = 1, maximum = 10000)]
    top: Option<String>,
}

/// Show how a crowd spreads over the tags of a label.
///
/// Counts are exact and worked out beforehand. The answer says which day it is of, which day of the label
/// counts on it, and which labels of the app are in.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/insights/labels/{label}",
    tag = "insights",
    operation_id = "labelDistribution",
    params(("app" = String, Path), ("label" = String, Path, description = "Id or name"), DistributionParams),
    responses(
        (status = 200, description = "The tags, with users, share and index", body = Distribution,
            headers(("ETag" = String, description = "Stays the same until the day is published anew"))),
        (status = 304, description = "What `If-None-Match` names is still so"),
        (status = 400, description = "`unknown_crowd`, `invalid_ds`, `invalid_sort`, `invalid_top`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`app_not_found`, `label_not_found` with the nearest name, `not_computed` with the first day that is", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn distribution(
    metrics: Data<Metrics>,
    caller: Caller,
    path: Path<(String, String)>,
    params: Query<DistributionParams>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (app, label) = path.into_inner();
    caller.require(&app, Role::Read)?;
    let snapshot = operations::snapshot(&metrics, &app).await?;
    let DistributionParams { crowd, ds, sort, top } = params.into_inner();
    let asked = Asked::new(&app, &snapshot, &label, crowd.as_deref())?;
    let (ds, order) = (day("ds", ds)?, order(sort.as_deref())?);
    let top = count(top.as_deref(), TAGS)?;
    let found = operations::distribution(&metrics, &asked, ds, (order, top));
    tagged::answer(&metrics, (&app, &snapshot), &request, found).await
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TrendParams {
    /// `all`, which is the default, or a base crowd.
    #[param(required = false, value_type = String, example = "active_7d")]
    crowd: Option<String>,
    /// The first day, `YYYYMMDD`; the 30th up to the newest one when not given.
    #[param(required = false, value_type = u32, example = 20261001)]
    from: Option<String>,
    /// The last day; the newest one that is worked out when not given.
    #[param(required = false, value_type = u32, example = 20261101)]
    to: Option<String>,
    /// At most so many tags, up to 10000: those that lead on the newest day; 20 when not given.
    #[param(required = false, value_type = u32, minimum = 1, maximum = 10000)]
    top: Option<String>,
}

/// Show the same over days, at most 400 of them.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/insights/labels/{label}/trend",
    tag = "insights",
    operation_id = "labelTrend",
    params(("app" = String, Path), ("label" = String, Path, description = "Id or name"), TrendParams),
    responses(
        (status = 200, description = "The tags by day", body = Trend,
            headers(("ETag" = String, description = "Stays the same until one of the days is published anew"))),
        (status = 304, description = "What `If-None-Match` names is still so"),
        (status = 400, description = "`unknown_crowd`, `invalid_ds`, `invalid_days`, `invalid_top`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`app_not_found`, `label_not_found` with the nearest name, `not_computed` with the first day that is", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn trend(
    metrics: Data<Metrics>,
    caller: Caller,
    path: Path<(String, String)>,
    params: Query<TrendParams>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (app, label) = path.into_inner();
    caller.require(&app, Role::Read)?;
    let snapshot = operations::snapshot(&metrics, &app).await?;
    let TrendParams { crowd, from, to, top } = params.into_inner();
    let asked = Asked::new(&app, &snapshot, &label, crowd.as_deref())?;
    let (days, top) = ((day("from", from)?, day("to", to)?), count(top.as_deref(), TREND_TAGS)?);
    let found = operations::trend(&metrics, &asked, days, top);
    tagged::answer(&metrics, (&app, &snapshot), &request, found).await
}

pub fn day(parameter: &'static str, text: Option<String>) -> Result<Option<Ds>, Error> {
    let day = text.map(|text| text.parse::<Ds>()).transpose();
    day.map_err(|source| Error::NotADay { parameter, source })
}

pub(super) fn order(text: Option<&str>) -> Result<Order, Error> {
    match text {
        None | Some("users") => Ok(Order::Users),
        Some("index") => Ok(Order::Index),
        Some("surprise") => Ok(Order::Surprise),
        Some(_) => Err(Error::Parameter {
            parameter: "sort",
            code: "invalid_sort",
            detail: "`sort` is `users`, `index` or `surprise`.".to_owned(),
        }),
    }
}

pub fn count(text: Option<&str>, default: usize) -> Result<usize, Error> {
    let Some(text) = text else { return Ok(default) };
    let count = text.parse().ok().filter(|count| (1..=MOST_TAGS).contains(count));
    count.ok_or_else(|| Error::Parameter {
        parameter: "top",
        code: "invalid_top",
        detail: format!("`top` is a number from 1 to {MOST_TAGS}."),
    })
}
