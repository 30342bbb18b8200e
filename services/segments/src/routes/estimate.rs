//! `POST /v1/apps/{app}/segments/estimate`.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use actix_web::web::{Bytes, Data, Json, Path};
use muster_http::{Caller, Problem, Role};
use muster_rules::cost;
use tracing::Span;

use crate::Segments;
use crate::answers::Estimate;
use crate::error::Error;
use crate::operations;

/// Count a rule.
///
/// The body is the rule. The answer is exact, and says how many users satisfy each condition.
#[utoipa::path(
    post,
    path = "/v1/apps/{app}/segments/estimate",
    tag = "segments",
    operation_id = "estimate",
    params(("app" = String, Path, description = "The app")),
    request_body(content = Object, content_type = "application/json", description = "A rule"),
    responses(
        (status = 200, description = "The counts", body = Estimate),
        (status = 400, description = "Not JSON", body = muster_http::ProblemBody, content_type = "application/problem+json"),
        (status = 404, description = "No such app", body = muster_http::ProblemBody, content_type = "application/problem+json"),
        (status = 422, description = "The rule is refused, with the place of each fault", body = muster_http::ProblemBody, content_type = "application/problem+json"),
    ),
)]
pub async fn estimate(
    segments: Data<Segments>,
    caller: Caller,
    app: Path<String>,
    body: Bytes,
) -> Result<Json<Estimate>, Problem> {
    caller.require(&app, Role::Read)?;
    // Nobody waits for the answer any more once this future is dropped: then the evaluation ends.
    let waiting = Waiting(Arc::new(AtomicBool::new(true)));
    let watched = waiting.0.clone();
    let began = Instant::now();
    let rule = operations::parse(&segments, &body, "")?;
    let turn = segments.turns.take(&app, cost(&rule)).await.map_err(Error::from)?;
    let span = Span::current();
    let estimate = move || {
        let _turn = turn;
        let stopped = || !watched.load(Ordering::Relaxed);
        span.in_scope(|| operations::estimate(&segments, &app, &rule, began, &stopped))
    };
    let answer = tokio::task::spawn_blocking(estimate).await.map_err(Problem::internal)?;
    drop(waiting);
    Ok(Json(answer?))
}

struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(false, Ordering::Relaxed);
    }
}
