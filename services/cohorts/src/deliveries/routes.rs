//! `/v1/apps/{app}/deliveries`: cohorts brought to where they are needed.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Json, Path, Query};
use chrono::Utc;
use muster_http::{Caller, Page, PageQuery, Problem, ProblemBody, Role};
use muster_jobs::Job;

use super::answers::{Delivery, DeliveryBody, DestinationShown};
use super::destination::of_app;
use super::{operations, store};
use crate::Cohorts;

/// Deliver a cohort, or the newest one of a segment or list.
///
/// The answer is a job; its result is the manifest: what was delivered, with counts and hashes. Files of one cohort
/// have the same names whenever they are delivered, and batches the same keys, so that nothing is there twice. With
/// `changes` only those who entered or left since the last delivery are: all of them, where there was none.
#[utoipa::path(
    post,
    path = "/v1/apps/{app}/deliveries",
    tag = "deliveries",
    operation_id = "deliver",
    params(("app" = String, Path)),
    request_body = DeliveryBody,
    responses(
        (status = 202, description = "The job that delivers", body = Job, headers(
            ("Location" = String, description = "The job"),
            ("Muster-Delivery" = String, description = "The delivery's id"))),
        (status = 403, description = "`below_floor`: it has fewer users than the app lets be shown", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such cohort, or label", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`secret_missing`: of the webhook", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_body`: no such destination, for instance", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn deliver(
    cohorts: Data<Cohorts>,
    caller: Caller,
    app: Path<String>,
    body: Json<DeliveryBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(&app, Role::Export)?;
    let (delivery, job) = operations::ask(&cohorts, &app, body.into_inner(), &caller, Utc::now()).await?;
    let mut answer = HttpResponse::Accepted();
    answer.insert_header((LOCATION, format!("/v1/jobs/{}", job.id)));
    answer.insert_header(("Muster-Delivery", delivery.id));
    Ok(answer.json(job))
}

/// List deliveries, newest first.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/deliveries",
    tag = "deliveries",
    operation_id = "listDeliveries",
    params(("app" = String, Path), PageQuery),
    responses((status = 200, description = "Deliveries", body = Page<Delivery>)),
)]
pub async fn list(
    cohorts: Data<Cohorts>,
    caller: Caller,
    app: Path<String>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Delivery>>, Problem> {
    caller.require(&app, Role::Export)?;
    let size = page.size()?;
    let rows = store::deliveries(&cohorts.db, &app, page.cursor.as_deref(), size).await?;
    let page = Page::cut(rows, size, |row| row.id.clone());
    let items = page.items.into_iter().map(operations::shown).collect::<Result<_, _>>()?;
    Ok(Json(Page { items, next: page.next }))
}

/// Show a delivery, with its manifest once it is done.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/deliveries/{id}",
    tag = "deliveries",
    operation_id = "getDelivery",
    params(("app" = String, Path), ("id" = String, Path)),
    responses(
        (status = 200, description = "The delivery", body = Delivery),
        (status = 404, description = "No such delivery", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn show(
    cohorts: Data<Cohorts>,
    caller: Caller,
    path: Path<(String, String)>,
) -> Result<Json<Delivery>, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Export)?;
    let row = store::delivery(&cohorts.db, &app, &id).await?;
    Ok(Json(operations::shown(row.ok_or_else(|| Problem::not_found("such delivery"))?)?))
}

/// List where the app may deliver to.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/destinations",
    tag = "deliveries",
    operation_id = "listDestinations",
    params(("app" = String, Path)),
    responses((status = 200, description = "Destinations, by name", body = Vec<DestinationShown>)),
)]
pub async fn destinations(
    cohorts: Data<Cohorts>,
    caller: Caller,
    app: Path<String>,
) -> Result<Json<Vec<DestinationShown>>, Problem> {
    caller.require(&app, Role::Read)?;
    let shown = of_app(&cohorts.destinations, &app);
    let shown =
        shown.map(|(name, destination)| DestinationShown { name: name.clone(), kind: destination.kind() });
    Ok(Json(shown.collect()))
}
