//! The roles of a deployment, and how many of their processes can do their work.

use std::time::Duration;

use actix_web::rt::time::timeout;
use actix_web::web::{Data, Json};
use futures::future::join_all;
use muster_http::{Caller, Problem};
use serde::Serialize;
use utoipa::ToSchema;

use crate::forward::Forward;
use crate::gateway::Gate;

const READY_WITHIN: Duration = Duration::from_secs(2);

/// A role as the gateway sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoleState {
    #[schema(example = "segments")]
    pub role: String,
    /// It runs in the gateway's own process.
    pub here: bool,
    /// Processes that the gateway knows.
    pub instances: usize,
    /// Those that said a moment ago that they can do their work.
    pub ready: usize,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RoleStates {
    pub items: Vec<RoleState>,
}

/// The roles, and how many of their processes are ready
#[utoipa::path(get, path = "/v1/roles", tag = "system", responses((status = 200, body = RoleStates)))]
pub async fn list(
    gate: Data<Gate>,
    forward: Data<Forward>,
    caller: Caller,
) -> Result<Json<RoleStates>, Problem> {
    caller.require_root()?;
    let here =
        gate.here.iter().map(|name| RoleState { role: (*name).into(), here: true, instances: 1, ready: 1 });
    let mut items: Vec<RoleState> = here.collect();
    for role in &forward.roles {
        let instances = role.instances.all();
        let ready = join_all(instances.iter().map(|instance| is_ready(&instance.base))).await;
        items.push(RoleState {
            role: role.name.into(),
            here: false,
            instances: instances.len(),
            ready: ready.into_iter().filter(|ready| *ready).count(),
        });
    }
    Ok(Json(RoleStates { items }))
}

async fn is_ready(base: &str) -> bool {
    let asked = awc::Client::default().get(format!("{base}/readyz")).send();
    matches!(timeout(READY_WITHIN, asked).await, Ok(Ok(answer)) if answer.status().is_success())
}
