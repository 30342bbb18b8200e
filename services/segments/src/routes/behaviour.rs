//! What the members of a cohort did, and how their numbers spread.

use std::ops::RangeInclusive;
use std::time::Instant;

use actix_web::web::{Data, Json, Path, Query};
use muster_days::Ds;
use muster_evaluator::Control;
use muster_http::{Caller, Problem, ProblemBody, Role};
use serde::Deserialize;
use utoipa::IntoParams;

use super::cohorts::find_open;
use super::evaluation::{evaluate, turn};
use super::profile::{COST, day, names, top};
use crate::Segments;
use crate::answers::Cohort;
use crate::behaviour_answers::{CohortBehaviour, CohortSpread, CohortValues};
use crate::error::Error;
use crate::operations::{self, NumberOf, OverDays};

/// Days of a range that says nothing of its begin.
const DAYS: i64 = 30;
const MOST_DAYS: i64 = 400;
const VALUES: usize = 100;
const MOST_QUANTILES: usize = 20;
const QUANTILES: [f64; 5] = [0.1, 0.25, 0.5, 0.75, 0.9];

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BehaviourParams {
    /// Events by name, with commas between; all of the app when not given.
    #[param(required = false, value_type = String, example = "visit,order")]
    events: Option<String>,
    /// The first day, `YYYYMMDD`; the 30th up to `to` when not given.
    #[param(required = false, value_type = u32, example = 20261003)]
    from: Option<String>,
    /// The last day; the cohort's own when not given.
    #[param(required = false, value_type = u32, example = 20261101)]
    to: Option<String>,
}

/// The days that are asked about.
fn days(cohort: &Cohort, (from, to): (Option<String>, Option<String>)) -> Result<RangeInclusive<Ds>, Error> {
    let to = day("to", to)?.unwrap_or(cohort.ds);
    let from = day("from", from)?.unwrap_or_else(|| to.plus(1 - DAYS));
    if (0..MOST_DAYS).contains(&to.days_since(from)) {
        return Ok(from..=to);
    }
    let detail = format!("`from` and `to` are the first and the last of 1 to {MOST_DAYS} days.");
    Err(Error::Parameter { parameter: "from", code: "invalid_days", detail })
}

/// In the line before the evaluator: about one pass for each day and event; of all events some.
fn cost(of: &OverDays, events: usize) -> u64 {
    let days = of.days.end().days_since(*of.days.start()) as u64 + 1;
    let events = if events == 0 { 10 } else { events as u64 };
    days * events
}

/// Show what the members of a cohort did: users, pv and measures by event and day, beside the whole app.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/cohorts/{id}/behaviour",
    tag = "cohorts",
    operation_id = "cohortBehaviour",
    params(("app" = String, Path), ("id" = String, Path), BehaviourParams),
    responses(
        (status = 200, description = "The events", body = CohortBehaviour),
        (status = 400, description = "`invalid_ds`, `invalid_days`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`below_floor`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such cohort; `event_not_found` with the nearest name", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`app_disabled`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn behaviour(
    segments: Data<Segments>,
    caller: Caller,
    path: Path<(String, String)>,
    params: Query<BehaviourParams>,
) -> Result<Json<CohortBehaviour>, Problem> {
    let began = Instant::now();
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Read)?;
    let BehaviourParams { events, from, to } = params.into_inner();
    let events = names(events);
    let cohort = find_open(&segments, &app, &id).await?;
    let of = OverDays { days: days(&cohort, (from, to))?, cohort };
    let turn = turn(&segments, &app, cost(&of, events.len())).await?;
    let work = move |control: &Control<'_>| operations::behaviour(&segments, &of, &events, (control, began));
    Ok(Json(evaluate(turn, work).await?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TopParams {
    /// At most so many values, up to 10000; 100 when not given.
    #[param(required = false, value_type = u32, minimum = 1, maximum = 10000)]
    top: Option<String>,
    /// The first day, `YYYYMMDD`; the 30th up to `to` when not given.
    #[param(required = false, value_type = u32, example = 20261003)]
    from: Option<String>,
    /// The last day; the cohort's own when not given.
    #[param(required = false, value_type = u32, example = 20261101)]
    to: Option<String>,
}

/// Show what the members of a cohort did of an event, by the values of one of its dimensions.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/cohorts/{id}/behaviour/{event}/dimensions/{dim}",
    tag = "cohorts",
    operation_id = "cohortValues",
    params(("app" = String, Path), ("id" = String, Path), ("event" = String, Path), ("dim" = String, Path), TopParams),
    responses(
        (status = 200, description = "The values", body = CohortValues),
        (status = 400, description = "`invalid_ds`, `invalid_days`, `invalid_top`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`below_floor`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such cohort; `event_not_found`, `dimension_not_found` with the nearest name", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`app_disabled`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn values(
    segments: Data<Segments>,
    caller: Caller,
    path: Path<(String, String, String, String)>,
    params: Query<TopParams>,
) -> Result<Json<CohortValues>, Problem> {
    let began = Instant::now();
    let (app, id, event, dimension) = path.into_inner();
    caller.require(&app, Role::Read)?;
    let TopParams { top: some, from, to } = params.into_inner();
    let some = top(some, VALUES)?;
    let cohort = find_open(&segments, &app, &id).await?;
    let of = OverDays { days: days(&cohort, (from, to))?, cohort };
    let turn = turn(&segments, &app, cost(&of, 1)).await?;
    let work = move |control: &Control<'_>| {
        operations::behaviour_by_value(&segments, &of, (&event, &dimension), some, (control, began))
    };
    Ok(Json(evaluate(turn, work).await?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SpreadParams {
    /// With `tag`: the number is the weight with which users carry it.
    #[param(required = false, value_type = String, example = "member_level")]
    label: Option<String>,
    #[param(required = false, value_type = String, example = "gold")]
    tag: Option<String>,
    /// The day of the label, or its newest one before, `YYYYMMDD`; the cohort's own when not given.
    #[param(required = false, value_type = u32, example = 20261101)]
    ds: Option<String>,
    /// Without `label`: the number is what a user comes to of the event from `from` to `to`: pv, or the `measure`.
    #[param(required = false, value_type = String, example = "order")]
    event: Option<String>,
    #[param(required = false, value_type = String, example = "m_amount")]
    measure: Option<String>,
    #[param(required = false, value_type = u32, example = 20261003)]
    from: Option<String>,
    #[param(required = false, value_type = u32, example = 20261101)]
    to: Option<String>,
    /// Up to 20 shares from 0 to 1, with commas between; 0.1,0.25,0.5,0.75,0.9 when not given.
    #[param(required = false, value_type = String, example = "0.5,0.99")]
    quantiles: Option<String>,
}

/// Show how a number spreads over the members of a cohort: sum, mean and exact quantiles, beside the whole app.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/cohorts/{id}/spread",
    tag = "cohorts",
    operation_id = "cohortSpread",
    params(("app" = String, Path), ("id" = String, Path), SpreadParams),
    responses(
        (status = 200, description = "The numbers", body = CohortSpread),
        (status = 400, description = "`invalid_ds`, `invalid_days`, `invalid_quantiles`, `invalid_number`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 403, description = "`below_floor`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such cohort; `label_not_found`, `tag_not_found`, `event_not_found`, `measure_not_found` with the nearest name", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`app_disabled`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn spread(
    segments: Data<Segments>,
    caller: Caller,
    path: Path<(String, String)>,
    params: Query<SpreadParams>,
) -> Result<Json<CohortSpread>, Problem> {
    let began = Instant::now();
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Read)?;
    let params = params.into_inner();
    let shares = shares(params.quantiles.as_deref())?;
    let cohort = find_open(&segments, &app, &id).await?;
    let of = params.number(&cohort)?;
    let turn = turn(&segments, &app, COST).await?;
    let work =
        move |control: &Control<'_>| operations::spread(&segments, &cohort, (&of, &shares), (control, began));
    Ok(Json(evaluate(turn, work).await?))
}

impl SpreadParams {
    fn number(self, cohort: &Cohort) -> Result<NumberOf, Error> {
        let SpreadParams { label, tag, ds, event, measure, from, to, quantiles: _ } = self;
        match (label, tag, event) {
            (Some(label), Some(tag), None) => {
                Ok(NumberOf::Weight { label, tag, ds: day("ds", ds)?.unwrap_or(cohort.ds) })
            }
            (None, None, Some(event)) => {
                Ok(NumberOf::Total { event, measure, days: days(cohort, (from, to))? })
            }
            _ => {
                let detail = "Say which number: `label` and `tag`, or `event`, with or without a `measure`.";
                Err(Error::Parameter {
                    parameter: "event",
                    code: "invalid_number",
                    detail: detail.to_owned(),
                })
            }
        }
    }
}

fn shares(text: Option<&str>) -> Result<Vec<f64>, Error> {
    let Some(text) = text else { return Ok(QUANTILES.to_vec()) };
    let shares: Option<Vec<f64>> = text.split(',').map(|share| share.trim().parse().ok()).collect();
    let fits = |shares: &Vec<f64>| {
        shares.len() <= MOST_QUANTILES && shares.iter().all(|share| (0.0..=1.0).contains(share))
    };
    shares.filter(fits).ok_or_else(|| {
        let detail =
            format!("`quantiles` are up to {MOST_QUANTILES} shares from 0 to 1, with commas between.");
        Error::Parameter { parameter: "quantiles", code: "invalid_quantiles", detail }
    })
}
