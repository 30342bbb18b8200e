//! The audit trail, for administrators of all apps.

use actix_web::web::{Data, Json, Query};
use muster_http::{Caller, Page, PageQuery, Problem};
use serde::Serialize;
use utoipa::ToSchema;

use crate::clock;
use crate::error::GatewayError;
use crate::gateway::Gate;
use crate::store::audit::{self as store, AuditRow};

/// A write that somebody tried, and what came of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntry {
    id: String,
    /// RFC 3339.
    at: String,
    /// The id of a key, or `local`.
    caller: String,
    /// Null where the address names no app.
    #[schema(required)]
    app: Option<String>,
    method: String,
    /// The address as a pattern: `/v1/apps/{app}/segments`.
    route: String,
    /// The HTTP status of the answer.
    status: i64,
    request_id: String,
}

impl From<AuditRow> for AuditEntry {
    fn from(row: AuditRow) -> Self {
        AuditEntry {
            id: row.id,
            at: clock::text(row.at),
            caller: row.caller,
            app: row.app_id,
            method: row.method,
            route: row.route,
            status: row.status,
            request_id: row.request_id,
        }
    }
}

/// Who wrote what, newest first
#[utoipa::path(get, path = "/v1/audit", tag = "system", params(PageQuery),
    responses((status = 200, body = Page<AuditEntry>)))]
pub async fn list(
    gate: Data<Gate>,
    caller: Caller,
    page: Query<PageQuery>,
) -> Result<Json<Page<AuditEntry>>, Problem> {
    caller.require_root()?;
    let size = page.size()?;
    let rows = store::list(&gate.db, page.cursor.as_deref(), size + 1).await.map_err(GatewayError::from)?;
    Ok(Json(Page::cut(rows, size, |row| row.id.clone()).map(AuditEntry::from)))
}
