//! What every service's HTTP edge shares: errors as problem+json, who calls, paging, and the face
//! through which a service hands its routes to the gateway.

mod app_id;
mod caller;
mod extract;
pub mod identity;
mod page;
mod problem;
mod request_id;
mod service;

pub use app_id::{check_app_id, is_padded};
pub use caller::{Apps, Caller, Role};
pub use extract::{JSON_LIMIT, extractors};
pub use page::{DEFAULT_PAGE, MAX_PAGE, Page, PageQuery};
pub use problem::{FieldError, Kind, PROBLEM_JSON, Problem, ProblemBody};
pub use request_id::RequestId;
pub use service::{APP_SCOPE, AtOnce, Known, Routes, Service, mount};
