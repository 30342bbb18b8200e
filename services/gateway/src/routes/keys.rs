//! API keys, for administrators of all apps.

use actix_web::HttpResponse;
use actix_web::http::header::{CACHE_CONTROL, LOCATION};
use actix_web::web::{Data, Json, Path, Query};
use muster_http::{Caller, Page, PageQuery, Problem};

use crate::clock;
use crate::gateway::Gate;
use crate::operations::keys::{self, CreatedKey, Key, NewKey};

/// All keys, in order of creation
#[utoipa::path(get, path = "/v1/keys", tag = "keys", params(PageQuery),
    responses((status = 200, body = Page<Key>)))]
pub async fn list(
    gate: Data<Gate>,
    caller: Caller,
    page: Query<PageQuery>,
) -> Result<Json<Page<Key>>, Problem> {
    caller.require_root()?;
    Ok(Json(keys::list(&gate.db, page.size()?, page.cursor.as_deref()).await?))
}

/// Make a key; the answer shows its secret, this once
#[utoipa::path(post, path = "/v1/keys", tag = "keys", request_body = NewKey,
    responses((status = 201, body = CreatedKey, headers(("Location" = String)))))]
pub async fn create(gate: Data<Gate>, caller: Caller, new: Json<NewKey>) -> Result<HttpResponse, Problem> {
    caller.require_root()?;
    let made = keys::create(&gate.db, new.into_inner(), clock::now_ms()).await?;
    let location = format!("/v1/keys/{}", made.key.id);
    // `no-store` also keeps the secret out of the answers kept for an Idempotency-Key.
    Ok(HttpResponse::Created()
        .insert_header((LOCATION, location))
        .insert_header((CACHE_CONTROL, "no-store"))
        .json(made))
}

/// Revoke a key
#[utoipa::path(delete, path = "/v1/keys/{key}", tag = "keys", params(("key" = String, Path)),
    responses((status = 204)))]
pub async fn revoke(gate: Data<Gate>, caller: Caller, key: Path<String>) -> Result<HttpResponse, Problem> {
    caller.require_root()?;
    keys::revoke(&gate.db, &key, clock::now_ms()).await?;
    gate.door.authority().forget();
    Ok(HttpResponse::NoContent().finish())
}
