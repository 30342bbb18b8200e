//! `/v1/apps/{app}/deliveries`: cohorts brought to where they are needed.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE, ETAG, LOCATION};
use actix_web::web::{Data, Json, Path, Query};
use chrono::Utc;
use muster_http::{Caller, Page, PageQuery, Problem, ProblemBody, Role};

use super::answers::{Accepted, Delivery, DeliveryBody, DestinationShown};
use super::destination::of_app;
use super::downloads::{self, Fetched};
use super::{operations, store};
use crate::Cohorts;

/// Deliver a cohort, the newest one of a segment or list, or the groups of an experiment.
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
        (status = 202, description = "The job that delivers", body = Accepted, headers(("Location" = String, description = "The job"))),
        (status = 403, description = "`below_floor`: it has fewer users than the app lets be shown", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such cohort, experiment, or label", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`secret_missing`: of the webhook; `experiment_state`: the experiment has not begun", body = ProblemBody, content_type = "application/problem+json"),
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
    let location = (LOCATION, format!("/v1/jobs/{}", job.id));
    Ok(HttpResponse::Accepted().insert_header(location).json(Accepted { job, delivery_id: delivery.id }))
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

/// Fetch a file of a download.
///
/// Its name, size and SHA-256 are in the manifest. It goes after `deliveries.kept_days` days, and when users of the app
/// are erased.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/deliveries/{id}/files/{file}",
    tag = "deliveries",
    operation_id = "fetchDelivery",
    params(("app" = String, Path), ("id" = String, Path), ("file" = String, Path)),
    responses(
        (status = 200, description = "The file", content(
            (String = "application/x-ndjson"), (String = "text/csv"), (String = "application/vnd.apache.parquet"))),
        (status = 404, description = "No such download or file; `download_removed`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`not_done`", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn fetch(
    cohorts: Data<Cohorts>,
    caller: Caller,
    path: Path<(String, String, String)>,
) -> Result<HttpResponse, Problem> {
    let (app, id, file) = path.into_inner();
    caller.require(&app, Role::Export)?;
    let Fetched { part, format, chunks } = downloads::fetch(&cohorts, &app, &id, &file).await?;
    let mut answer = HttpResponse::Ok();
    answer.insert_header((CONTENT_TYPE, content_type(&format)));
    answer.insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{id}-{file}\"")));
    if let Some(sha256) = part.sha256 {
        answer.insert_header((ETAG, format!("\"{sha256}\"")));
    }
    Ok(answer.no_chunking(part.bytes).streaming(chunks))
}

fn content_type(format: &str) -> &'static str {
    match format {
        "csv" => "text/csv; charset=utf-8",
        "parquet" => "application/vnd.apache.parquet",
        _ => "application/x-ndjson; charset=utf-8",
    }
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
    let shown = shown
        .map(|(name, destination)| DestinationShown { name: name.clone(), kind: destination.kind(name) });
    Ok(Json(shown.collect()))
}
