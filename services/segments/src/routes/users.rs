//! `/v1/apps/{app}/cohorts/{id}/users`: the members of a cohort, and why a user is one.

use actix_web::HttpResponse;
use actix_web::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use actix_web::web::{Data, Json, Path, Query};
use futures::stream;
use muster_days::Ds;
use muster_http::{Caller, Kind, Problem, Role};
use serde::Deserialize;
use tokio::sync::mpsc;
use utoipa::IntoParams;

use super::cohorts::find_open;
use super::profile::{day, names};
use crate::Segments;
use crate::answers::Membership;
use crate::operations::{self, Asked, Format};

/// Chunks that may wait for a slow reader.
pub const CHUNKS: usize = 4;

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ExportQuery {
    /// `ndjson` (the default), `csv` or `parquet`.
    format: Option<String>,
    /// Labels by id or name, with commas between, whose tags are to stand beside each id.
    #[param(required = false, value_type = String, example = "gender,province")]
    labels: Option<String>,
    /// The day whose labels count, `YYYYMMDD`: each with its newest one at or before. The cohort's day when not given.
    #[param(required = false, value_type = u32, example = 20261101)]
    ds: Option<String>,
}

/// Stream the user ids of a cohort, and what they carry of some labels.
///
/// All of them, without a cap. CSV begins with the header `user_id`; NDJSON has a `user_id` a line, always
/// as text, so that no reader rounds it. `Muster-Cohort-Size` says how many there are. With `labels`, NDJSON has an
/// object `labels` of lists of tags, CSV a column for each label with `|` between tags, Parquet a column of lists; and
/// `Muster-Label-Days` says which day of each label that is.
#[utoipa::path(
    get,
    path = "/v1/apps/{app}/cohorts/{id}/users",
    tag = "cohorts",
    operation_id = "exportUsers",
    params(("app" = String, Path), ("id" = String, Path), ExportQuery),
    responses(
        (status = 200, description = "The ids", content((String = "application/x-ndjson"), (String = "text/csv"), (Vec<u8> = "application/vnd.apache.parquet")),
            headers(("Muster-Cohort-Size" = u64, description = "Number of ids"), ("Muster-Label-Days" = String, description = "With `labels`: `10001=20261101, …`, a day for each, by id"))),
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
    let ExportQuery { format, labels, ds } = query.into_inner();
    let format: Format = format.as_deref().unwrap_or("ndjson").parse().map_err(|()| {
        let detail = "The format is `ndjson`, `csv` or `parquet`.";
        Problem::new(Kind::BadRequest, "unknown_format", detail)
    })?;
    let labels = (names(labels), day("ds", ds)?);
    let cohort = find_open(&segments, &app, &id).await?;
    let size = cohort.size.unwrap_or_default();
    let opened = tokio::task::spawn_blocking(move || operations::export(&segments, &cohort, format, labels));
    let export = opened.await.map_err(Problem::internal)??;
    let days = label_days(&export);
    let (to, from) = mpsc::channel(CHUNKS);
    tokio::task::spawn_blocking(move || export.run(&to));
    let chunks = stream::unfold(from, |mut from| async move { Some((from.recv().await?, from)) });
    let mut answer = HttpResponse::Ok();
    answer
        .insert_header((CONTENT_TYPE, format.content_type()))
        .insert_header((CONTENT_DISPOSITION, format!("attachment; filename=\"{id}.{}\"", format.extension())))
        .insert_header(("Muster-Cohort-Size", size.to_string()));
    if !days.is_empty() {
        answer.insert_header(("Muster-Label-Days", days.join(", ")));
    }
    Ok(answer.streaming(chunks))
}

/// `10001=20261101`: the day of each label; nothing behind `=` where it has none.
pub fn label_days(export: &operations::Export) -> Vec<String> {
    let told = |(label, ds): (i64, Option<Ds>)| {
        format!("{label}={}", ds.map(|ds| ds.to_string()).unwrap_or_default())
    };
    export.label_days().map(told).collect()
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
