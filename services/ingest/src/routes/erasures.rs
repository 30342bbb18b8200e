//! `/v1/apps/{app}/erasures`: users who are to be forgotten.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{Data, Json, Path, Query};
use chrono::{DateTime, Utc};
use muster_http::{Caller, Page, PageQuery, Problem, ProblemBody, Role};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Ingest;
use crate::operations::erase;
use crate::store::{self, ErasureRow};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ErasureBody {
    /// Ids of users, up to 10,000.
    users: Vec<String>,
}

/// That users were erased: how many, never who.
#[derive(Serialize, ToSchema)]
pub struct Erasure {
    pub id: String,
    pub app_id: String,
    pub job_id: String,
    /// Different ids that were sent.
    pub asked: u64,
    /// Users the app had data of.
    pub known: Option<u64>,
    /// Days of labels, and of events, that had any of them.
    pub label_days: Option<u64>,
    pub event_days: Option<u64>,
    pub requested_by: String,
    pub requested_at: DateTime<Utc>,
    /// From then on no number has them, and their ids are not kept for this either.
    pub finished_at: Option<DateTime<Utc>>,
}

impl TryFrom<ErasureRow> for Erasure {
    type Error = Problem;

    fn try_from(row: ErasureRow) -> Result<Erasure, Problem> {
        let time =
            |at| DateTime::from_timestamp_millis(at).ok_or_else(|| Problem::internal("a time out of range"));
        let number = |number: Option<i64>| number.map(|number| number as u64);
        Ok(Erasure {
            asked: row.asked as u64,
            known: number(row.known),
            label_days: number(row.label_days),
            event_days: number(row.event_days),
            requested_at: time(row.requested_at)?,
            finished_at: row.finished_at.map(time).transpose()?,
            id: row.id,
            app_id: row.app_id,
            job_id: row.job_id,
            requested_by: row.requested_by,
        })
    }
}

/// Erase users.
///
/// The app is left as if it had never had data of them: labels, behaviour, cohorts, lists, experiments, and every count.
/// A job does it, after the imports that were accepted before. The ids are forgotten with its end; that it was done
/// stays on record. Files of before are removed once their readers have had their time. A user that is imported later
/// is a new one.
#[utoipa::path(
    post,
    path = "/v1/apps/{app}/erasures",
    tag = "erasures",
    operation_id = "erase",
    params(("app" = String, Path)),
    request_body = ErasureBody,
    responses(
        (status = 202, description = "It is accepted", body = Erasure,
            headers(("Location" = String, description = "The job"))),
        (status = 403, description = "The key lacks the role `admin`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "`app_not_found`", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_body`: no ids, empty ones, or too many", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    ingest: Data<Ingest>,
    caller: Caller,
    app: Path<String>,
    body: Json<ErasureBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(&app, Role::Admin)?;
    let row = erase::ask(&ingest, &app, body.into_inner().users, &caller.id, Utc::now()).await?;
    let mut answer = HttpResponse::Accepted();
    answer.insert_header((LOCATION, format!("/v1/jobs/{}", row.job_id)));
    Ok(answer.json(Erasure::try_from(row)?))
}

/// List erasures, newest first.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/erasures",
    tag = "erasures",
    operation_id = "listErasures",
    params(("app" = String, Path), PageQuery),
    responses((status = 200, description = "Erasures", body = Page<Erasure>)),
)]
pub async fn list(
    ingest: Data<Ingest>,
    caller: Caller,
    app: Path<String>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Erasure>>, Problem> {
    caller.require(&app, Role::Admin)?;
    let size = page.size()?;
    let rows =
        store::erasures(&ingest.db, &app, page.cursor.as_deref(), size).await.map_err(erase::of_sql)?;
    let page = Page::cut(rows, size, |row| row.id.clone());
    let items = page.items.into_iter().map(Erasure::try_from).collect::<Result<_, _>>()?;
    Ok(Json(Page { items, next: page.next }))
}

/// Show an erasure.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/erasures/{id}",
    tag = "erasures",
    operation_id = "getErasure",
    params(("app" = String, Path), ("id" = String, Path)),
    responses(
        (status = 200, description = "The erasure", body = Erasure),
        (status = 404, description = "No such erasure", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn show(
    ingest: Data<Ingest>,
    caller: Caller,
    path: Path<(String, String)>,
) -> Result<Json<Erasure>, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Admin)?;
    let row = store::erasure(&ingest.db, &app, &id).await.map_err(erase::of_sql)?;
    Ok(Json(Erasure::try_from(row.ok_or_else(|| Problem::not_found("such erasure"))?)?))
}
