//! `POST /v1/apps/{app}/segments/estimate`.

use std::time::{Duration, Instant};

use actix_web::web::{Bytes, Data, Json, Path, Query};
use muster_evaluator::Control;
use muster_http::{Caller, Kind, Problem, Role};
use serde::Deserialize;
use utoipa::IntoParams;

use super::evaluation::{evaluate, turn};
use crate::Segments;
use crate::answers::Estimate;
use crate::operations::{self, Asked, Contract};

/// No answer takes longer; a larger budget is a mistake.
const LONGEST_BUDGET_MS: f64 = 3_600_000.0;

#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct EstimateQuery {
    /// Relative error of the count, above 0 and up to 1, that will do with 95 % confidence: then some of
    /// the buckets are evaluated if they are enough, and all if not.
    #[param(exclusive_minimum = 0, maximum = 1, example = 0.05)]
    within: Option<f64>,
    /// Milliseconds from the request's arrival, above 0, after which no more buckets are begun; the answer
    /// says how sure it is.
    #[param(exclusive_minimum = 0, maximum = 3_600_000, example = 20)]
    budget_ms: Option<f64>,
}

impl EstimateQuery {
    fn contract(&self) -> Result<Contract, Problem> {
        let within = |share: f64| share > 0.0 && share <= 1.0;
        if self.within.is_some_and(|share| !within(share)) {
            return Err(bad_parameter(
                "within",
                "not_a_share",
                "`within` is above 0 and up to 1, like 0.05.",
            ));
        }
        let time = |ms: f64| ms > 0.0 && ms <= LONGEST_BUDGET_MS;
        if self.budget_ms.is_some_and(|ms| !time(ms)) {
            let detail = "`budget_ms` is a number of milliseconds, above 0 and up to 3600000.";
            return Err(bad_parameter("budget_ms", "not_a_time", detail));
        }
        let budget = self.budget_ms.map(|ms| Duration::from_secs_f64(ms / 1e3));
        Ok(Contract { within: self.within, budget })
    }
}

fn bad_parameter(name: &str, code: &str, detail: &str) -> Problem {
    Problem::new(Kind::BadRequest, "invalid_parameter", detail).with_fault(name, code, None)
}

/// Count a rule.
///
/// The body is the rule. The answer is exact unless `within` or `budget_ms` lets it be less, and says how
/// many users satisfy each condition.
#[utoipa::path(
    post,
    path = "/v1/apps/{app}/segments/estimate",
    tag = "segments",
    operation_id = "estimate",
    params(("app" = String, Path, description = "The app"), EstimateQuery),
    request_body(content = Object, content_type = "application/json", description = "A rule"),
    responses(
        (status = 200, description = "The counts", body = Estimate),
        (status = 400, description = "Not JSON, or a parameter that can't be meant", body = muster_http::ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such app", body = muster_http::ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`app_disabled`: rules of an app that is disabled are refused", body = muster_http::ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "The rule is refused, with the place of each fault", body = muster_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn estimate(
    segments: Data<Segments>,
    caller: Caller,
    app: Path<String>,
    query: Query<EstimateQuery>,
    body: Bytes,
) -> Result<Json<Estimate>, Problem> {
    caller.require(&app, Role::Read)?;
    let began = Instant::now();
    let contract = query.contract()?;
    let rule = operations::parse(&segments, &body, "")?;
    let turn = turn(&segments, &app, muster_rules::cost(&rule)).await?;
    let asked = Asked::of(&segments, &app, rule).await?;
    let work = move |control: &Control<'_>| {
        operations::estimate(&segments, &app, &asked, contract, began, control.stopped)
    };
    Ok(Json(evaluate(turn, work).await?))
}
