//! Apps of growing size under growing load: their data, the server, and what is measured.

pub mod chart;
pub mod hold;
pub mod jobs;
pub mod rules;
pub mod server;
