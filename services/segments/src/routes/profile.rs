//! What cohorts are made up of: profile, difference and overlap.

use std::collections::BTreeSet;
use std::time::Instant;

use actix_web::web::{Data, Json, Path, Query};
use muster_days::Ds;
use muster_evaluator::Control;
use muster_http::{Caller, Problem, ProblemBody, Role};
use serde::Deserialize;
use utoipa::IntoParams;

use super::cohorts::find_open;
use super::evaluation::{evaluate, turn};
use super::members::find_all;
use crate::Segments;
use crate::error::Error;
use crate::operations::{self, Order, Scope};
use crate::profile_answers::{CohortDifference, CohortProfile, Overlap};

/// Tags or values of one answer.
const MOST_TAGS: usize = 10_000;
const TAGS: usize = 100;
/// Cohorts whose overlap is told.
const MOST_COHORTS: usize = 6;
/// What reading all labels weighs in the line before the evaluator: about that of a rule of so many conditions.
pub(super) const COST: u64 = 50;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ProfileParams {
    /// Labels by id or name, with commas between; all of the app that are not retired when not given.
    #[param(required = false, value_type = String, example = "gender,province")]
    labels: Option<String>,
    /// The day whose labels count, `YYYYMMDD`: each with its newest one at or before. The cohort's day when not given.
    #[param(required = false, value_type = u32, example = 20261101)]
    ds: Option<String>,
    /// `surprise`, the default: the tags first whose share differs most significantly from the rest of the app's;
    /// `index` or `users`.
    #[param(required = false, value_type = String, example = "surprise")]
    sort: Option<String>,
    /// At most so many tags, up to 10000; 100 when not given.
    #[param(required = false, value_type = u32, minimum = 1, maximum = 10000)]
    top: Option<String>,
}

/// Show what sets the members of a cohort apart.
///
/// Every tag of some labels or of all, beside the whole app: exact counts, worked out when asked for, with index,
/// interval and a false-discovery rate over all tags of the answer.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/cohorts/{id}/profile",
    tag = "cohorts",
    operation_id = "cohortProfile",
    params(("app" = String, Path), ("id" = String, Path), ProfileParams),
    responses(
        (status = 200, description = "The tags", body = CohortProfile),
        (status = 400, description = "`invalid_ds`, `invalid_sort`, `invalid_top`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`below_floor`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such cohort; `label_not_found` with the nearest name", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`app_disabled`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn profile(
    segments: Data<Segments>,
    caller: Caller,
    path: Path<(String, String)>,
    params: Query<ProfileParams>,
) -> Result<Json<CohortProfile>, Problem> {
    let began = Instant::now();
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Read)?;
    let ProfileParams { labels, ds, sort, top } = params.into_inner();
    let (scope, order) = (scope(labels, ds, top)?, order(sort.as_deref())?);
    let cohort = find_open(&segments, &app, &id).await?;
    let turn = turn(&segments, &app, COST).await?;
    let work =
        move |control: &Control<'_>| operations::profile(&segments, &cohort, &scope, order, (control, began));
    Ok(Json(evaluate(turn, work).await?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct DifferenceParams {
    /// The cohort before, as a rule an earlier one of the same segment or list.
    #[param(value_type = String, example = "coh_01")]
    #[serde(default)]
    from: String,
    /// Labels by id or name, with commas between; all of the app that are not retired when not given.
    #[param(required = false, value_type = String, example = "gender,province")]
    labels: Option<String>,
    /// The day whose labels count for both, `YYYYMMDD`. The cohort's day when not given.
    #[param(required = false, value_type = u32, example = 20261101)]
    ds: Option<String>,
    /// At most so many tags, up to 10000; 100 when not given.
    #[param(required = false, value_type = u32, minimum = 1, maximum = 10000)]
    top: Option<String>,
}

/// Show what changed from one cohort to another: who entered, who left, and by label what that did.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/cohorts/{id}/difference",
    tag = "cohorts",
    operation_id = "cohortDifference",
    params(("app" = String, Path), ("id" = String, Path), DifferenceParams),
    responses(
        (status = 200, description = "The tags, those first whose share changed most", body = CohortDifference),
        (status = 400, description = "`invalid_ds`, `invalid_top`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`below_floor`: one of the cohorts, or those who entered, left or stayed, are too few to be shown", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such cohort; `label_not_found` with the nearest name", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`app_disabled`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn difference(
    segments: Data<Segments>,
    caller: Caller,
    path: Path<(String, String)>,
    params: Query<DifferenceParams>,
) -> Result<Json<CohortDifference>, Problem> {
    let began = Instant::now();
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Read)?;
    let DifferenceParams { from, labels, ds, top } = params.into_inner();
    let scope = scope(labels, ds, top)?;
    let after = find_open(&segments, &app, &id).await?;
    let before = find_open(&segments, &app, &from).await?;
    let turn = turn(&segments, &app, COST).await?;
    let work = move |control: &Control<'_>| {
        operations::difference(&segments, (&before, &after), &scope, (control, began))
    };
    Ok(Json(evaluate(turn, work).await?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct OverlapParams {
    /// Two to six cohorts, with commas between; of a segment or a list it is the newest one.
    #[param(value_type = String, example = "coh_01,coh_02")]
    #[serde(default)]
    cohorts: String,
}

/// Count the users in every combination of up to six cohorts.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/cohorts/overlap",
    tag = "cohorts",
    operation_id = "cohortOverlap",
    params(("app" = String, Path), OverlapParams),
    responses(
        (status = 200, description = "The regions", body = Overlap),
        (status = 400, description = "`invalid_cohorts`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`below_floor`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`cohort_not_found`, with the id", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`app_disabled`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn overlap(
    segments: Data<Segments>,
    caller: Caller,
    app: Path<String>,
    params: Query<OverlapParams>,
) -> Result<Json<Overlap>, Problem> {
    let began = Instant::now();
    caller.require(&app, Role::Read)?;
    let asked = two_to_six(&params.cohorts)?;
    let cohorts = find_all(&segments, &app, asked).await?;
    let cohorts: Vec<_> = cohorts.into_iter().map(|(_, cohort)| cohort).collect();
    // A segment may be named beside its newest cohort.
    let different: BTreeSet<&String> = cohorts.iter().map(|cohort| &cohort.id).collect();
    if different.len() < cohorts.len() {
        return Err(bad_cohorts().into());
    }
    let turn = turn(&segments, &app, COST).await?;
    let work = move |control: &Control<'_>| operations::overlap(&segments, &app, &cohorts, (control, began));
    Ok(Json(evaluate(turn, work).await?))
}

fn two_to_six(text: &str) -> Result<Vec<String>, Error> {
    let names: Vec<String> = text.split(',').map(|name| name.trim().to_owned()).collect();
    let twice = names.iter().enumerate().any(|(at, name)| names[..at].contains(name));
    let ok = (2..=MOST_COHORTS).contains(&names.len()) && !twice && names.iter().all(|name| !name.is_empty());
    if ok { Ok(names) } else { Err(bad_cohorts()) }
}

fn bad_cohorts() -> Error {
    let detail = format!("`cohorts` are 2 to {MOST_COHORTS} different ones with commas between.");
    Error::Parameter { parameter: "cohorts", code: "invalid_cohorts", detail }
}

fn scope(labels: Option<String>, ds: Option<String>, top: Option<String>) -> Result<Scope, Error> {
    Ok(Scope { labels: names(labels), ds: day("ds", ds)?, top: self::top(top, TAGS)? })
}

/// What stands between commas.
pub(super) fn names(text: Option<String>) -> Vec<String> {
    let text = text.unwrap_or_default();
    text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// At most so many of what is asked for.
pub(super) fn top(text: Option<String>, default: usize) -> Result<usize, Error> {
    let Some(text) = text else { return Ok(default) };
    let top = text.parse().ok().filter(|top| (1..=MOST_TAGS).contains(top));
    top.ok_or_else(|| {
        let detail = format!("`top` is a number from 1 to {MOST_TAGS}.");
        Error::Parameter { parameter: "top", code: "invalid_top", detail }
    })
}

pub(super) fn day(parameter: &'static str, text: Option<String>) -> Result<Option<Ds>, Error> {
    text.map(|text| text.parse::<Ds>()).transpose().map_err(|error| {
        let detail = format!("`{parameter}`: {error}.");
        Error::Parameter { parameter, code: "invalid_ds", detail }
    })
}

fn order(text: Option<&str>) -> Result<Order, Error> {
    match text {
        None | Some("surprise") => Ok(Order::Surprise),
        Some("index") => Ok(Order::Index),
        Some("users") => Ok(Order::Users),
        Some(_) => {
            let detail = "`sort` is `surprise`, `index` or `users`.".to_owned();
            Err(Error::Parameter { parameter: "sort", code: "invalid_sort", detail })
        }
    }
}
