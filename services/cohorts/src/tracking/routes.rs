//! `/v1/apps/{app}/tracking`: what becomes of cohorts, day by day.

use actix_web::HttpResponse;
use actix_web::web::{Bytes, Data, Json, Path, Query};
use chrono::Utc;
use muster_days::Ds;
use muster_http::{Caller, Page, PageQuery, Problem, ProblemBody, Role};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::answers::{Series, Tracked};
use super::{operations, store};
use crate::Cohorts;
use crate::routes::{day, read};

/// What following may be told.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TrackBody {
    /// The first day, `YYYYMMDD`: that of the first cohort there is when not given. Who is in its cohort is what
    /// retention is taken of.
    #[schema(value_type = Option<u32>)]
    from: Option<Ds>,
}

/// Follow a cohort, or the cohorts of a segment or list.
///
/// A cohort is followed as it is; of a segment or a list, each day has the users of its newest cohort. Followed again,
/// it stays as it is.
#[utoipa::path(
    put,
    path = "/v1/apps/{app}/tracking/{id}",
    tag = "tracking",
    operation_id = "track",
    params(("app" = String, Path), ("id" = String, Path, description = "A cohort, segment or list")),
    request_body(content = Option<TrackBody>, description = "May be empty"),
    responses(
        (status = 201, description = "It is followed", body = Tracked),
        (status = 200, description = "It was followed already", body = Tracked),
        (status = 403, description = "`below_floor`: its cohort has fewer users than the app lets be shown", body = ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such cohort, segment or list", body = ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "`invalid_body`: it has no cohort on that day", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn track(
    cohorts: Data<Cohorts>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Segment)?;
    let TrackBody { from } = read(&body)?;
    let (new, tracked) = operations::track(&cohorts, (&app, &id), from, &caller.id, Utc::now()).await?;
    let mut answer = if new { HttpResponse::Created() } else { HttpResponse::Ok() };
    Ok(answer.json(tracked))
}

/// Follow it no more. Its days are forgotten.
#[utoipa::path(
    delete,
    path = "/v1/apps/{app}/tracking/{id}",
    tag = "tracking",
    operation_id = "untrack",
    params(("app" = String, Path), ("id" = String, Path)),
    responses(
        (status = 204, description = "It is followed no more"),
        (status = 404, description = "It was not followed", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn untrack(
    cohorts: Data<Cohorts>,
    caller: Caller,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Segment)?;
    operations::untrack(&cohorts, &app, &id).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// List what is followed.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/tracking",
    tag = "tracking",
    operation_id = "listTracked",
    params(("app" = String, Path), PageQuery),
    responses((status = 200, description = "By id", body = Page<Tracked>)),
)]
pub async fn list(
    cohorts: Data<Cohorts>,
    caller: Caller,
    app: Path<String>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Tracked>>, Problem> {
    caller.require(&app, Role::Read)?;
    let size = page.size()?;
    let rows = store::page(&cohorts.db, &app, page.cursor.as_deref(), size).await?;
    let page = Page::cut(rows, size, |row| row.subject.clone());
    let items = page.items.into_iter().map(operations::tracked).collect::<Result<_, _>>()?;
    Ok(Json(Page { items, next: page.next }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SeriesQuery {
    /// The first day, `YYYYMMDD`; that from which it is followed when not given.
    #[param(required = false, value_type = u32, example = 20261101)]
    from: Option<String>,
    /// The last day; the app's newest when not given.
    #[param(required = false, value_type = u32, example = 20261130)]
    to: Option<String>,
}

/// Show what became of a followed cohort, day by day.
///
/// Its size, active users, pv, trades, events with their measures, and retention, beside everybody else and the whole
/// app. Numbers are exact, and null where the app's privacy floor hides them. Of a longer range the newest 400 days are
/// told.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/tracking/{id}",
    tag = "tracking",
    operation_id = "getSeries",
    params(("app" = String, Path), ("id" = String, Path), SeriesQuery),
    responses(
        (status = 200, description = "The series", body = Series),
        (status = 404, description = "It is not followed", body = ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn series(
    cohorts: Data<Cohorts>,
    caller: Caller,
    path: Path<(String, String)>,
    query: Query<SeriesQuery>,
) -> Result<Json<Series>, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Read)?;
    let SeriesQuery { from, to } = query.into_inner();
    let from = from.map(|from| day("from", &from)).transpose()?;
    let to = to.map(|to| day("to", &to)).transpose()?;
    Ok(Json(operations::series(&cohorts, (&app, &id), (from, to)).await?))
}
