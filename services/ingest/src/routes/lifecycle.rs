//! `POST /v1/apps/{app}/lifecycle`: drop what is past its retention.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Path};
use muster_http::{Caller, Problem, ProblemBody, Role};
use muster_jobs::Priority;

use crate::Ingest;
use crate::jobs::LIFECYCLE;
use crate::operations::{ask, jobs_problem};

/// Drop the days of an app that are past their retention.
///
/// Of an app that is disabled all days go, or all but those that the profile of its newest day rests upon,
/// as the deployment says. A process of the role ingest asks for this by itself once a day. Where a job of this kind waits already,
/// that one is answered. Its result says how many days of labels and events went, and the bytes before and
/// after; whoever reads older data meanwhile goes on reading them.
#[utoipa::path(
    post,
    path = "/v1/apps/{app}/lifecycle",
    tag = "imports",
    operation_id = "runLifecycle",
    params(("app" = String, Path)),
    responses(
        (status = 202, description = "The job", body = muster_jobs::Job,
            headers(("Location" = String, description = "The job"))),
        (status = 403, description = "The key lacks the role `import`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`app_not_found`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn run(ingest: Data<Ingest>, caller: Caller, app: Path<String>) -> Result<HttpResponse, Problem> {
    caller.require(&app, Role::Import)?;
    let (store, name) = (ingest.store.clone(), app.clone());
    let users = tokio::task::spawn_blocking(move || store.users(&name)).await.map_err(Problem::internal)?;
    let users = users.map_err(|error| {
        let away = error.is_away();
        Problem::of_store(error, away)
    })?;
    if users.is_none() {
        return Err(Problem::app_not_found(&app));
    }
    let job =
        ask(&ingest.jobs, LIFECYCLE, &app, &caller.id, Priority::Interactive).await.map_err(jobs_problem)?;
    Ok(HttpResponse::Accepted().insert_header((LOCATION, format!("/v1/jobs/{}", job.id))).json(job))
}
