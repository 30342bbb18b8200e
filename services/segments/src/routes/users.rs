//! `/v1/apps/{app}/cohorts/{id}/users`: the members of a cohort, and why a user is one.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::{Data, Json, Path, Query};
use futures::stream;
use muster_http::{Caller, Kind, Problem, Role};
use serde::Deserialize;
use tokio::sync::mpsc;
use utoipa::IntoParams;

use super::cohorts::find_open;
use crate::Segments;
use crate::answers::Membership;
use crate::operations::{self, Asked, Format};

/// Chunks that may wait for a slow reader.
const CHUNKS: usize = 4;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// `ndjson` (the default) or `csv`.
    format: Option<String>,
}

/// Stream the user ids of a cohort.
///
/// All of them, without a cap. CSV begins with the header `user_id`; NDJSON has a `user_id` a line, always
/// as text, so that no reader rounds it. `Muster-Cohort-Size` says how many there are.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/cohorts/{id}/users",
    tag = "cohorts",
    operation_id = "exportUsers",
    params(("app" = String, Path), ("id" = String, Path), ExportQuery),
    responses(
        (status = 200, description = "The ids", content((String = "application/x-ndjson"), (String = "text/csv")),
            headers(("Muster-Cohort-Size" = u64, description = "Number of ids"))),
        (status = 403, description = "`below_floor`: it has fewer users than the app lets be shown", body = muster_http::ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such cohort", body = muster_http::ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`app_disabled`", body = muster_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn export(
    segments: Data<Segments>,
    caller: Caller,
    path: Path<(String, String)>,
    query: Query<ExportQuery>,
) -> Result<HttpResponse, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Export)?;
    let format: Format =
        query.format.as_deref().unwrap_or("ndjson").parse().map_err(|()| {
            Problem::new(Kind::BadRequest, "unknown_format", "The format is `ndjson` or `csv`.")
        })?;
    let cohort = find_open(&segments, &app, &id).await?;
    let size = cohort.size.unwrap_or_default();
    let opened = tokio::task::spawn_blocking(move || operations::export(&segments, &cohort, format));
    let export = opened.await.map_err(Problem::internal)??;
    let (to, from) = mpsc::channel(CHUNKS);
    tokio::task::spawn_blocking(move || export.run(&to));
    let chunks = stream::unfold(from, |mut from| async move { Some((from.recv().await?, from)) });
    let extension = if format == Format::Csv { "csv" } else { "ndjson" };
    Ok(HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, format.content_type()))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.{extension}\"")))
        .insert_header(("Muster-Cohort-Size", size.to_string()))
        .streaming(chunks))
}

/// Say whether a user is in a cohort, and why.
///
/// Every condition of the rule, with the number that decided it.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/cohorts/{id}/users/{user}",
    tag = "cohorts",
    operation_id = "explainMembership",
    params(("app" = String, Path), ("id" = String, Path), ("user" = String, Path, description = "The user's id")),
    responses(
        (status = 200, description = "Member or not, and why", body = Membership),
        (status = 403, description = "`below_floor`: it has fewer users than the app lets be shown", body = muster_http::ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such cohort", body = muster_http::ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`app_disabled`", body = muster_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn membership(
    segments: Data<Segments>,
    caller: Caller,
    path: Path<(String, String, String)>,
) -> Result<Json<Membership>, Problem> {
    let (app, id, user) = path.into_inner();
    caller.require(&app, Role::Export)?;
    let cohort = find_open(&segments, &app, &id).await?;
    let asked = Asked::read(&segments, &app, cohort.rule.to_string().as_bytes(), "").await;
    let explain = move || operations::membership(&segments, &cohort, asked, &user);
    Ok(Json(tokio::task::spawn_blocking(explain).await.map_err(Problem::internal)??))
}
