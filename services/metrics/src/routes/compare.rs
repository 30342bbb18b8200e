//! `/v1/apps/{app}/insights/labels/{label}/compare`.

use actix_web::web::{Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use muster_http::{Caller, Problem, ProblemBody, Role};
use serde::Deserialize;
use utoipa::IntoParams;

use super::insights::{TAGS, count, day, order};
use super::tagged;
use crate::Metrics;
use crate::answers::Comparison;
use crate::error::Error;
use crate::operations::{self, Asked};

const MOST_CROWDS: usize = 6;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct CompareParams {
    /// One to six crowds, with commas between: `all` or base crowds.
    #[param(value_type = String, example = "active_7d,trade_7d")]
    #[serde(default)]
    crowds: String,
    /// The newest day up to it that is worked out for all of them.
    #[param(required = false, value_type = u32, example = 20261101)]
    ds: Option<String>,
    /// `users`, the default, `index` or `surprise`: by what is greatest in any of the crowds.
    #[param(required = false, value_type = String, example = "surprise")]
    sort: Option<String>,
    /// At most so many tags, up to 10000; 1000 when not given.
    #[param(required = false, value_type = u32, minimum = 1, maximum = 10000)]
    top: Option<String>,
}

/// Show how crowds spread over the tags of a label, side by side.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/insights/labels/{label}/compare",
    tag = "insights",
    operation_id = "compareCrowds",
    params(("app" = String, Path), ("label" = String, Path, description = "Id or name"), CompareParams),
    responses(
        (status = 200, description = "The tags by crowd", body = Comparison,
            headers(("ETag" = String, description = "Stays the same until the day is published anew"))),
        (status = 304, description = "What `If-None-Match` names is still so"),
        (status = 400, description = "`invalid_crowds`, `unknown_crowd`, `invalid_ds`, `invalid_sort`, `invalid_top`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`app_not_found`, `label_not_found`, `not_computed`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn compare(
    metrics: Data<Metrics>,
    caller: Caller,
    path: Path<(String, String)>,
    params: Query<CompareParams>,
    request: HttpRequest,
) -> Result<HttpResponse, Problem> {
    let (app, label) = path.into_inner();
    caller.require(&app, Role::Read)?;
    let snapshot = operations::snapshot(&metrics, &app).await?;
    let CompareParams { crowds, ds, sort, top } = params.into_inner();
    let names = crowds.split(',').map(str::trim);
    let asked: Vec<Asked<'_>> = names_of(names)?
        .into_iter()
        .map(|crowd| Asked::new(&app, &snapshot, &label, Some(crowd)))
        .collect::<Result<_, _>>()?;
    let (ds, order) = (day("ds", ds)?, order(sort.as_deref())?);
    let top = count(top.as_deref(), TAGS)?;
    let found = operations::compare(&metrics, &asked, ds, (order, top));
    tagged::answer(&metrics, (&app, &snapshot), &request, found).await
}

fn names_of<'a>(names: impl Iterator<Item = &'a str>) -> Result<Vec<&'a str>, Error> {
    let names: Vec<&str> = names.collect();
    let twice = names.iter().enumerate().any(|(at, name)| names[..at].contains(name));
    if names.len() <= MOST_CROWDS && !twice && names.iter().all(|name| !name.is_empty()) {
        return Ok(names);
    }
    let detail = format!("`crowds` are 1 to {MOST_CROWDS} different names with commas between.");
    Err(Error::Parameter { parameter: "crowds", code: "invalid_crowds", detail })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_to_six_different_crowds() {
        let ok = |text: &str| names_of(text.split(',')).is_ok();
        assert!(ok("all") && ok("a,b,c,d,e,f"));
        assert!(!ok("") && !ok("a,,b") && !ok("a,a") && !ok("a,b,c,d,e,f,g"));
    }
}
