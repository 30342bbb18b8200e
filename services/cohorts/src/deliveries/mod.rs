//! Deliveries: the users of a cohort, brought to where they are needed. A delivery is a job; what it brought is its
//! manifest. Where may be delivered to is the operator's to say, by name: no request names an address or a secret.

mod answers;
mod destination;
mod files;
mod operations;
pub mod routes;
mod send;
mod store;
mod webhook;

pub use destination::{Destination, Destinations};
pub use send::DeliveryHandler;
