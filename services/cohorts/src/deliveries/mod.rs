//! Deliveries: the users of a cohort, brought to where they are needed. A delivery is a job; what it brought is its
//! manifest. Where may be delivered to is the operator's to say, by name: no request names an address or a secret.

mod answers;
mod destination;
mod downloads;
mod files;
mod load;
mod operations;
pub mod routes;
mod send;
mod store;
mod webhook;

pub use destination::{DOWNLOAD, Destination, Destinations};
pub use downloads::{clear, sweep};
pub use operations::take_up;
pub use send::DeliveryHandler;
