//! A service as the gateway sees it.

use std::fmt;
use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::dev::RequestHead;
use actix_web::web::{ServiceConfig, scope};
use utoipa::openapi::OpenApi;

use crate::caller::Caller;

/// What is about one app lies under this path.
pub const APP_SCOPE: &str = "/v1/apps/{app}";

/// Registers routes; called once per worker thread.
pub type Routes = Arc<dyn Fn(&mut ServiceConfig) + Send + Sync>;

/// A service's face: its routes and their part of the OpenAPI document, which has full paths.
///
/// A service registers its app data inside its own scopes and resources (`web::scope(…).app_data(…)`), never on
/// the `ServiceConfig` itself: data of one type registered twice on one App is silently shared, and the last
/// one wins.
#[derive(Clone)]
pub struct Service {
    pub name: &'static str,
    /// What is about one app, with the part of the path behind [`APP_SCOPE`] (`/labels/{label}`). Routes are
    /// tried one after the other, so those that begin with the same word stand in one scope of that word, and a
    /// word is one service's alone.
    pub app_routes: Routes,
    /// Everything else, with full paths.
    pub routes: Routes,
    /// Asked before a read of an app is routed.
    pub at_once: Option<AtOnce>,
    pub openapi: OpenApi,
}

/// Answers a read of an app from memory: what may be read is up to it, quotas and the like are not. It must not
/// block. None sends the request to its route, which does the rest.
pub type AtOnce = Arc<dyn Fn(&Caller, &str, &RequestHead) -> Option<Known> + Send + Sync>;

/// An answer that was known.
pub struct Known {
    /// The pattern of the route that would have given it.
    pub route: Arc<str>,
    pub response: HttpResponse,
}

impl Service {
    /// A service all of whose routes are about one app.
    pub fn of_apps(
        name: &'static str,
        openapi: OpenApi,
        app_routes: impl Fn(&mut ServiceConfig) + Send + Sync + 'static,
    ) -> Service {
        Service { name, openapi, app_routes: Arc::new(app_routes), routes: Arc::new(|_| {}), at_once: None }
    }
}

/// Registers the services, and what else of one app `own` registers.
pub fn mount(config: &mut ServiceConfig, services: &[Service], own: impl FnOnce(&mut ServiceConfig)) {
    let apps = scope(APP_SCOPE).configure(own);
    let apps =
        services.iter().fold(apps, |apps, service| apps.configure(|config| (service.app_routes)(config)));
    config.service(apps);
    services.iter().for_each(|service| (service.routes)(config));
}

impl fmt::Debug for Service {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Service").field("name", &self.name).finish_non_exhaustive()
    }
}
