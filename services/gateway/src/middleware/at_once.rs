//! Reads whose answer a service knows already: they need neither route, slot, time limit nor a log line, so they
//! are answered before any of these. Everything else a read is held to holds: who calls, which app, the quota.

use actix_web::dev::ServiceRequest;
use actix_web::http::Method;
use actix_web::web::Data;
use muster_http::Known;

use super::govern::{app_of, write_level};
use crate::class::Class;
use crate::clock;
use crate::gateway::Gate;
use crate::operations::flow_control::Subject;

/// None for what takes the long way, a refusal included: it is put into words there.
pub fn at_once(req: &ServiceRequest) -> Option<Known> {
    if req.method() != Method::GET {
        return None;
    }
    let gate = req.app_data::<Data<Gate>>()?;
    let app = app_of(req.path())?;
    let class = Class::of(req.method(), req.path());
    if class != Class::Read {
        return None;
    }
    let now = clock::now_ms();
    gate.door.guard(req.head()).ok()?;
    let caller = gate.door.known_caller(req.head(), now)?;
    let mut known = gate.at_once.iter().find_map(|service| service(&caller, &app, req.head()))?;
    let subject = Subject::App(app);
    let level = gate.flow.take(class.kind(), &subject, 1).ok()?;
    write_level(known.response.headers_mut(), level);
    if let Subject::App(app) = &subject {
        gate.usage.count(app, class.kind(), 1, false, now);
    }
    Some(known)
}
