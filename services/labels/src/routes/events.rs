//! `/v1/apps/{app}/events`: events and the values of their dimensions.

use actix_web::web::{Data, Json, Path, Query};
use muster_http::{Caller, Page, PageQuery, Problem, ProblemBody};
use muster_profile_store::Snapshot;
use serde::Deserialize;
use utoipa::IntoParams;

use super::refused::{NoSuchApp, Refused};
use crate::Labels;
use crate::operations::list_events::{self as operation, Event};
use crate::operations::list_values::{self, DimensionValue, ValueQuery};
use crate::operations::paging::Paging;

/// The events of an app, by name, with their published days.
#[utoipa::path(
    get, path = "/v1/apps/{app}/events", tag = "catalogue",
    params(("app" = String, Path, description = "App id."), PageQuery),
    responses((status = 200, description = "A page of events.", body = Page<Event>), Refused, NoSuchApp)
)]
pub async fn list_events(
    labels: Data<Labels>,
    caller: Caller,
    app: Path<String>,
    page: Query<PageQuery>,
) -> Result<Json<Page<Event>>, Problem> {
    let paging = Paging::from_query(&page)?;
    let list = move |snapshot: &Snapshot| Ok(operation::list_events(snapshot, &paging));
    Ok(Json(labels.read(&caller, app.into_inner(), list).await?))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct ValueParams {
    /// Values like this text, whatever the case: the same, beginning with it, containing it and, in a
    /// dictionary of up to 20,000 values, a few letters off.
    #[serde(rename = "match")]
    #[param(required = false, value_type = String)]
    matching: Option<String>,
}

/// The values of a dimension, by id or the best match first.
#[utoipa::path(
    get, path = "/v1/apps/{app}/events/{event}/dimensions/{dim}", tag = "catalogue",
    params(
        ("app" = String, Path, description = "App id."),
        ("event" = String, Path, description = "The event's name."),
        ("dim" = String, Path, description = "The dimension's name."),
        ValueParams, PageQuery
    ),
    responses(
        (status = 200, description = "A page of values.", body = Page<DimensionValue>),
        Refused,
        (status = 404, body = ProblemBody, content_type = "application/problem+json", description =
            "`app_not_found`; `event_not_found` and `dimension_not_found`, with the nearest known name.")
    )
)]
pub async fn list_values(
    labels: Data<Labels>,
    caller: Caller,
    path: Path<(String, String, String)>,
    params: Query<ValueParams>,
    page: Query<PageQuery>,
) -> Result<Json<Page<DimensionValue>>, Problem> {
    let (app, event, dimension) = path.into_inner();
    let matching = params.into_inner().matching;
    let (query, paging) = (ValueQuery { event, dimension, matching }, Paging::from_query(&page)?);
    let list = move |snapshot: &_| list_values::list_values(snapshot, &query, &paging);
    Ok(Json(labels.read(&caller, app, list).await?))
}
