//! The gateway: who calls, for which app, and how much of the machine they may take. It owns the HTTP
//! server, API keys, quotas, request ids, the audit trail and repeated requests, and mounts the routes
//! of every service that runs beside it. It knows no other service's types.

mod class;
mod clock;
mod error;
mod forward;
mod gateway;
mod host;
mod instruments;
mod middleware;
mod operations;
mod routes;
mod server;
mod settings;
mod store;

pub use error::GatewayError;
pub use forward::Away;
pub use gateway::{Gateway, Ready, build};
pub use host::{Host, host};
pub use operations::keys;
pub use operations::sizes::AppUsers;
pub use server::run;
pub use settings::{AppQuotas, ImportLimits, InFlight, Quota, Quotas, Settings, TimeLimits};
