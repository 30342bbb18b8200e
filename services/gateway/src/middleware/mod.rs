//! What happens to a request around its handler, from the outside in: [`observe`] (id, log, metrics, the
//! last form of errors), then [`govern`] (who calls, which app, how much, how long, how often). What a service knows
//! already is answered [`at_once`].

mod answer;
mod at_once;
mod body;
mod door;
mod govern;
mod observe;
mod repeat;

pub use door::Door;
pub use govern::{app_of, govern};
pub use observe::observe;
