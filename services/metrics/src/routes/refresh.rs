//! `POST /v1/apps/{app}/insights/refresh`.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path};
use muster_http::{Caller, Problem, ProblemBody, Role};
use muster_jobs::{NewJob, Priority};

use crate::Metrics;
use crate::error::Error;
use crate::jobs::METRICS;
use crate::operations;

/// Have what is new in the data worked out.
///
/// An import does this by itself. Where a job of this kind waits already, that one is answered: it will see
/// whatever is published now.
#[utoipa::path(
    post,
    path = "/v1/apps/{app}/insights/refresh",
    tag = "insights",
    operation_id = "refreshInsights",
    params(("app" = String, Path)),
    responses(
        (status = 202, description = "The job", body = muster_jobs::Job,
            headers(("Location" = String, description = "The job"))),
        (status = 403, description = "The key lacks the role `import`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`app_not_found`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn refresh(
    metrics: Data<Metrics>,
    caller: Caller,
    app: Path<String>,
) -> Result<HttpResponse, Problem> {
    caller.require(&app, Role::Import)?;
    operations::snapshot(&metrics, &app).await?;
    let job = NewJob::of_app(&app, &caller.id, METRICS, Priority::Interactive);
    let job = metrics.jobs.enqueue_unless_waiting(job).await.map_err(Error::from)?;
    Ok(HttpResponse::Accepted().insert_header((LOCATION, format!("/v1/jobs/{}", job.id))).json(job))
}
