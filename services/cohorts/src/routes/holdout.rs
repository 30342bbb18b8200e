//! `/v1/apps/{app}/holdout`: users who are in no experiment.

use actix_web::web::{Data, Json, Path};
use chrono::Utc;
use muster_http::{Caller, Problem, ProblemBody, Role};

use crate::Cohorts;
use crate::answers::Holdout;
use crate::operations;

/// Show which share of the users is in no experiment.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/holdout",
    tag = "experiments",
    operation_id = "getHoldout",
    params(("app" = String, Path)),
    responses((status = 200, description = "The share; 0 unless one was set", body = Holdout)),
)]
pub async fn show(
    cohorts: Data<Cohorts>,
    caller: Caller,
    app: Path<String>,
) -> Result<Json<Holdout>, Problem> {
    caller.require(&app, Role::Read)?;
    Ok(Json(operations::holdout(&cohorts, &app).await?))
}

/// Hold users out of all experiments that begin from now on.
///
/// They are those whose position under the salt `{app}/holdout` is below the share: with a greater share, who was
/// held out stays so.
#[utoipa::path(
    put,
    path = "/v1/apps/{app}/holdout",
    tag = "experiments",
    operation_id = "putHoldout",
    params(("app" = String, Path)),
    request_body = Holdout,
    responses(
        (status = 200, description = "As it is now", body = Holdout),
        (status = 404, description = "`app_not_found`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_body`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn put(
    cohorts: Data<Cohorts>,
    caller: Caller,
    app: Path<String>,
    body: Json<Holdout>,
) -> Result<Json<Holdout>, Problem> {
    caller.require(&app, Role::Segment)?;
    Ok(Json(operations::put_holdout(&cohorts, &app, body.share, &caller.id, Utc::now()).await?))
}
