//! Services that run in other processes: their routes are here, their answers come from there.

mod body;
mod instances;
mod relay;

use std::collections::HashMap;

use actix_web::web::{Data, ServiceConfig, method, resource};
use muster_http::identity::Secret;
use utoipa::openapi::OpenApi;

use crate::operations::openapi::operations;
pub(crate) use instances::Instances;
use relay::relay;

/// A service of other processes.
pub struct Away {
    pub name: &'static str,
    /// Its routes, as the service itself describes them.
    pub openapi: OpenApi,
    /// Base addresses, `http://host:port`; with several the load is spread.
    pub instances: Vec<String>,
}

/// Where each service is that does not run here.
pub(crate) struct Forward {
    pub roles: Vec<Role>,
    /// None: nothing can be forwarded, and every service away counts as not there.
    pub secret: Option<Secret>,
    /// Which role a route belongs to, by its pattern.
    by_route: HashMap<String, usize>,
}

pub(crate) struct Role {
    pub name: &'static str,
    pub instances: Instances,
    openapi: OpenApi,
}

impl Forward {
    pub fn new(away: Vec<Away>, secret: Option<Secret>) -> Forward {
        let mut by_route = HashMap::new();
        let mut roles = Vec::new();
        for service in away {
            for path in service.openapi.paths.paths.keys() {
                by_route.insert(path.clone(), roles.len());
            }
            let instances = Instances::new(service.instances);
            roles.push(Role { name: service.name, instances, openapi: service.openapi });
        }
        Forward { roles, secret, by_route }
    }

    fn role_of(&self, route: &str) -> Option<&Role> {
        self.by_route.get(route).map(|&role| &self.roles[role])
    }
}

/// A route for each one of the services that are away, with the pattern that they have there: metrics,
/// audit and quotas see no difference.
pub(crate) fn mount(config: &mut ServiceConfig, forward: &Data<Forward>) {
    for role in &forward.roles {
        let mut paths = role.openapi.paths.paths.clone();
        for (path, item) in &mut paths {
            let mut route = resource(path.as_str());
            for (verb, _) in operations(item) {
                route = route.route(method(verb).to(relay));
            }
            config.service(route);
        }
    }
}
