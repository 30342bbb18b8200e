//! `/v1/apps/{app}/segments`: kept rules.

use actix_web::HttpResponse;
use actix_web::http::header::LOCATION;
use actix_web::web::{Bytes, Data, Json, Path, Query};
use chrono::Utc;
use muster_days::Ds;
use muster_http::{Caller, Kind, Page, PageQuery, Problem, Role};
use muster_jobs::{NewJob, Priority};
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::Segments;
use crate::answers::{Segment, SegmentVersion};
use crate::error::Error;
use crate::jobs::{RUN_SEGMENT, RunPayload};
use crate::operations::{self, SegmentChange};
use crate::store;

/// A segment as it is created or replaced.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentBody {
    name: String,
    // Kept as text: the rule's parser names the place of a fault, and sees keys given twice.
    #[schema(value_type = Object)]
    rule: Box<RawValue>,
    /// `manual` (the default) or `daily`: a cohort of every data day, once the day's time has come.
    refresh: Option<String>,
    /// What a daily refresh does when a day's data are not all in: use the `last` ones (the default), `wait`,
    /// or `skip` the day.
    on_missing: Option<String>,
}

impl From<SegmentBody> for SegmentChange {
    fn from(body: SegmentBody) -> SegmentChange {
        SegmentChange {
            name: body.name,
            rule: body.rule.get().to_owned(),
            refresh: body.refresh.unwrap_or_else(|| "manual".into()),
            on_missing: body.on_missing,
        }
    }
}

/// Keep a rule as a segment.
#[utoipa::path(
    post,
    path = "/v1/apps/{app}/segments",
    tag = "segments",
    operation_id = "createSegment",
    params(("app" = String, Path)),
    request_body = SegmentBody,
    responses(
        (status = 201, description = "Version 1 of the segment", body = Segment),
        (status = 409, description = "`app_disabled`", body = muster_http::ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "The rule is refused", body = muster_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn create(
    segments: Data<Segments>,
    caller: Caller,
    app: Path<String>,
    body: Json<SegmentBody>,
) -> Result<HttpResponse, Problem> {
    caller.require(&app, Role::Segment)?;
    let new = body.into_inner().into();
    let segment = operations::create(&segments, &app, new, &caller.id, Utc::now()).await?;
    let location = format!("/v1/apps/{app}/segments/{}", segment.id);
    Ok(HttpResponse::Created().insert_header((LOCATION, location)).json(segment))
}

/// List segments, newest first.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/segments",
    tag = "segments",
    operation_id = "listSegments",
    params(("app" = String, Path), PageQuery),
    responses((status = 200, description = "Segments", body = Page<Segment>)),
)]
pub async fn list(
    segments: Data<Segments>,
    caller: Caller,
    app: Path<String>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Segment>>, Problem> {
    caller.require(&app, Role::Read)?;
    let size = page.size()?;
    let rows = store::segments(&segments.db, &app, page.cursor.as_deref(), size).await?;
    let page = Page::cut(rows, size, |row| row.id.clone());
    let mut items = Vec::with_capacity(page.items.len());
    for row in page.items {
        items.push(operations::shown(&segments, row).await?);
    }
    Ok(Json(Page { items, next: page.next }))
}

/// Show a segment.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/segments/{id}",
    tag = "segments",
    operation_id = "getSegment",
    params(("app" = String, Path), ("id" = String, Path)),
    responses(
        (status = 200, description = "The segment", body = Segment),
        (status = 404, description = "No such segment", body = muster_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn show(
    segments: Data<Segments>,
    caller: Caller,
    path: Path<(String, String)>,
) -> Result<Json<Segment>, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Read)?;
    Ok(Json(operations::get(&segments, &app, &id).await?))
}

/// Replace a segment. Another rule makes a new version; cohorts keep the version they were made of.
#[utoipa::path(
    put,
    path = "/v1/apps/{app}/segments/{id}",
    tag = "segments",
    operation_id = "replaceSegment",
    params(("app" = String, Path), ("id" = String, Path)),
    request_body = SegmentBody,
    responses(
        (status = 200, description = "The segment as it is now", body = Segment),
        (status = 404, description = "No such segment", body = muster_http::ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`app_disabled`", body = muster_http::ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "The rule is refused", body = muster_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn replace(
    segments: Data<Segments>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Json<SegmentBody>,
) -> Result<Json<Segment>, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Segment)?;
    let new = body.into_inner().into();
    Ok(Json(operations::change(&segments, (&app, &id), new, &caller.id, Utc::now()).await?))
}

/// Delete a segment. Its cohorts stay.
#[utoipa::path(
    delete,
    path = "/v1/apps/{app}/segments/{id}",
    tag = "segments",
    operation_id = "deleteSegment",
    params(("app" = String, Path), ("id" = String, Path)),
    responses(
        (status = 204, description = "It is deleted"),
        (status = 409, description = "`segment_in_use`: other segments, or experiments that have not ended, name it", body = muster_http::ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such segment", body = muster_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn delete(
    segments: Data<Segments>,
    caller: Caller,
    path: Path<(String, String)>,
) -> Result<HttpResponse, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Segment)?;
    // Its own id: a database may take one that only resembles it.
    let id = operations::get(&segments, &app, &id).await?.id;
    operations::require_unused(&segments, &app, ("segment", &id)).await?;
    if !store::delete(&segments.db, &app, &id, Utc::now()).await? {
        return Err(Error::NotFound("such segment").into());
    }
    Ok(HttpResponse::NoContent().finish())
}

/// List the versions of a segment's rule, newest first.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/segments/{id}/versions",
    tag = "segments",
    operation_id = "listSegmentVersions",
    params(("app" = String, Path), ("id" = String, Path), PageQuery),
    responses((status = 200, description = "Versions", body = Page<SegmentVersion>)),
)]
pub async fn versions(
    segments: Data<Segments>,
    caller: Caller,
    path: Path<(String, String)>,
    page: Query<PageQuery>,
) -> Result<Json<Page<SegmentVersion>>, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Read)?;
    let size = page.size()?;
    let rows = store::versions(&segments.db, &app, &id, page.number()?, size).await?;
    if rows.is_empty() {
        operations::get(&segments, &app, &id).await?;
    }
    Ok(Json(Page::cut(rows, size, |version| version.version.to_string())))
}

/// What a run may be told.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RunBody {
    /// The day to look from instead of the rule's own, `YYYYMMDD`.
    #[schema(value_type = Option<u32>)]
    as_of: Option<Ds>,
}

/// Have a cohort made of the segment's newest version.
#[utoipa::path(
    post,
    path = "/v1/apps/{app}/segments/{id}/run",
    tag = "segments",
    operation_id = "runSegment",
    params(("app" = String, Path), ("id" = String, Path)),
    request_body(content = Option<RunBody>, description = "May be empty"),
    responses(
        (status = 202, description = "The job that makes the cohort", body = muster_jobs::Job,
            headers(("Location" = String, description = "The job"))),
        (status = 404, description = "No such segment", body = muster_http::ProblemBody, content_type = "application/problem+json"),
        (status = 409, description = "`app_disabled`", body = muster_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn run(
    segments: Data<Segments>,
    caller: Caller,
    path: Path<(String, String)>,
    body: Bytes,
) -> Result<HttpResponse, Problem> {
    let (app, id) = path.into_inner();
    caller.require(&app, Role::Segment)?;
    let body: RunBody = match body.trim_ascii() {
        b"" => RunBody::default(),
        text => serde_json::from_slice(text)
            .map_err(|error| Problem::new(Kind::Invalid, "invalid_body", format!("{error}.")))?,
    };
    let row = store::segment(&segments.db, &app, &id).await?.ok_or(Error::NotFound("such segment"))?;
    operations::require_served(&segments, &app).await?;
    let payload = RunPayload { segment_id: id, version: row.version, as_of: body.as_of };
    let job = NewJob {
        id: None,
        app_id: Some(app),
        owner: caller.id.clone(),
        kind: RUN_SEGMENT,
        payload: serde_json::to_value(payload).map_err(Problem::internal)?,
        priority: Priority::Interactive,
    };
    let job = segments.jobs.enqueue(job).await.map_err(Error::from)?;
    Ok(HttpResponse::Accepted().insert_header((LOCATION, format!("/v1/jobs/{}", job.id))).json(job))
}
