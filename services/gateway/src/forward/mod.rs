//! Services that run in other processes: their routes are here, their answers come from there.

mod body;
mod instances;
mod relay;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use actix_web::http::Method;
use actix_web::web::{ServiceConfig, method, resource, scope};
use actix_web::{Resource, Scope};
use muster_http::identity::Secret;
use muster_http::{APP_SCOPE, Service};
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

    /// The routes of all roles.
    pub fn services(&self) -> impl Iterator<Item = Service> {
        self.roles.iter().map(Role::service)
    }

    fn role_of(&self, route: &str) -> Option<&Role> {
        self.by_route.get(route).map(|&role| &self.roles[role])
    }
}

impl Role {
    /// A route for each one of the service that is away, with the pattern that it has there: metrics, audit
    /// and quotas see no difference.
    fn service(&self) -> Service {
        let (apps, all) = (self.openapi.clone(), self.openapi.clone());
        let routes = move |config: &mut ServiceConfig| {
            let others = resources(&all).filter(|(path, _)| !path.starts_with(APP_SCOPE));
            others.for_each(|(path, resource)| _ = config.service(resource(&path)));
        };
        Service {
            routes: Arc::new(routes),
            ..Service::of_apps(self.name, self.openapi.clone(), by_word(apps))
        }
    }
}

/// Registers what is about one app, in a scope for each first word behind the app.
fn by_word(openapi: OpenApi) -> impl Fn(&mut ServiceConfig) {
    move |config| {
        let mut scopes: BTreeMap<String, Scope> = BTreeMap::new();
        for (path, resource) in resources(&openapi) {
            let Some(path) = path.strip_prefix(APP_SCOPE) else { continue };
            let end = path.match_indices('/').nth(1).map_or(path.len(), |(end, _)| end);
            let (word, rest) = path.split_at(end);
            if word.is_empty() {
                config.service(resource(""));
                continue;
            }
            let of_word = scopes.remove(word).unwrap_or_else(|| scope(word));
            scopes.insert(word.to_owned(), of_word.service(resource(rest)));
        }
        scopes.into_values().for_each(|scope| _ = config.service(scope));
    }
}

/// The paths of a document, each with what makes a resource of it at another path.
fn resources(openapi: &OpenApi) -> impl Iterator<Item = (String, impl Fn(&str) -> Resource)> {
    openapi.paths.paths.clone().into_iter().map(|(path, mut item)| {
        let verbs: Vec<Method> = operations(&mut item).map(|(verb, _)| verb).collect();
        let at = move |path: &str| {
            let relays = verbs.iter().map(|verb| method(verb.clone()).to(relay));
            relays.fold(resource(path), Resource::route)
        };
        (path, at)
    })
}
